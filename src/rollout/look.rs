//! What a fresh look decides: who is stopped, who goes back, who is taken out next.

use super::Rollout;
use super::answers::TAKE_OUTS;
use super::batch::Batch;
use super::ending::Standing;
use super::host::{Host, Stage, Then, With};
use super::policy::OnFailure;
use super::service::{Service, refusal};
use super::words::{Action, Seen};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The oldest look on which anything may be decided.
const FRESH: Duration = Duration::from_secs(10);
/// Looks on which the same thing may go wrong before it is believed.
const LOOKS: u8 = 3;
/// Before looking again at what may pass by itself.
const REST: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Look {
    pub is_asked: bool,
    vain: u8,
}

impl Rollout {
    pub(super) fn look(&mut self, actions: &mut Vec<Action>) {
        self.look.is_asked = true;
        let rest = Duration::ZERO;
        actions.push(Action::Observe { rest });
    }

    /// Whether it is worth another look; if so, one is asked for.
    fn look_again(&mut self, actions: &mut Vec<Action>) -> bool {
        if !self.look.is_asked && self.look.vain + 1 < LOOKS {
            self.look.vain += 1;
            self.look.is_asked = true;
            actions.push(Action::Observe { rest: REST });
        }
        self.look.is_asked
    }

    pub(super) fn seen(&mut self, now: Duration, seen: Seen, actions: &mut Vec<Action>) {
        if !self.look.is_asked {
            return;
        }
        self.look.is_asked = false;
        let blind = blindness(now, &seen);
        self.remember(seen);
        match blind {
            Some(_) if self.look_again(actions) => {}
            Some(why) => self.act_blind(now, &why, actions),
            None => self.act(now, actions),
        }
        if !self.look.is_asked {
            self.look.vain = 0;
        }
    }

    fn remember(&mut self, seen: Seen) {
        for host in &mut self.hosts {
            host.sight = None;
        }
        for (at, sight) in seen.sights.into_iter().enumerate() {
            let at = match self.hosts.get(at) {
                Some(host) if host.name == sight.host => Some(at),
                _ => self.hosts.iter().position(|h| h.name == sight.host),
            };
            if let Some(at) = at {
                self.hosts[at].sight = Some(sight);
            }
        }
    }

    fn act(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let fallen = self.fallen();
        if !fallen.is_empty() && self.look_again(actions) {
            return;
        }
        self.mourn(&fallen);
        for host in &mut self.hosts {
            host.served |= host.serves();
        }
        self.stop_or_give_back(now, actions);
        self.restore_broken(now, actions);
        self.take_out_bad(actions);
        if !self.look.is_asked && !self.hosts.iter().any(Host::is_under_way) {
            self.go_on(now, actions);
        }
    }

    /// What was asked for cannot be seen, and looking again does not help: nothing that is intact
    /// is stopped, and what is stopped is brought back on what was seen last.
    fn act_blind(&mut self, now: Duration, why: &str, actions: &mut Vec<Action>) {
        let brings_back = |h: &Host| {
            matches!(
                h.stage,
                Stage::Drained(Then::Restore) | Stage::Leaving { .. }
            )
        };
        if self.is_unwinding() && !self.hosts.iter().any(brings_back) {
            self.get_stuck(why.to_owned());
        }
        self.pause(why.to_owned());
        for at in self.all(|h| h.stage == Stage::Drained(Then::Unwind)) {
            self.put_back(at, With::StillNew, actions);
        }
        self.restore_broken(now, actions);
        for at in self.all(|h| matches!(h.stage, Stage::Leaving { .. })) {
            let why = why.to_owned();
            self.hosts[at].settle(Standing::Failing { why });
        }
    }

    /// Hosts that nobody asked anything of and that no longer serve.
    fn fallen(&self) -> Vec<usize> {
        if self.halt.is_some() {
            return vec![];
        }
        self.all(|h| h.served && !h.is_under_way() && !h.serves() && h.held_by().is_none())
    }

