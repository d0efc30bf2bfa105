//! What a worker cannot know of the handlers that are due: the controller's word on a step comes after the
//! step, and a handler may be another worker's.

use super::{Cursor, Place};
use crate::plan::state::HostState;
use crate::playbook::Task;
use crate::wire::{Action, Item, Mode, Outcome, Step, Told};
use serde_json::json;
use std::collections::BTreeMap;

/// Of one step.
#[derive(Debug, Clone)]
pub(super) struct About {
    undecided: bool,
    mode: Option<Mode>,
    /// Set on a handler.
    handler: Option<String>,
    /// Made due where the step runs.
    notify: Vec<String>,
    /// Made due elsewhere.
    afar: Vec<(Place, String)>,
}

/// Steps of no task: the story does not tell of them.
const NOBODYS: u32 = u32::MAX;

impl Cursor<'_> {
    /// Takes out of a step what its own worker has nothing to do with.
    pub(super) fn debts_of(
        &self,
        host: &HostState,
        task: &Task,
        at: &Place,
        step: &mut Step,
    ) -> About {
        let afar = match step.notify.is_empty() {
            true => vec![],
            false => self.stepping(host, task, &[], None).afar(at, &step.notify),
        };
        step.notify
            .retain(|key| !afar.iter().any(|(_, other)| other == key));
        About {
            undecided: step.undecided,
            mode: step.mode,
            handler: step.handler.clone(),
            notify: step.notify.clone(),
            afar,
        }
    }

    /// Lists that set right which handlers are due, now that the outcome stands. `heard` is what the worker
    /// itself said, `owed` what it noted down as due for that.
    pub fn debts(
        &self,
        at: &Place,
        told: &Told,
        heard: &Outcome,
        owed: &[String],
    ) -> BTreeMap<Place, Vec<Item>> {
        let mut lists: BTreeMap<Place, Vec<Item>> = BTreeMap::new();
        let Some(about) = self.about.get(&told.step).map(|about| &about.debts) else {
            return lists;
        };
        let mut note = |place: &Place, step: Step| {
            let list = lists.entry(place.clone()).or_default();
            let id = NOBODYS - u32::try_from(list.len()).unwrap_or_default();
            list.push(Item::Step(Step { id, ..step }));
        };
        let failed = matches!(told.outcome, Outcome::Failed(_));
        let changed = matches!(told.outcome, Outcome::Changed(_));
        if changed {
            for (place, key) in &about.afar {
                note(place, owing(about.mode, vec![key.clone()]));
            }
        }
        if !about.undecided {
            return lists;
        }
        if changed && !matches!(heard, Outcome::Changed(_)) && !about.notify.is_empty() {
            note(at, owing(about.mode, about.notify.clone()));
        }
        if !changed && !failed {
            for key in owed {
                note(at, settling(about.mode, key));
            }
        }
        // A handler with a loop is settled after its last step; one that nobody notified told so.
        let has_run = !failed && !matches!(heard, Outcome::Skipped(_));
        if let Some(key) = about
            .handler
            .as_ref()
            .filter(|_| has_run && self.queue.is_empty())
        {
            note(at, settling(about.mode, key));
        }
        lists
    }
}

/// Nothing but a change that makes handlers due.
fn owing(mode: Option<Mode>, keys: Vec<String>) -> Step {
    let action = Action::Call {
        module: "debug".to_owned(),
        params: json!({ "msg": "" }),
    };
    Step {
        notify: keys,
        changed_when: Some(true),
        ..step(mode, action)
    }
}

/// A handler that is through.
fn settling(mode: Option<Mode>, key: &str) -> Step {
    let reason = "it has run".to_owned();
    Step {
        handler: Some(key.to_owned()),
        ..step(mode, Action::Skip { reason })
    }
}

fn step(mode: Option<Mode>, action: Action) -> Step {
    Step {
        id: NOBODYS,
        task: NOBODYS,
        title: String::new(),
        item: None,
        action,
        notify: vec![],
        handler: None,
        changed_when: None,
        failed_when: None,
        undecided: false,
        ignore_errors: false,
        no_log: true,
        wants_result: false,
        environment: vec![],
        mode,
        diff: None,
    }
}
