//! Nobody is under way: the next batch, the next host on the way back, or the end.

use super::Rollout;
use super::batch::Batch;
use super::ending::Standing;
use super::host::{Host, Stage, Then, With};
use super::service::{Service, refusal};
use super::words::Action;
use std::time::Duration;

impl Rollout {
    /// Nobody is under way.
    pub(super) fn go_on(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.halt.is_some() {
            let forgotten = self.forgotten();
            return match forgotten.is_empty() {
                true if self.is_unwinding() => self.unwind(actions),
                true => {}
                false => self.put_back_forgotten(&forgotten, actions),
            };
        }
        match self.next_batch() {
            Batch::TakeOut(batch) => self.begin_batch(&batch, actions),
            Batch::Install(batch) => {
                for at in batch {
                    self.change(at, now, actions);
                }
            }
            Batch::PutBack(batch) => self.put_back_forgotten(&batch, actions),
            Batch::Blocked(why) => {
                if !self.look_again(actions) {
                    self.pause(why);
                }
            }
            Batch::Over => self.last_look(actions),
        }
    }

    /// Whoever stops early looks once before it ends, lest what an earlier run left out stays out.
    pub(super) fn owes_a_look(&self) -> bool {
        !self.interrupted && (!self.look.is_had || !self.forgotten().is_empty())
    }

    fn put_back_forgotten(&mut self, forgotten: &[usize], actions: &mut Vec<Action>) {
        for at in forgotten {
            self.hosts[*at].attempts += 1;
            self.put_back(*at, With::Converged, actions);
        }
    }

    fn begin_batch(&mut self, batch: &[usize], actions: &mut Vec<Action>) {
        if batch.iter().all(|at| self.hosts[*at].installed) {
            if self.is_canary_due() {
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
                    && matches!(
                        h.stage,
                        Stage::Settled(Standing::Done | Standing::Held { new: true, .. })
                    )
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
}
