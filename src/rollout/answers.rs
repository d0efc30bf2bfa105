//! What an answer makes of its host.

use super::Rollout;
use super::asks::TAKE_OUTS;
use super::ending::Standing;
use super::host::{Stage, Then, With};
use super::words::{Action, How, Needs, Work};
use std::time::Duration;

/// How often a balancer is asked to take an intact host back.
const PUT_BACKS: u8 = 3;
/// How often a soak may begin again.
const SOAK_RESTARTS: u8 = 3;
impl Rollout {
    pub(super) fn ended(
        &mut self,
        now: Duration,
        (host, work, how): (&str, Work, How),
        actions: &mut Vec<Action>,
    ) {
        let Some(at) = self.hosts.iter().position(|h| h.name == host) else {
            return;
        };
        match (&self.hosts[at].stage, work) {
            (Stage::Converging, Work::Converge) => self.converged(at, how),
            (Stage::Draining(then), Work::TakeOut) => self.taken_out(at, *then, how, actions),
            (Stage::Changing { since }, Work::Change) => {
                let within = self.policy.healthy_deadline + self.bake(at);
                let how = in_time(now.saturating_sub(*since), within, how);
                self.changed(at, how, actions);
            }
            (Stage::Returning { with, tries }, Work::PutBack) => {
                self.put_back_ended(at, (*with, *tries), how, actions);
            }
            (Stage::Soaking { restarts }, Work::Soak) => self.soaked(at, *restarts, how, actions),
            (Stage::Restoring { since, unwinding }, Work::Restore) => {
                let unwinding = *unwinding;
                let within = self.policy.healthy_deadline;
                let how = in_time(now.saturating_sub(*since), within, how);
                self.restored(at, unwinding, how, actions);
            }
            // A second answer, or one that nobody waits for.
            _ => return,
        }
        self.hosts[at].overtook = self.look.is_asked;
        self.wake_those_who_wait();
    }

    fn converged(&mut self, at: usize, how: How) {
        match why(how) {
            None => self.hosts[at].settle(Standing::Same),
            Some(why) => {
                self.hosts[at].settle(Standing::Failed { why: why.clone() });
                self.fail(at, &why);
            }
        }
    }

    fn taken_out(&mut self, at: usize, then: Then, how: How, actions: &mut Vec<Action>) {
        match why(how) {
            None => self.hosts[at].stage = Stage::Drained(then),
            Some(why) => self.not_taken_out(at, then, &why, actions),
        }
    }

    /// Nothing was done to the host yet, so it goes back; unless it is bad: then it is tried again.
    pub(super) fn not_taken_out(
        &mut self,
        at: usize,
        then: Then,
        why: &str,
        actions: &mut Vec<Action>,
    ) {
        match then {
            Then::Change => {
                self.hinder(at, why);
                self.put_back(at, With::Untouched, actions);
            }
            Then::Restore => self.leave(at, why),
            Then::Unwind => {
                self.get_stuck(format!("{}: {why}", self.hosts[at].name));
                self.put_back(at, With::StillNew, actions);
            }
        }
    }

    fn changed(&mut self, at: usize, how: How, actions: &mut Vec<Action>) {
        match how {
            How::Well | How::Cut => self.put_back(at, With::New, actions),
            How::Untouched { why } => {
                self.fail(at, &why);
                self.put_back(at, With::Untouched, actions);
            }
            How::Failed { why } | How::Worse { why } | How::Held { by: why } => {
                self.fail(at, &why);
                if self.hosts[at].installed {
                    self.hosts[at].stage = Stage::Drained(Then::Restore);
                } else {
                    self.hosts[at].settle(Standing::NotInstalled { why });
                }
            }
        }
    }

