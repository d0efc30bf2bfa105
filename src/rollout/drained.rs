//! Hosts that are out, or should be: a fresh look decides who is stopped, who goes back and who leaves.

use super::Rollout;
use super::asks::TAKE_OUTS;
use super::ending::Standing;
use super::host::{Host, Stage, Then, With};
use super::service::{Service, refusal};
use super::words::Action;
use std::time::Duration;

impl Rollout {
    /// The batch is out: its hosts are stopped together, or go back together.
    pub(super) fn stop_or_give_back(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if !self.hosts.iter().any(is_batch) {
            return;
        }
        self.give_back_held(actions);
        if self.take_out_again(actions) || self.halt_holds_batch() {
            return;
        }
        let batch = self.all(is_batch);
        let missed = batch.iter().any(|at| self.hosts[*at].missed);
        let is_enough = || Service::of(&self.hosts, &self.policy).is_enough();
        if let (Some(first), true) = (batch.first(), missed && !is_enough()) {
            if !self.look_again(actions) {
                self.too_few(*first, actions);
            }
            return;
        }
        for at in batch {
            match self.hosts[at].stage {
                Stage::Drained(Then::Unwind) => self.restore(at, now, true, actions),
                _ => self.change(at, now, actions),
            }
        }
    }

    /// Somebody else wants them out now: that is no state to change them in.
    fn give_back_held(&mut self, actions: &mut Vec<Action>) {
        for at in self.all(|h| is_batch(h) && h.held_by().is_some()) {
            let why = self.hosts[at].complaint();
            self.give_back(at, &why, actions);
        }
    }

    fn give_back(&mut self, at: usize, why: &str, actions: &mut Vec<Action>) {
        if self.hosts[at].stage == Stage::Drained(Then::Unwind) {
            self.get_stuck(why.to_owned());
            self.put_back(at, With::StillNew, actions);
        } else {
            self.put_back(at, With::Untouched, actions);
        }
    }

    /// A balancer may forget what it was told. Whether anybody must be taken out again; the rest of
    /// the batch waits for them.
    fn take_out_again(&mut self, actions: &mut Vec<Action>) -> bool {
        let lost = self.all(|h| is_batch(h) && !h.is_out());
        let mut service = Service::of(&self.hosts, &self.policy);
        let mut again = Vec::new();
        for at in &lost {
            let host = &self.hosts[*at];
            let Stage::Drained(then) = host.stage else {
                continue;
            };
            if host.attempts >= TAKE_OUTS {
                let why = "its drains do not hold";
                self.not_taken_out(*at, then, why, actions);
            } else if !service.spare(host) {
                self.too_few(*at, actions);
                return true;
            } else if self.halt_allows(then) {
                again.push((*at, then));
            }
        }
        let found = !again.is_empty();
        self.take_out(&again, actions);
        found
    }

    fn halt_allows(&self, then: Then) -> bool {
        match then {
            Then::Change => self.halt.is_none(),
            Then::Unwind => self.is_unwinding(),
            Then::Restore => true,
        }
    }

    /// What a halt leaves drained goes back without a look.
    fn halt_holds_batch(&self) -> bool {
        self.hosts.iter().any(|h| match h.stage {
            Stage::Drained(then) => !self.halt_allows(then),
            _ => false,
        })
    }

    /// Others fell while the batch was out: all of it goes back.
    fn too_few(&mut self, wanted: usize, actions: &mut Vec<Action>) {
        let why = refusal(&self.hosts, &self.policy, &self.hosts[wanted]);
        self.pause(why.clone());
        for at in self.all(is_batch) {
            self.give_back(at, &why, actions);
        }
    }

    /// What the look says about a host by itself.
    pub(super) fn judge(&mut self, at: usize, now: Duration, actions: &mut Vec<Action>) {
        let host = &self.hosts[at];
        match &host.stage {
            Stage::Drained(Then::Restore) => self.restore_broken(at, now, actions),
            // A balancer may forget these drains too.
            Stage::Settled(Standing::Quarantined { why }) if !host.is_out() => {
                let why = why.clone();
                self.leave(at, &why);
            }
            // Changed, and held out by somebody else until now.
            Stage::Settled(Standing::Held { new: true, .. })
                if self.halt.is_none() && host.held_by().is_none() =>
            {
                self.soak(at, 0, actions);
            }
            _ => {}
        }
    }

    /// A broken host is stopped again only where nobody can reach it.
    pub(super) fn restore_broken(&mut self, at: usize, now: Duration, actions: &mut Vec<Action>) {
        let host = &mut self.hosts[at];
        let why = host.why.clone().unwrap_or_default();
        if !host.is_out() {
            self.leave(at, &why);
        } else if host.can_go_back() {
            self.restore(at, now, false, actions);
        } else {
            host.settle(Standing::Quarantined { why });
        }
    }

    pub(super) fn take_out_bad(&mut self, actions: &mut Vec<Action>) {
        let bad = self.all(Host::is_unwanted);
        if bad.is_empty() {
            return;
        }
        let mut service = Service::of(&self.hosts, &self.policy);
        let mut out = Vec::new();
        for at in bad {
            if self.hosts[at].held_by().is_some() {
                // Whoever took it out works on it.
                let why = self.hosts[at].complaint();
                self.hosts[at].settle(Standing::Failing { why });
            } else if service.spare(&self.hosts[at]) {
                out.push((at, Then::Restore));
            } else if self.hosts.iter().any(Host::will_answer) {
                self.hosts[at].stage = Stage::Leaving { waits: true };
            } else if !self.look_again(actions) {
                let why = refusal(&self.hosts, &self.policy, &self.hosts[at]);
                self.hosts[at].settle(Standing::Failing { why });
            }
        }
        self.take_out(&out, actions);
    }
}

/// Out on purpose, with a state that works.
fn is_batch(host: &Host) -> bool {
    matches!(host.stage, Stage::Drained(Then::Change | Then::Unwind))
}