    /// One that was finished fell with its new state: that is a failure of the change. Any other
    /// says that something else goes on here, which is no time to take hosts out.
    fn mourn(&mut self, fallen: &[usize]) {
        for at in fallen {
            let host = &mut self.hosts[*at];
            host.served = false;
            let why = format!("{}, and it served before", host.complaint());
            if host.stage == Stage::Settled(Standing::Done) {
                let goes_back = host.installed && self.policy.on_failure == OnFailure::Rollback;
                host.stage = match goes_back {
                    true => Stage::Leaving { waits: false },
                    false => Stage::Settled(Standing::Sick { why: why.clone() }),
                };
                self.fail(*at, &why);
            } else if self.policy.on_failure != OnFailure::Continue {
                self.pause(why);
            }
        }
    }

    /// The batch is out: its hosts are stopped together, or go back together.
    fn stop_or_give_back(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.give_back_held(actions);
        if self.take_out_again(actions) || self.halt_holds_batch() {
            return;
        }
        let batch = self.all(is_batch);
        let missed = batch.iter().any(|at| self.hosts[*at].missed);
        if missed && !Service::of(&self.hosts, &self.policy).is_enough() {
            if !self.look_again(actions) {
                self.too_few(&batch, actions);
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

    /// A balancer may forget what it was told. Whether anybody was taken out again; the rest of the
    /// batch waits for them.
    fn take_out_again(&mut self, actions: &mut Vec<Action>) -> bool {
        let mut service = Service::of(&self.hosts, &self.policy);
        let mut again = Vec::new();
        for at in self.all(|h| is_batch(h) && !h.is_out()) {
            let host = &self.hosts[at];
            let Stage::Drained(then) = host.stage else {
                continue;
            };
            if host.attempts < TAKE_OUTS && self.halt_allows(then) && service.spare(host) {
                again.push((at, then));
            } else {
                let why = "its drains do not hold";
                self.not_taken_out(at, then, why, actions);
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

    fn too_few(&mut self, batch: &[usize], actions: &mut Vec<Action>) {
        let Some(first) = batch.first() else {
            return;
        };
        let why = refusal(&self.hosts, &self.policy, &self.hosts[*first]);
        self.pause(why.clone());
        for at in batch {
            self.give_back(*at, &why, actions);
        }
    }

    /// A broken host is stopped again only where nobody can reach it.
    fn restore_broken(&mut self, now: Duration, actions: &mut Vec<Action>) {
        for at in self.all(|h| h.stage == Stage::Drained(Then::Restore)) {
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
    }

    fn take_out_bad(&mut self, actions: &mut Vec<Action>) {
        let mut service = Service::of(&self.hosts, &self.policy);
        let mut out = Vec::new();
        for at in self.all(|h| h.stage == Stage::Leaving { waits: false }) {
            if service.spare(&self.hosts[at]) {
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

    /// Nobody is under way.
    fn go_on(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.is_unwinding() {
            return self.unwind(actions);
        }
        if self.halt.is_some() {
            return;
        }
        match self.next_batch() {
            Batch::TakeOut(batch) => self.begin_batch(&batch, actions),
            Batch::Install(batch) => {
                for at in batch {
                    self.change(at, now, actions);
                }
            }
            Batch::PutBack(batch) => {
                for at in batch {
                    self.hosts[at].attempts += 1;
                    self.put_back(at, With::Converged, actions);
                }
            }
            Batch::Blocked(why) => {
                if !self.look_again(actions) {
                    self.pause(why);
                }
            }
            Batch::Over => self.last_look(actions),
        }
    }

    fn begin_batch(&mut self, batch: &[usize], actions: &mut Vec<Action>) {
        if batch.iter().all(|at| self.hosts[*at].installed) {
            if self.is_canary_due() {
                self.canary_sent = true;
                for at in batch {
                    self.hosts[*at].canary = true;
                }
            } else {
                self.batches += 1;
            }
        }
        let out: Vec<_> = batch.iter().map(|at| (*at, Then::Change)).collect();
        self.take_out(&out, actions);
    }

    /// The newest finished host goes back first, one at a time.
    fn unwind(&mut self, actions: &mut Vec<Action>) {
        let Some(at) = self.next_to_unwind() else {
            return;
        };
        if Service::of(&self.hosts, &self.policy).lend(&self.hosts[at]) {
            self.hosts[at].attempts = 0;
            self.take_out(&[(at, Then::Unwind)], actions);
        } else if !self.look_again(actions) {
            let why = refusal(&self.hosts, &self.policy, &self.hosts[at]);
            self.get_stuck(why);
        }
    }

    pub(super) fn next_to_unwind(&self) -> Option<usize> {
        if self.stuck.is_some() {
            return None;
        }
        let ours = self.ledger.finished.get(self.inherited..)?;
        ours.iter().rev().find_map(|name| {
            let is_it = |h: &Host| {
                h.name == *name
                    && h.installed
                    && h.stage == Stage::Settled(Standing::Done)
                    && h.held_by().is_none()
            };
            self.hosts.iter().position(is_it)
        })
    }

    /// Everybody has the new state; it is said only if everybody serves too.
    fn last_look(&mut self, actions: &mut Vec<Action>) {
        let missing = self.all(|h| !h.serves());
        if missing.is_empty() || self.has_failures() {
            self.is_over = true;
        } else if !self.look_again(actions) {
            let complaints = missing.iter().map(|at| self.hosts[*at].complaint());
            let why = complaints.collect::<Vec<_>>().join(", ");
            self.pause(why);
            for at in missing {
                self.note_held(at);
            }
        }
    }

    fn note_held(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        if let (Some(by), Stage::Settled(Standing::Done)) = (host.held_by(), &host.stage) {
            let by = by.to_owned();
            host.settle(Standing::Held { by, new: true });
        }
    }

    fn take_out(&mut self, batch: &[(usize, Then)], actions: &mut Vec<Action>) {
        if batch.is_empty() {
            return;
        }
        let mut hosts = Vec::new();
        for (at, then) in batch {
            let host = &mut self.hosts[*at];
            host.missed = host.helps();
            host.attempts += 1;
            host.stage = Stage::Draining(*then);
            hosts.push(host.name.clone());
        }
        actions.push(Action::TakeOut { hosts });
    }

    fn change(&mut self, at: usize, now: Duration, actions: &mut Vec<Action>) {
        let host = &mut self.hosts[at];
        host.stage = Stage::Changing { since: now };
        host.attempts = 0;
        actions.push(Action::Change {
            host: host.name.clone(),
            within: self.policy.healthy_deadline,
        });
    }

    fn restore(&mut self, at: usize, now: Duration, unwinding: bool, actions: &mut Vec<Action>) {
        let host = &mut self.hosts[at];
        host.stage = Stage::Restoring {
            since: now,
            unwinding,
        };
        actions.push(Action::Restore {
            host: host.name.clone(),
            within: self.policy.healthy_deadline,
        });
    }
}

/// Out on purpose, with a state that works.
fn is_batch(host: &Host) -> bool {
    matches!(host.stage, Stage::Drained(Then::Change | Then::Unwind))
}

/// Why a look is worth nothing.
fn blindness(now: Duration, seen: &Seen) -> Option<String> {
    let age = now.saturating_sub(seen.taken);
    if age > FRESH {
        let (age, fresh) = (age.as_secs(), FRESH.as_secs());
        return Some(format!(
            "hosts and balancers could not be read in time: it took {age} s, and {fresh} s is the limit"
        ));
    }
    (!seen.unread.is_empty()).then(|| format!("cannot be read: {}", seen.unread.join(", ")))
}
