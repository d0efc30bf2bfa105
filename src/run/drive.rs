//! Drives one host through its part of a play: plan, send, hear, tell.

use super::errand::failure_of;
use super::fleet::{Carried, Fleet};
use super::teller::Teller;
use crate::event::{Event, StepEnded};
use crate::plan::{About, Answer, Cursor, HostState, Leg, Place, Turn, Verdict, World};
use crate::playbook::Action;
use crate::rules;
use crate::source::Problem;
use crate::ssh::Lost;
use crate::wire::{Failure, FromWorker, Item, Mode, Outcome, Told};
use std::time::Duration;

/// How a host got through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driven {
    Through,
    Failed,
    Lost(Lost),
    /// The run was asked to stop.
    Interrupted,
}

/// Counts what happened; the recap is its sum.
pub type Count<'c> = &'c (dyn Fn(&str, u32, &Outcome, bool) + Sync);

pub struct Driver<'a> {
    pub world: &'a World<'a>,
    pub fleet: &'a Fleet<'a>,
    pub teller: &'a Teller,
    pub count: Count<'a>,
    /// Also when the run is asked to stop: a node that is out of rotation has to come back.
    pub sees_through: bool,
}

impl Driver<'_> {
    pub async fn drive(&self, host: &mut HostState, legs: &[Leg<'_>]) -> Driven {
        let mut cursor = Cursor::new(self.world, legs, false);
        loop {
            if self.may_stop() {
                return Driven::Interrupted;
            }
            let turn = match cursor.next(host) {
                Ok(turn) => turn,
                Err(problem) => {
                    self.broken(host, &problem);
                    match cursor.fail() {
                        Answer::Go => continue,
                        Answer::Stopped => return Driven::Failed,
                    }
                }
            };
            let (place, items) = match turn {
                Turn::Done => return Driven::Through,
                Turn::Carry { place, items } => (place, items),
                // Only previews defer; a live walk reports a problem instead.
                Turn::Deferred { .. } => continue,
            };
            match self.carry(&mut cursor, host, &place, items).await {
                Err(lost) => return Driven::Lost(lost),
                Ok(carried) => {
                    if place.host == host.name {
                        host.owes_still(&carried.due);
                    }
                    let answer = cursor.hear(host, &carried.told, carried.failed);
                    if answer == Answer::Stopped {
                        // A worker that was told to stop says no more than that its list is not through.
                        return match self.may_stop() {
                            true => Driven::Interrupted,
                            false => Driven::Failed,
                        };
                    }
                }
            }
        }
    }

    fn may_stop(&self) -> bool {
        !self.sees_through && self.fleet.is_stopping()
    }

    /// Sends one list. A step whose outcome is decided here goes again until it is decided.
    async fn carry(
        &self,
        cursor: &mut Cursor<'_>,
        host: &HostState,
        place: &Place,
        items: Vec<Item>,
    ) -> Result<Carried, Lost> {
        let mut owed = Vec::new();
        loop {
            let hear = |said: &FromWorker| self.said(cursor, host, said);
            let mut carried = match self.sees_through {
                true => {
                    self.fleet
                        .see_through(place, items.clone(), Mode::Apply, hear)
                        .await?
                }
                false => self.fleet.carry(place, items.clone(), hear).await?,
            };
            let decided = carried
                .told
                .last()
                .filter(|t| cursor.about(t.step).is_some_and(|a| a.verdict))
                .cloned();
            let Some(mut told) = decided else {
                for told in &carried.told {
                    self.set_right(cursor, place, told, &told.outcome, &told.owed)
                        .await?;
                }
                return Ok(carried);
            };
            owed.append(&mut told.owed);
            let heard = told.outcome.clone();
            match cursor.judge(host, &told) {
                Ok(Verdict::Again { after, left }) => {
                    self.teller.tell(Event::Progress {
                        host: host.name.clone(),
                        text: format!("not yet, {left} more attempts"),
                    });
                    let _ = tokio::time::timeout(after, self.fleet.stopping()).await;
                    continue;
                }
                Ok(Verdict::Final(outcome)) => told.outcome = outcome,
                Err(problem) => told.outcome = Outcome::Failed(failure_of(&problem)),
            }
            let ignored = cursor.about(told.step).is_some_and(|a| a.ignore_errors);
            self.ended(cursor, host, &told);
            self.set_right(cursor, place, &told, &heard, &owed).await?;
            carried.failed = matches!(told.outcome, Outcome::Failed(_)) && !ignored;
            if let Some(last) = carried.told.last_mut() {
                *last = told;
            }
            return Ok(carried);
        }
    }

    /// Which handlers are due, where the worker of the step could not know.
    async fn set_right(
        &self,
        cursor: &Cursor<'_>,
        place: &Place,
        told: &Told,
        heard: &Outcome,
        owed: &[String],
    ) -> Result<(), Lost> {
        for (place, items) in cursor.debts(place, told, heard, owed) {
            match self.fleet.note(&place, items).await {
                Ok(carried) if carried.failed => {
                    let what = format!("{} cannot keep the record of due handlers", place.host);
                    return Err(Lost::Refused(Failure::new(what).help("is its disk full?")));
                }
                Ok(_) => {}
                // A worker that was told to stop has left; what it noted down as due stays due.
                Err(_) if self.fleet.is_stopping() => {}
                Err(lost) => return Err(lost),
            }
        }
        Ok(())
    }

    fn said(&self, cursor: &Cursor<'_>, host: &HostState, said: &FromWorker) {
        match said {
            FromWorker::Started { step } => {
                if let Some(about) = cursor.about(*step) {
                    self.teller.tell(Event::StepStarted {
                        host: host.name.clone(),
                        title: about.title.clone(),
                        item: about.item.clone(),
                    });
                }
            }
            FromWorker::Progress { text, .. } => self.teller.tell(Event::Progress {
                host: host.name.clone(),
                text: text.clone(),
            }),
            FromWorker::Told(told) if !cursor.about(told.step).is_some_and(|a| a.verdict) => {
                self.ended(cursor, host, told);
            }
            _ => {}
        }
    }

    fn ended(&self, cursor: &Cursor<'_>, host: &HostState, told: &Told) {
        let Some(about) = cursor.about(told.step) else {
            return;
        };
        (self.count)(&host.name, about.number, &told.outcome, about.ignore_errors);
        if let Some(text) = &about.says {
            self.teller.note(Some(&host.name), text.as_str());
        }
        self.teller
            .tell(Event::StepEnded(step_ended(about, host, told)));
    }

    /// A task that could not even be planned, now that the results are in.
    fn broken(&self, host: &mut HostState, problem: &Problem) {
        let number = host.next_task;
        host.next_task += 1;
        let outcome = Outcome::Failed(failure_of(problem));
        (self.count)(&host.name, number, &outcome, false);
        self.teller.tell(Event::StepEnded(StepEnded {
            host: host.name.clone(),
            title: "plan the next task".into(),
            place: problem
                .span
                .as_ref()
                .map_or_else(String::new, crate::source::Span::place),
            item: None,
            handler: false,
            outcome,
            ignored: false,
            diffs: vec![],
            took: Duration::ZERO,
        }));
    }
}

