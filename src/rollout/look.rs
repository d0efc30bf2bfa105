//! A look arrives: is it worth anything, did somebody fall, and who decides on it.

use super::Rollout;
use super::ending::Standing;
use super::host::{Host, Stage, Then, With};
use super::policy::OnFailure;
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
    /// There was one.
    pub is_had: bool,
    vain: u8,
}

impl Rollout {
    pub(super) fn look(&mut self, rest: Duration, actions: &mut Vec<Action>) {
        self.look.is_asked = true;
        for host in &mut self.hosts {
            host.overtook = false;
        }
        actions.push(Action::Observe { rest });
    }

    /// Whether it is worth another look; if so, one is asked for.
    pub(super) fn look_again(&mut self, actions: &mut Vec<Action>) -> bool {
        if !self.look.is_asked && self.look.vain + 1 < LOOKS {
            self.look.vain += 1;
            self.look(REST, actions);
        }
        self.look.is_asked
    }

    pub(super) fn seen(&mut self, now: Duration, seen: Seen, actions: &mut Vec<Action>) {
        if !self.look.is_asked {
            return;
        }
        self.look.is_asked = false;
        self.look.is_had = true;
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
        let fallen = self.count_fallen();
        if !fallen.is_empty() && self.look_again(actions) {
            return;
        }
        for at in fallen {
            self.mourn(at);
        }
        self.stop_or_give_back(now, actions);
        for at in 0..self.hosts.len() {
            self.judge(at, now, actions);
        }
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
        // Where an earlier run left them out cannot be told; they stay.
        for at in self.forgotten() {
            self.hosts[at].attempts += 1;
        }
        for at in self.all(|h| h.stage == Stage::Drained(Then::Unwind)) {
            self.put_back(at, With::StillNew, actions);
        }
        for at in self.all(|h| h.stage == Stage::Drained(Then::Restore)) {
            self.restore_broken(at, now, actions);
        }
        for at in self.all(|h| matches!(h.stage, Stage::Leaving { .. })) {
            let why = why.to_owned();
            self.hosts[at].settle(Standing::Failing { why });
        }
    }

    /// Hosts that nobody asked anything of and that no longer serve.
    fn count_fallen(&mut self) -> Vec<usize> {
        let mut fallen = Vec::new();
        for (at, host) in self.hosts.iter_mut().enumerate() {
            host.served |= host.serves();
            if self.halt.is_none() && host.has_fallen() {
                host.absent = LOOKS.min(host.absent + 1);
                fallen.push(at);
            } else {
                host.absent = 0;
            }
        }
        fallen
    }

    /// One that was finished fell with its new state: that is a failure of the change. Any other
    /// says that something else goes on here, which is no time to take hosts out.
    fn mourn(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        host.served = false;
        let why = format!("{}, and it served before", host.trouble());
        let is_sure = host.absent == LOOKS;
        if is_sure && host.stage == Stage::Settled(Standing::Done) {
            let goes_back = host.installed && self.policy.on_failure == OnFailure::Rollback;
            host.stage = match goes_back {
                true => Stage::Leaving { waits: false },
                false => Stage::Settled(Standing::Sick { why: why.clone() }),
            };
            self.fail(at, &why);
        } else if self.policy.on_failure != OnFailure::Continue {
            let name = &self.hosts[at].name;
            self.pause(format!("{name} is {why}"));
        }
    }
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
