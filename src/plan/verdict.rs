//! What the controller decides about a step after it ran: `changed_when`, `failed_when` and `until` that read
//! the step's own result.

use super::cursor::pending;
use super::state::HostState;
use super::step::flag;
use super::world::World;
use crate::playbook::Task;
use crate::source::{Node, Problem, Yaml};
use crate::vars::{Layer, Scope, Text, Unresolved};
use crate::wire::{Failure, Outcome, Told};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// What became of a step in the end.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    Final(Outcome),
    /// `until` does not hold yet.
    Again {
        after: Duration,
        left: u32,
    },
}

/// Whether a task's outcome can only be decided here.
pub(super) fn needed(task: &Task) -> bool {
    let own = |nodes: &[Node]| nodes.iter().any(|n| literal(n).is_none());
    task.until.is_some() || own(&task.changed_when) || own(&task.failed_when)
}

/// The value of a condition that needs no evaluation.
pub(super) fn literal(node: &Node) -> Option<bool> {
    match &node.value {
        Yaml::Bool(b) => Some(*b),
        Yaml::Text(t) if t == "true" => Some(true),
        Yaml::Text(t) if t == "false" => Some(false),
        _ => None,
    }
}

/// All of the conditions, when none needs evaluation. `None` without conditions.
pub(super) fn literals(nodes: &[Node]) -> Option<bool> {
    if nodes.is_empty() {
        return None;
    }
    nodes
        .iter()
        .map(literal)
        .collect::<Option<Vec<_>>>()
        .map(|all| all.into_iter().all(|b| b))
}

/// Judges one step by its task's conditions. `tried` counts the attempts so far, this one included.
pub(super) fn judge(
    world: &World<'_>,
    host: &HostState,
    task: &Task,
    over: &[Arc<Layer>],
    told: &Told,
    tried: u32,
) -> Result<Verdict, Unresolved> {
    // It never ran: there is no result that the conditions could read.
    if matches!(told.outcome, Outcome::Skipped(_)) {
        return Ok(Verdict::Final(told.outcome.clone()));
    }
    let mut over = over.to_vec();
    if let Some(register) = &task.register {
        let result = Value::Object(told.result.clone().unwrap_or_default());
        over.push(Arc::new(Layer::new("register").with(register, result)));
    }
    let ladder = world.ladder(host, Some(task), &over);
    let scope = Scope::new(&ladder);
    let dry = flag(&scope, task.settings.check_mode.as_ref())?.unwrap_or(world.check);
    // The result lacks what a step that failed early, or was only looked at, would have said.
    let is_partial = dry || matches!(told.outcome, Outcome::Failed(_));
    let hold = |conditions: &[Node]| match all(&scope, conditions) {
        Err(Unresolved::Wrong(_)) if is_partial => Ok(None),
        other => other.map(Some),
    };
    if let Some(until) = task.until.as_ref().filter(|_| !dry) {
        let retries = number(&scope, until.retries.as_ref(), 3)?;
        let delay = number(&scope, until.delay.as_ref(), 5)?;
        if hold(&until.conditions)? != Some(true) {
            if tried <= retries {
                return Ok(Verdict::Again {
                    after: Duration::from_secs(u64::from(delay)),
                    left: retries - tried + 1,
                });
            }
            let failure = Failure::new(format!("`until` did not hold after {tried} attempts"));
            return Ok(Verdict::Final(Outcome::Failed(match &told.outcome {
                Outcome::Failed(last) => failure
                    .detail([last.message.clone()])
                    .detail(last.detail.iter().cloned()),
                _ => failure,
            })));
        }
    }
    let mut outcome = told.outcome.clone();
    if !task.failed_when.is_empty() {
        outcome = match (hold(&task.failed_when)?, outcome) {
            (Some(true), failed @ Outcome::Failed(_)) => failed,
            (Some(true), _) => Outcome::Failed(Failure::new("`failed_when` holds")),
            (Some(false), Outcome::Failed(_)) => Outcome::Changed(vec!["ran".into()]),
            (_, outcome) => outcome,
        };
    }
    if !task.changed_when.is_empty() {
        outcome = match (hold(&task.changed_when)?, outcome) {
            (Some(true), Outcome::Unchanged) => {
                Outcome::Changed(vec!["`changed_when` holds".into()])
            }
            (Some(false), Outcome::Changed(_)) => Outcome::Unchanged,
            (_, outcome) => outcome,
        };
    }
    Ok(Verdict::Final(outcome))
}

/// What is wrong with the conditions whatever the step will say: its result alone is not known yet.
pub(super) fn foresee(
    world: &World<'_>,
    host: &HostState,
    task: &Task,
    over: &[Arc<Layer>],
) -> Vec<Problem> {
    let mut over = over.to_vec();
    over.push(Arc::new(pending("register", &task.register, "this step")));
    let ladder = world.ladder(host, Some(task), &over);
    let scope = Scope::new(&ladder);
    let until = task.until.as_ref();
    let when: Vec<Text<'_>> = task.when.iter().map(Text::Condition).collect();
    let mut found = Vec::new();
    let conditions = until.map(|until| until.conditions.as_slice());
    for all in [
        conditions.unwrap_or_default(),
        &task.failed_when,
        &task.changed_when,
    ] {
        let beside: Vec<Text<'_>> = all
            .iter()
            .map(Text::Condition)
            .chain(when.clone())
            .collect();
        for condition in all {
            match scope.truth(condition) {
                Ok(true) => {}
                // Those behind it are never asked.
                Ok(false) => break,
                Err(Unresolved::Wrong(problem)) => found.push(*problem),
                Err(Unresolved::Pending { .. }) => {
                    found.extend(scope.strangers(&[Text::Condition(condition)], &beside));
                }
            }
        }
    }
    let numbers = until.map(|until| [&until.retries, &until.delay]);
    for node in numbers.into_iter().flatten().flatten() {
        match number(&scope, Some(node), 0) {
            Ok(_) => {}
            Err(Unresolved::Wrong(problem)) => found.push(*problem),
            Err(Unresolved::Pending { .. }) => {
                found.extend(scope.strangers(&[Text::Words(node)], &when));
            }
        }
    }
    found
}

fn all(scope: &Scope<'_>, conditions: &[Node]) -> Result<bool, Unresolved> {
    for condition in conditions {
        if !scope.truth(condition)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn number(scope: &Scope<'_>, node: Option<&Node>, default: u32) -> Result<u32, Unresolved> {
    let Some(node) = node else { return Ok(default) };
    let value = scope.render(node)?;
    let number = value
        .as_u64()
        .or_else(|| value.as_str().and_then(|t| t.trim().parse().ok()));
    number.and_then(|n| u32::try_from(n).ok()).ok_or_else(|| {
        Problem::new("this must be a whole number")
            .at(&node.span)
            .into()
    })
}
