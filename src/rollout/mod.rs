//! WHEN: which host of a serving cluster is changed next, and what happens when that goes wrong.

mod answers;
mod batch;
mod ending;
mod halt;
mod host;
mod ledger;
mod look;
mod policy;
mod service;
mod words;

pub use ending::{Ending, Standing, Verdict};
pub use ledger::Ledger;
pub use policy::{FirstInstall, OnFailure, Policy};
pub use words::{
    Action, Drain, Found, How, Needs, Observation, Rotation, Seen, Sight, Work,
};

use halt::Halt;
use host::{Host, Stage, Then, With};
use look::Look;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One tier on its way: the hosts of one play.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rollout {
    policy: Policy,
    hosts: Vec<Host>,
    ledger: Ledger,
    /// How many of the ledger's finished hosts were finished by earlier tiers.
    inherited: usize,
    look: Look,
    canary_sent: bool,
    /// Batches begun, without the canary and first installs.
    batches: usize,
    halt: Option<Halt>,
    interrupted: bool,
    /// Why the way back ended early.
    stuck: Option<String>,
    is_over: bool,
    is_finished: bool,
}

impl Rollout {
    /// Begins with the hosts as they were found, and with what earlier tiers of the run left.
    #[must_use]
    pub fn begin(policy: Policy, found: Vec<Found>, ledger: Ledger) -> (Self, Vec<Action>) {
        let mut rollout = Self {
            policy,
            hosts: found.into_iter().map(Host::from).collect(),
            inherited: ledger.finished.len(),
            ledger,
            look: Look::default(),
            canary_sent: false,
            batches: 0,
            halt: None,
            interrupted: false,
            stuck: None,
            is_over: false,
            is_finished: false,
        };
        rollout.hold_budget();
        rollout.count_unreachable();
        let mut actions = rollout.converge();
        rollout.proceed(&mut actions);
        (rollout, actions)
    }

    /// Hears one thing at `now`, a time on any clock that only goes forward, and says what to do
    /// about it. Same rollout, same observation, same actions.
    #[must_use]
    pub fn hear(&mut self, now: Duration, observation: Observation) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.is_finished {
            return actions;
        }
        match observation {
            Observation::Seen(seen) => self.seen(now, seen, &mut actions),
            Observation::Ended { host, work, how } => {
                self.ended(now, (&host, work, how), &mut actions);
            }
            Observation::Worse { why } => self.pause(why),
            Observation::Stop => {
                self.interrupted = true;
                self.pause("stopped by the operator".to_owned());
            }
        }
        self.proceed(&mut actions);
        actions
    }

    fn count_unreachable(&mut self) {
        for at in self.all(|h| h.needs == Needs::Unreachable) {
            self.hosts[at].settle(Standing::Unreachable);
            self.fail(at, "unreachable");
        }
    }

    /// Hosts that stay in rotation need no look and no turn.
    fn converge(&mut self) -> Vec<Action> {
        if self.halt.is_some() {
            return vec![];
        }
        let mut hosts = Vec::new();
        for at in self.all(|h| h.needs == Needs::Nothing) {
            self.hosts[at].stage = Stage::Converging;
            hosts.push(self.hosts[at].name.clone());
        }
        match hosts.is_empty() {
            true => vec![],
            false => vec![Action::Converge { hosts }],
        }
    }

    /// What follows from the state alone: intact hosts go back after a halt, a look is asked for
    /// when somebody waits for one, and when nothing is left to do it is over.
    fn proceed(&mut self, actions: &mut Vec<Action>) {
        if self.halt.is_some() {
            self.give_back_intact(actions);
        }
        if self.look.is_asked {
            return;
        }
        if self.wants_look() {
            return self.look(actions);
        }
        if !self.hosts.iter().any(Host::is_under_way) {
            self.is_finished = true;
            actions.push(Action::Finish(self.ending()));
        }
    }

    fn give_back_intact(&mut self, actions: &mut Vec<Action>) {
        for at in self.all(|h| h.stage == Stage::Drained(Then::Change)) {
            self.put_back(at, With::Untouched, actions);
        }
        if !self.is_unwinding() {
            for at in self.all(|h| h.stage == Stage::Drained(Then::Unwind)) {
                self.put_back(at, With::StillNew, actions);
            }
        }
    }

    fn wants_look(&self) -> bool {
        if self.hosts.iter().any(|h| matches!(h.stage, Stage::Draining(_))) {
            return false;
        }
        if self.hosts.iter().any(Host::wants_look) {
            return true;
        }
        if self.hosts.iter().any(Host::is_under_way) {
            return false;
        }
        match self.halt {
            None => !self.is_over,
            Some(_) => self.is_unwinding() && self.next_to_unwind().is_some(),
        }
    }

    fn has_failures(&self) -> bool {
        self.hosts.iter().any(|h| h.why.is_some())
    }
}
