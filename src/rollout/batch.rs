//! Who goes next: first installs, then the canary, then the ramp; the weak first, leaders last,
//! never across zones (I8).

use super::Rollout;
use super::ending::Standing;
use super::host::{Host, Stage};
use super::policy::FirstInstall;
use super::service::{Service, refusal};
use super::words::Needs;

/// Hosts by their place in the tier.
pub(super) enum Batch {
    TakeOut(Vec<usize>),
    /// Nobody serves yet, so there is nothing to take them out of.
    Install(Vec<usize>),
    /// Forgotten: see [`Rollout::forgotten`].
    PutBack(Vec<usize>),
    Blocked(String),
    /// Nobody is left to be begun.
    Over,
}

/// Smaller goes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It does not serve: changing it takes nothing away, and may heal it.
    Weak,
    Plain,
    Leader,
}

impl Rollout {
    pub(super) fn next_batch(&self) -> Batch {
        let forgotten = self.forgotten();
        if !forgotten.is_empty() {
            return Batch::PutBack(forgotten);
        }
        let waiting = self.all(Host::is_waiting);
        let free = self.all(|h| h.is_waiting() && h.held_by().is_none());
        let Some(first) = free.first() else {
            return match waiting.first() {
                None => Batch::Over,
                Some(held) => Batch::Blocked(self.hosts[*held].complaint()),
            };
        };
        let installs: Vec<usize> = free
            .iter()
            .copied()
            .filter(|at| !self.hosts[*at].installed)
            .collect();
        if !installs.is_empty() {
            return self.install(installs);
        }
        let zone = self.open_zone(&waiting).unwrap_or(*first);
        let candidates = self.in_order(&free, zone);
        self.cut(&candidates, zone)
    }

    /// Those that an earlier run left out, healthy, and that need nothing. Others may have proved bad: whom a run only took out
    /// comes back by itself when that run is gone, and whom it left out it had begun to change.
    pub(super) fn forgotten(&self) -> Vec<usize> {
        self.all(|h| {
            let is_left = match h.stage {
                Stage::Waiting => self.halt.is_some() && h.needs == Needs::Nothing,
                Stage::Settled(Standing::Same) => true,
                _ => false,
            };
            is_left && h.attempts == 0 && h.is_drained_by_us() && h.is_healthy()
        })
    }

    fn install(&self, mut installs: Vec<usize>) -> Batch {
        if self.policy.first_install == FirstInstall::Serial {
            installs.truncate(1);
        }
        if self.hosts.iter().any(Host::helps) {
            self.spared(&installs, installs.len())
        } else {
            Batch::Install(installs)
        }
    }

    /// A host of the zone that was begun and is not finished, or else of the one that begins now:
    /// where somebody is weak, and where the leader is not.
    fn open_zone(&self, waiting: &[usize]) -> Option<usize> {
        let begun = |at: &usize| {
            let zone = &self.hosts[*at].zone;
            self.hosts.iter().any(|h| h.zone == *zone && was_begun(h))
        };
        let order = |at: &usize| {
            let zone = &self.hosts[*at].zone;
            let ranks = waiting
                .iter()
                .map(|at| &self.hosts[*at])
                .filter(|h| h.zone == *zone)
                .map(rank);
            let (mut best, mut worst) = (Rank::Leader, Rank::Weak);
            for rank in ranks {
                if rank == Rank::Leader {
                    worst = Rank::Leader;
                }
                best = best.min(rank);
            }
            (worst, best)
        };
        let open = waiting.iter().find(|at| begun(at));
        let free = |at: &&usize| self.hosts[**at].held_by().is_none();
        open.or_else(|| waiting.iter().filter(free).min_by_key(|at| order(at)))
            .copied()
    }

    fn in_order(&self, free: &[usize], zone: usize) -> Vec<usize> {
        let zone = &self.hosts[zone].zone;
        let mut candidates: Vec<usize> = free
            .iter()
            .copied()
            .filter(|at| self.hosts[*at].zone == *zone)
            .collect();
        candidates.sort_by_key(|at| rank(&self.hosts[*at]));
        candidates
    }

    fn cut(&self, candidates: &[usize], zone: usize) -> Batch {
        let Some(first) = candidates.first() else {
            let zone = self.hosts[zone].zone.as_deref().unwrap_or("its zone");
            let held = self.all(|h| h.is_waiting() && h.held_by().is_some());
            let who: Vec<_> = held.iter().map(|at| self.hosts[*at].complaint()).collect();
            let who = who.join(", ");
            return Batch::Blocked(format!(
                "{zone} must be finished before another zone: {who}"
            ));
        };
        // A leader goes alone, when its followers are settled.
        let leads = |at: &usize| rank(&self.hosts[*at]) == Rank::Leader;
        let until = candidates
            .iter()
            .position(leads)
            .unwrap_or(candidates.len());
        let size = if self.is_canary_due() {
            self.policy.canary
        } else {
            self.policy.batch(self.batches)
        };
        if leads(first) {
            self.spared(&candidates[..1], 1)
        } else {
            self.spared(&candidates[..until], size)
        }
    }

    pub(super) fn is_canary_due(&self) -> bool {
        self.policy.canary > 0 && !self.hosts.iter().any(|h| h.canary)
    }

    fn spared(&self, candidates: &[usize], size: usize) -> Batch {
        let mut service = Service::of(&self.hosts, &self.policy);
        let mut batch = Vec::new();
        for at in candidates {
            if batch.len() < size && service.lend(&self.hosts[*at]) {
                batch.push(*at);
            }
        }
        match candidates.first() {
            Some(first) if batch.is_empty() => {
                let wanted = &self.hosts[*first];
                Batch::Blocked(refusal(&self.hosts, &self.policy, wanted))
            }
            _ => Batch::TakeOut(batch),
        }
    }

    pub(super) fn all(&self, is_meant: impl Fn(&Host) -> bool) -> Vec<usize> {
        let mut found = Vec::new();
        for (at, host) in self.hosts.iter().enumerate() {
            if is_meant(host) {
                found.push(at);
            }
        }
        found
    }
}

fn rank(host: &Host) -> Rank {
    match host.serves() {
        false => Rank::Weak,
        true if host.leader => Rank::Leader,
        true => Rank::Plain,
    }
}

/// First installs open no zone: they serve nobody, so there is no domain of faults to protect.
fn was_begun(host: &Host) -> bool {
    host.needs == Needs::Change && host.installed && host.stage != Stage::Waiting
}