    fn put_back_ended(
        &mut self,
        at: usize,
        (with, tries): (With, u8),
        how: How,
        actions: &mut Vec<Action>,
    ) {
        match how {
            How::Well | How::Cut => self.is_back(at, with, actions),
            How::Held { .. } if with == With::Untouched && self.may_wait_again(at) => {}
            How::Held { by } => {
                let new = matches!(with, With::New | With::StillNew);
                if with == With::New {
                    self.ledger.finish(&self.hosts[at].name);
                }
                self.hosts[at].settle(Standing::Held { by, new });
            }
            How::Failed { .. } | How::Worse { .. } | How::Untouched { .. } if tries < PUT_BACKS => {
                self.put_back(at, with, actions);
                self.hosts[at].stage = Stage::Returning {
                    with,
                    tries: tries + 1,
                };
            }
            How::Failed { why } | How::Worse { why } | How::Untouched { why } => {
                if with == With::New {
                    self.ledger.finish(&self.hosts[at].name);
                }
                self.hosts[at].settle(Standing::Stranded { why: why.clone() });
                self.fail(at, &why);
            }
        }
    }

    fn is_back(&mut self, at: usize, with: With, actions: &mut Vec<Action>) {
        let why = self.hosts[at].why.clone();
        match with {
            With::Untouched if self.may_wait_again(at) => {}
            With::Untouched => self.hosts[at].settle(Standing::Untouched { why }),
            With::Old => self.hosts[at].settle(Standing::RolledBack { why }),
            With::StillNew => self.hosts[at].settle(Standing::Done),
            With::Converged | With::New => self.soak(at, 0, actions),
        }
    }

    /// It was given back because somebody else wanted it out, and nothing was done to it: it may be begun
    /// once more, later.
    fn may_wait_again(&mut self, at: usize) -> bool {
        let host = &mut self.hosts[at];
        let may = self.halt.is_none() && host.why.is_none() && host.attempts < TAKE_OUTS;
        if may {
            host.stage = Stage::Waiting;
            host.canary = false;
        }
        may
    }

    fn soaked(&mut self, at: usize, restarts: u8, how: How, actions: &mut Vec<Action>) {
        match how {
            How::Well => self.stays(at, Standing::Done),
            How::Cut => self.stays(at, Standing::Unproven),
            How::Worse { why } => self.turn_out_bad(at, &why),
            _ if restarts < SOAK_RESTARTS => self.soak(at, restarts + 1, actions),
            how => self.turn_out_bad(at, &why(how).unwrap_or_default()),
        }
    }

    fn stays(&mut self, at: usize, standing: Standing) {
        let host = &mut self.hosts[at];
        host.served = true;
        if host.needs == Needs::Nothing {
            host.settle(Standing::Same);
        } else {
            host.settle(standing);
            self.ledger.finish(&host.name);
        }
    }

    fn turn_out_bad(&mut self, at: usize, why: &str) {
        self.fail(at, why);
        self.leave(at, why);
    }

    fn restored(&mut self, at: usize, unwinding: bool, how: How, actions: &mut Vec<Action>) {
        self.ledger.take_back(&self.hosts[at].name);
        let Some(why) = why(how) else {
            return self.put_back(at, With::Old, actions);
        };
        if unwinding {
            self.get_stuck(format!("{}: {why}", self.hosts[at].name));
        }
        self.fail(at, &why);
        self.hosts[at].settle(Standing::Quarantined { why });
    }

    /// Who could not be spared may be now.
    fn wake_those_who_wait(&mut self) {
        for host in &mut self.hosts {
            if let Stage::Leaving { waits } = &mut host.stage {
                *waits = false;
            }
        }
    }
}

/// The driver keeps the limit; an answer that comes after it all the same counts for nothing.
fn in_time(took: Duration, within: Duration, how: How) -> How {
    if matches!(how, How::Well | How::Cut) && took > within {
        let why = format!("not healthy within {} s", within.as_secs());
        return How::Failed { why };
    }
    how
}

fn why(how: How) -> Option<String> {
    match how {
        How::Well | How::Cut => None,
        How::Failed { why } | How::Untouched { why } | How::Worse { why } => Some(why),
        How::Held { by } => Some(format!("drained by {by}")),
    }
}
