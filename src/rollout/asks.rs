//! Every action on a host is asked for here, beside the stage that waits for its answer.

use super::Rollout;
use super::ending::Standing;
use super::host::{Stage, Then, With};
use super::words::Action;
use std::time::Duration;

/// How often a host is taken out again after its drains were refused or forgotten.
pub(super) const TAKE_OUTS: u8 = 3;

impl Rollout {
    pub(super) fn take_out(&mut self, batch: &[(usize, Then)], actions: &mut Vec<Action>) {
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

    pub(super) fn change(&mut self, at: usize, now: Duration, actions: &mut Vec<Action>) {
        let bake = self.bake(at);
        let host = &mut self.hosts[at];
        host.stage = Stage::Changing { since: now };
        host.attempts = 0;
        actions.push(Action::Change {
            host: host.name.clone(),
            within: self.policy.healthy_deadline,
            bake,
        });
    }

    /// How long it is watched while it is still out.
    pub(super) fn bake(&self, at: usize) -> Duration {
        match self.hosts[at].canary {
            true => self.policy.canary_bake,
            false => Duration::ZERO,
        }
    }

    pub(super) fn restore(
        &mut self,
        at: usize,
        now: Duration,
        unwinding: bool,
        actions: &mut Vec<Action>,
    ) {
        let host = &mut self.hosts[at];
        host.restored = true;
        host.stage = Stage::Restoring {
            since: now,
            unwinding,
        };
        actions.push(Action::Restore {
            host: host.name.clone(),
            within: self.policy.healthy_deadline,
        });
    }

    pub(super) fn put_back(&mut self, at: usize, with: With, actions: &mut Vec<Action>) {
        let host = &mut self.hosts[at];
        host.stage = Stage::Returning { with, tries: 1 };
        let host = host.name.clone();
        actions.push(Action::PutBack { host });
    }

    pub(super) fn soak(&mut self, at: usize, restarts: u8, actions: &mut Vec<Action>) {
        let host = &mut self.hosts[at];
        host.stage = Stage::Soaking { restarts };
        let time = if host.canary {
            self.policy.canary_soak
        } else {
            self.policy.min_healthy_time
        };
        let host = host.name.clone();
        actions.push(Action::Soak { host, time });
    }

    /// Wants a bad host out, if that was not tried too often.
    pub(super) fn leave(&mut self, at: usize, why: &str) {
        let host = &mut self.hosts[at];
        if host.attempts < TAKE_OUTS {
            host.stage = Stage::Leaving { waits: false };
        } else {
            host.settle(Standing::Failing {
                why: why.to_owned(),
            });
        }
    }
}
