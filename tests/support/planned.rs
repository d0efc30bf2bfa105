//! What stands in a plan.

use apim_deploy::plan::{Line, Plan};
use apim_deploy::wire::{Action, Item, Step};
use serde_json::Value;

/// Every step of a plan with the names of its play and its host.
pub fn steps(plan: &Plan) -> Vec<(&str, &str, &Step)> {
    fn below<'p>(item: &'p Item, found: &mut Vec<&'p Step>) {
        match item {
            Item::Step(step) => found.push(step),
            Item::Block(block) => {
                let all = block.steps.iter().chain(&block.rescue).chain(&block.always);
                all.for_each(|item| below(item, found));
            }
        }
    }
    let mut found = Vec::new();
    for play in &plan.plays {
        for (host, lines) in play.batches.iter().flat_map(|batch| &batch.hosts) {
            for line in lines {
                let Line::Carry { items, .. } = line else {
                    continue;
                };
                let mut own = Vec::new();
                items.iter().for_each(|item| below(item, &mut own));
                found.extend(
                    own.into_iter()
                        .map(|s| (play.name.as_str(), host.as_str(), s)),
                );
            }
        }
    }
    found
}

/// The parameters of every call of a module.
pub fn calls<'p>(plan: &'p Plan, module: &str) -> Vec<(&'p str, &'p Value)> {
    steps(plan)
        .into_iter()
        .filter_map(|(_, host, step)| match &step.action {
            Action::Call { module: m, params } if m == module => Some((host, params)),
            _ => None,
        })
        .collect()
}