fn step_ended(about: &About<'_>, host: &HostState, told: &Told) -> StepEnded {
    StepEnded {
        host: host.name.clone(),
        title: about.title.clone(),
        place: about.task.span.place(),
        item: about.item.clone(),
        handler: about.handler,
        ignored: about.ignore_errors && matches!(told.outcome, Outcome::Failed(_)),
        outcome: explained(&about.task.action, told.outcome.clone()),
        diffs: told.diffs.clone(),
        took: Duration::from_millis(told.millis),
    }
}

/// A server that does not come up because of something known is told with the rule about it.
fn explained(action: &Action, outcome: Outcome) -> Outcome {
    let starts = |module: &str| ["gate", "instance"].contains(&module);
    match (action, outcome) {
        (Action::Call { module, .. }, Outcome::Failed(failure)) if starts(module) => {
            Outcome::Failed(rules::explained(failure))
        }
        (_, outcome) => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{File, parse};

    #[test]
    fn a_gate_that_fails_on_something_known_names_the_rule() {
        let call = |module: &str| Action::Call {
            module: module.to_owned(),
            params: parse(&File::new("tasks.yaml", "{}")).unwrap_or_else(|_| unreachable!()),
        };
        let line = "Node with id mi-1 already exists in cluster".to_owned();
        let failed = Outcome::Failed(Failure::new("it will not start").detail([line]));
        let help = |module: &str| match explained(&call(module), failed.clone()) {
            Outcome::Failed(failure) => failure.help,
            _ => None,
        };
        assert!(help("gate").is_some_and(|help| help.starts_with("integration-05: ")));
        assert_eq!(help("shell"), None);
    }
}
