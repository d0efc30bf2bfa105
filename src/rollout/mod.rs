//! WHEN: which host of a serving cluster is changed next, and what happens if that goes wrong.
//!
//! A rollout is told what is true and answers what to do; it has no clock, no network and no chance in it, so every
//! schedule can be played before it happens to anybody (`tests/rollout`). What it means to drain, change or probe a
//! host is its driver's business. One rollout is one tier: the hosts of one play. Tiers follow one another and hand
//! on a [`Ledger`].
//!
//! # The story
//!
//! [`Rollout::begin`] takes the hosts as a dry run [`Found`] them. Those that need nothing disruptive converge side
//! by side while they serve. Then, batch by batch:
//!
//! ```text
//!           look        look                                       again at most 3 times
//!            |           |                                              +----+
//! Waiting ---+-> TakeOut +-> Change ----------> PutBack ----------> Soak <---+ --> Done
//!    ^            |      |      | failed              (new state)       | failed
//!    |     refused|      |      v                                       v
//!    |            |      |   look -> Restore <----------- look <- TakeOut <- look
//!    |            v      v              | failed          (still out?)
//!    +-------- PutBack (as it was)      |   +-> PutBack (old state) --> RolledBack
//!                                       v
//!                                 Quarantined: stays out
//! ```
//!
//! A canary is watched before it is put back too ([`Policy::canary_bake`]), so that what turns bad soon meets nobody. A soak
//! that fails begins again, at most 3 times. One whose host does worse than before, counted over many requests, does
//! not ([`How::Worse`]), and one that the operator cuts short ends where it is ([`How::Cut`]).
//!
//! 1. **Nobody is taken out without a look** ([`Action::Observe`]) at all hosts and balancers that is at most 10
//!    seconds old, and nobody is stopped without another one: it must still be out everywhere, nobody else may want it
//!    out, and enough others must still serve. What may pass by itself is looked at three times.
//! 2. **Who goes next**: first installs; the canary; then the ramp of [`Policy::serial`]. Weak hosts first, as they
//!    take nothing away; leaders last and alone; zone after zone, never across. What the service can spare caps it
//!    ([`Policy::needed`], [`Policy::max_unavailable`]).
//! 3. **A batch goes out as a whole** before any of it is stopped, so that no request moves to the next victim. Then
//!    its hosts are changed side by side.
//! 4. **A host that fails** before it was stopped goes back as it was. After that its old state is restored, once. If
//!    that fails too it stays out: a host that proved bad is never put back.
//! 5. **A failure counts** once per host, whatever it was and over all tiers, and the policy decides: begin nobody
//!    else, go on while the budget lasts, or take the finished hosts back, newest first, by the same steps. Whatever
//!    halts it, hosts under way are finished first and intact hosts are put back, also those that an earlier run left out.
//! 6. **It ends** with a [`Verdict`] and a [`Standing`] for every host. It says [`Verdict::Done`] only after a last
//!    look at which all hosts serve.
//!
//! # The driver
//!
//! carries out every action, those of one answer at the same time, and reports each once per host
//! ([`Observation`]), also what failed or ran out of time. It may report [`Observation::Worse`] and
//! [`Observation::Stop`] at any time. The rollout can be kept (serde) after each [`Rollout::hear`]; whoever reads it
//! again looks at the hosts before it goes on.

mod answers;
mod asks;
mod batch;
mod drained;
mod ending;
mod halt;
mod host;
mod leave;
mod ledger;
mod look;
mod next;
mod policy;
mod service;
mod words;

pub use ending::{Ending, Standing, Verdict};
pub use leave::may_leave;
pub use ledger::Ledger;
pub use policy::{FirstInstall, OnFailure, Policy};
pub use words::{Action, Drain, Found, How, Needs, Observation, Rotation, Seen, Sight, Work};

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
            self.hinder(at, "unreachable");
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
        match self.next() {
            Next::Answers => {}
            Next::Look => self.look(Duration::ZERO, actions),
            Next::End => {
                self.is_finished = true;
                actions.push(Action::Finish(self.ending()));
            }
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

    fn next(&self) -> Next {
        let (mut look, mut answers) = (false, false);
        for host in &self.hosts {
            match host.stage {
                // The whole batch is out before a look decides about it.
                Stage::Draining(_) => return Next::Answers,
                Stage::Drained(_) | Stage::Leaving { waits: false } => look = true,
                Stage::Waiting | Stage::Settled(_) => {}
                _ => answers = true,
            }
        }
        let more = match self.halt {
            None => !self.is_over,
            Some(_) => self.is_unwinding() && self.next_to_unwind().is_some() || self.owes_a_look(),
        };
        match (look, answers) {
            (true, _) => Next::Look,
            (_, true) => Next::Answers,
            _ if more => Next::Look,
            _ => Next::End,
        }
    }

    fn has_failures(&self) -> bool {
        self.hosts.iter().any(|h| h.why.is_some())
    }
}

/// What a rollout waits for.
enum Next {
    Answers,
    Look,
    End,
}
