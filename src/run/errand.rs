//! Walks lists of steps on one host without telling anyone of each step: a rollout looks before it acts, asks whether a
//! node serves, and takes it out of rotation.

use super::fleet::Fleet;
use crate::plan::{Answer, Cursor, HostState, Leg, Turn, Verdict, World};
use crate::playbook::Action;
use crate::source::Problem;
use crate::ssh::Lost;
use crate::wire::{Failure, Item, Mode, Outcome, Step, Told};

/// What came of an errand.
pub struct Run {
    /// Each step's module, and what became of it.
    pub heard: Vec<(String, Told)>,
    /// The first failure that nothing rescued.
    pub failure: Option<Failure>,
    /// Of the task that failed.
    pub title: String,
    /// With what the errand registered; the run's own state stays as it was.
    pub host: HostState,
}

impl Run {
    pub fn changes_something(&self) -> bool {
        !self.changes().is_empty()
    }

    /// In the modules' own words.
    pub fn changes(&self) -> Vec<String> {
        let changes = self
            .heard
            .iter()
            .filter_map(|(_, told)| match &told.outcome {
                Outcome::Changed(changes) => Some(changes.clone()),
                _ => None,
            });
        changes.flatten().collect()
    }
}

/// Seen through also when the run was asked to stop.
pub async fn run(
    world: &World<'_>,
    fleet: &Fleet<'_>,
    host: &HostState,
    legs: &[Leg<'_>],
    mode: Mode,
) -> Result<Run, Lost> {
    let mut done = Run {
        heard: vec![],
        failure: None,
        title: String::new(),
        host: host.clone(),
    };
    let mut cursor = Cursor::new(world, legs, false);
    loop {
        let (place, items) = match cursor.next(&mut done.host) {
            Ok(Turn::Done) => return Ok(done),
            Ok(Turn::Carry { place, items }) => (place, wanting_results(items)),
            // Only previews defer.
            Ok(Turn::Deferred { .. }) => continue,
            Err(problem) => {
                done.failure.get_or_insert_with(|| failure_of(&problem));
                match cursor.fail() {
                    Answer::Go => continue,
                    Answer::Stopped => return Ok(done),
                }
            }
        };
        let mut carried = fleet.see_through(&place, items, mode, |_| {}).await?;
        for told in &mut carried.told {
            decide(&mut cursor, &done.host, told);
        }
        let failed = carried.failed || carried.told.iter().any(|t| stops(&cursor, t));
        let answer = cursor.hear(&mut done.host, &carried.told, failed);
        for told in carried.told {
            if let Outcome::Failed(failure) = &told.outcome
                && answer == Answer::Stopped
            {
                done.failure.get_or_insert_with(|| failure.clone());
            }
            let about = cursor.about(told.step);
            if let (Some(about), Outcome::Failed(_), true) =
                (about, &told.outcome, done.title.is_empty())
            {
                done.title.clone_from(&about.title);
            }
            let module = match about.map(|a| &a.task.action) {
                Some(Action::Call { module, .. }) => module.clone(),
                _ => String::new(),
            };
            done.heard.push((module, told));
        }
        if answer == Answer::Stopped {
            done.failure
                .get_or_insert_with(|| Failure::new(format!("{} did not get through", host.name)));
            return Ok(done);
        }
    }
}

/// Whoever sends an errand reads what came of it.
fn wanting_results(items: Vec<Item>) -> Vec<Item> {
    let wanting = items.into_iter().map(|item| match item {
        Item::Step(step) => Item::Step(Step {
            wants_result: true,
            ..step
        }),
        block => block,
    });
    wanting.collect()
}

/// An outcome that the controller decides is decided once: whoever sent the errand asks again.
fn decide(cursor: &mut Cursor<'_>, host: &HostState, told: &mut Told) {
    if !cursor.about(told.step).is_some_and(|a| a.verdict) {
        return;
    }
    match cursor.judge(host, told) {
        Ok(Verdict::Final(outcome)) => told.outcome = outcome,
        Ok(Verdict::Again { .. }) => {
            told.outcome = Outcome::Failed(Failure::new("what it waits for is not so yet"));
        }
        Err(problem) => told.outcome = Outcome::Failed(failure_of(&problem)),
    }
}

fn stops(cursor: &Cursor<'_>, told: &Told) -> bool {
    matches!(told.outcome, Outcome::Failed(_))
        && cursor
            .about(told.step)
            .is_some_and(|a| a.verdict && !a.ignore_errors)
}

pub fn failure_of(problem: &Problem) -> Failure {
    let mut failure = Failure::new(problem.message.clone());
    if !problem.reason.is_empty() {
        failure = failure.detail([problem.reason.clone()]);
    }
    let more = problem.more.iter().map(|also| also.message.clone());
    failure = failure.detail(more);
    match &problem.help {
        Some(help) => failure.help(help.clone()),
        None => failure,
    }
}
