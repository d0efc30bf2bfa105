//! A site made from what a run would do.

use super::site::{Host, Site};
use crate::inventory::Inventory;
use crate::plan::{Line, Plan};
use crate::source::Span;
use crate::wire::{Action, Item};
use indexmap::IndexMap;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What people said of a host.
#[derive(Debug, Default)]
pub struct Said {
    pub variables: Map<String, Value>,
    /// Of those that the inventory or the command line sets.
    pub places: BTreeMap<String, Span>,
    /// Some play has the host.
    pub is_played: bool,
}

/// Every host of the inventory, with the files that the plan would put there. `said` is asked for each by name.
pub fn gather(plan: &Plan, inventory: &Inventory, said: impl Fn(&str) -> Said) -> Site {
    let mut hosts: IndexMap<String, Host> = inventory
        .hosts
        .keys()
        .map(|name| (name.clone(), host(name, inventory, said(name))))
        .collect();
    let batches = plan.plays.iter().flat_map(|play| &play.batches);
    for (number, batch) in batches.enumerate() {
        for line in batch.hosts.values().flatten() {
            let Line::Carry { place, items } = line else {
                continue;
            };
            if let Some(host) = hosts.get_mut(&place.host) {
                let known = host.calls.len();
                calls(items, &mut host.calls);
                let started = host.calls[known..].iter().filter_map(started);
                host.batches
                    .extend(started.map(|service| (service, number)));
            }
        }
    }
    Site::new(hosts.into_values().collect())
}

fn host(name: &str, inventory: &Inventory, said: Said) -> Host {
    let Said {
        variables,
        places,
        is_played,
    } = said;
    let text = |key: &str| Some(variables.get(key)?.as_str()?.to_owned());
    Host {
        name: name.to_owned(),
        // As roles/cluster has it.
        address: text("node_address")
            .or_else(|| text("ansible_host"))
            .unwrap_or_else(|| name.to_owned()),
        groups: inventory
            .group_names(name)
            .into_iter()
            .map(str::to_owned)
            .collect(),
        is_retired: inventory.is_retired(name),
        is_played,
        variables,
        places,
        ..Host::default()
    }
}

/// The service that a call starts.
fn started((module, params): &(String, Value)) -> Option<String> {
    let service = params
        .get("service")
        .filter(|_| module == "instance")?
        .as_str()?;
    Some(service.trim_end_matches(".service").to_owned())
}

fn calls(items: &[Item], found: &mut Vec<(String, Value)>) {
    for item in items {
        match item {
            Item::Step(step) => {
                if let Action::Call { module, params } = &step.action {
                    found.push((module.clone(), params.clone()));
                }
            }
            // What rescues is not what is meant to be.
            Item::Block(block) => {
                calls(&block.steps, found);
                calls(&block.always, found);
            }
        }
    }
}
