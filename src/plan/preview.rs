//! The plan as a document: what each host would be sent, for `plan`, `lint` and the snapshots of the tests.

use super::batches::batches;
use super::cursor::{Cursor, Leg, Turn};
use super::place::Place;
use super::state::HostState;
use super::world::World;
use crate::playbook::{Action, Play, Task};
use crate::source::{Problems, Result};
use crate::vars::Scope;
use crate::wire::Item;
use indexmap::IndexMap;
use serde::Serialize;

#[derive(Debug, Default, Serialize)]
pub struct Plan {
    pub plays: Vec<PlayPlan>,
}

#[derive(Debug, Serialize)]
pub struct PlayPlan {
    pub name: String,
    pub batches: Vec<BatchPlan>,
}

#[derive(Debug, Serialize)]
pub struct BatchPlan {
    pub hosts: IndexMap<String, Vec<Line>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// One message to one worker.
    Carry { place: Place, items: Vec<Item> },
    /// Planned when the result of `after` is in.
    Deferred { task: String, after: String },
}

/// A play's tasks, cut where all hosts must have arrived: before and after a `run_once` task.
#[derive(Debug)]
pub enum Stretch<'a> {
    Each(Vec<Leg<'a>>),
    /// By the first host of the batch; every host learns the result.
    Once(&'a Task),
}

/// Whether the task is for one host of the batch; `run_once: false` is not.
pub(super) fn runs_once(task: &Task) -> bool {
    let wanted = task.settings.run_once.as_ref();
    wanted.is_some_and(|node| super::verdict::literal(node) != Some(false))
}

pub fn stretches(play: &Play) -> Vec<Stretch<'_>> {
    let mut cut = Vec::new();
    let mut legs = Vec::new();
    for section in &play.sections {
        let mut from = 0;
        for (at, task) in section.tasks.iter().enumerate() {
            if runs_once(task) && !matches!(task.action, Action::Block { .. }) {
                legs.push(Leg::Tasks(&section.tasks[from..at]));
                cut.push(Stretch::Each(std::mem::take(&mut legs)));
                cut.push(Stretch::Once(task));
                from = at + 1;
            }
        }
        legs.push(Leg::Tasks(&section.tasks[from..]));
        legs.push(Leg::Flush);
    }
    cut.push(Stretch::Each(legs));
    cut
}

/// Walks one play for its hosts without contacting any: what can be planned, and all problems of all hosts.
pub fn preview(
    world: &mut World<'_>,
    hosts: &mut IndexMap<String, HostState>,
) -> (PlayPlan, Problems) {
    let mut problems = Problems::new();
    let names: Vec<String> = hosts.keys().cloned().collect();
    world.play_hosts = names.clone();
    let cut = batches(&names, world.play.serial.as_ref());
    let cut = problems.take(cut).unwrap_or_default();
    let mut plan = PlayPlan {
        name: world.play.name.clone(),
        batches: vec![],
    };
    for batch in cut {
        world.begin(batch.clone());
        let mut lists = IndexMap::new();
        for stretch in stretches(world.play) {
            let (legs, on): (Vec<Leg<'_>>, &[String]) = match &stretch {
                Stretch::Each(legs) => (legs.clone(), &batch),
                Stretch::Once(task) => (
                    vec![Leg::Tasks(std::slice::from_ref(*task))],
                    &batch[..1.min(batch.len())],
                ),
            };
            for name in on {
                let Some(host) = hosts.get_mut(name) else {
                    continue;
                };
                let lines: &mut Vec<Line> = lists.entry(name.clone()).or_default();
                let cursor = Cursor::new(world, &legs, true);
                walk(cursor, host, lines, &mut problems);
            }
            if let Stretch::Once(task) = stretch {
                share(task, hosts, &batch);
            }
        }
        plan.batches.push(BatchPlan { hosts: lists });
    }
    (plan, problems)
}

/// Plans tasks that no play lists for one host, for the mistakes in them.
pub fn rehearse(world: &World<'_>, tasks: &[Task], host: &HostState) -> Problems {
    let mut problems = Problems::new();
    let cursor = Cursor::rehearsal(world, &[Leg::Tasks(tasks)]);
    walk(cursor, &mut host.clone(), &mut vec![], &mut problems);
    problems
}

fn walk(
    mut cursor: Cursor<'_>,
    host: &mut HostState,
    lines: &mut Vec<Line>,
    problems: &mut Problems,
) {
    loop {
        match cursor.next(host) {
            Ok(Turn::Done) => return,
            Ok(Turn::Carry { place, items }) => lines.push(Line::Carry { place, items }),
            Ok(Turn::Deferred { title, after }) => {
                lines.push(Line::Deferred { task: title, after })
            }
            Err(problem) => problems.push(problem),
        }
    }
}

/// What one host learned by a `run_once` task, all of the batch know.
pub fn share(task: &Task, hosts: &mut IndexMap<String, HostState>, batch: &[String]) {
    let names = task.teaches();
    let Some(first) = batch.first().and_then(|b| hosts.get(b)) else {
        return;
    };
    let learned: Vec<_> = names
        .iter()
        .filter_map(|n| Some(((*n).to_owned(), first.learned.variables.get(*n)?.clone())))
        .collect();
    let unsure = first.unsure.clone();
    for name in batch {
        if let Some(host) = hosts.get_mut(name) {
            let all = std::sync::Arc::make_mut(&mut host.learned);
            all.variables.extend(learned.iter().cloned());
            for name in &names {
                host.doubt(&[name], unsure.contains(*name));
            }
        }
    }
}

/// The play's host pattern, which may be a template over the extra vars.
pub fn hosts_text(world: &World<'_>) -> Result<String> {
    let mut ladder = crate::vars::Ladder::default();
    ladder.push(std::sync::Arc::clone(&world.common));
    ladder.push(std::sync::Arc::clone(&world.play.vars));
    ladder.push(std::sync::Arc::clone(&world.extra));
    let scope = Scope::new(&ladder);
    let value = scope.render(&world.play.hosts).map_err(wrong)?;
    match value {
        serde_json::Value::Array(list) => Ok(list
            .iter()
            .filter_map(|v| v.as_str())
            .collect::<Vec<_>>()
            .join(":")),
        serde_json::Value::String(text) => Ok(text),
        _ => Err(crate::source::Problem::new("`hosts` needs a host pattern")
            .at(&world.play.hosts.span)
            .into()),
    }
}

fn wrong(unresolved: crate::vars::Unresolved) -> Problems {
    match unresolved {
        crate::vars::Unresolved::Wrong(problem) => (*problem).into(),
        crate::vars::Unresolved::Pending { name, .. } => {
            crate::source::Problem::new(format!("`{name}` is not known yet")).into()
        }
    }
}
