//! What must be true when it is over.

use super::{Broken, Rules, hold, is_fresh};
use crate::cluster::{Cluster, NAMES, Set, bit, has, place};
use crate::world::World;
use apim_deploy::rollout::{Ending, OnFailure, Standing, Verdict};

impl Rules {
    pub(super) fn ending(&self, cluster: &Cluster, world: &World, ending: &Ending) -> Broken {
        hold!(
            ending.hosts.len() == usize::from(cluster.size),
            "a host has no standing"
        );
        let mut standing_failed = 0;
        for (at, (name, standing)) in ending.hosts.iter().enumerate() {
            hold!(name == NAMES[at], "standings out of order");
            self.standing(cluster, world, at as u8, standing)?;
            if !matches!(standing, Standing::Same | Standing::Done) {
                standing_failed |= bit(at as u8);
            }
        }
        self.nobody_is_forgotten(cluster, world, ending)?;
        self.ledger(cluster, ending)?;
        self.verdict(cluster, world, ending, standing_failed)?;
        self.liveness(cluster, ending, standing_failed)
    }

    fn standing(&self, cluster: &Cluster, world: &World, host: u8, standing: &Standing) -> Broken {
        let me = bit(host);
        let name = NAMES[host as usize];
        let is_new = world.new & me != 0;
        let is_changed = self.changed & me != 0;
        let good = match standing {
            Standing::Done | Standing::Unproven | Standing::Sick { .. } => {
                is_new && is_changed && self.out & me == 0
            }
            Standing::Same | Standing::Ailing { .. } => is_new && !is_changed,
            Standing::Untouched { .. } => {
                self.out & me == 0
                    && self.restored & me == 0
                    && (is_changed <= (self.failed & me != 0))
            }
            Standing::LeftOut => !is_changed && self.begun & me == 0 && cluster.ours & me != 0,
            Standing::RolledBack { .. } => !is_new && self.restored & me != 0 && self.out & me == 0,
            Standing::Failed { .. } => !is_changed && self.failed & me != 0,
            Standing::NotInstalled { .. } => cluster.installed & me == 0 && self.bad & me != 0,
            // An earlier run changed it, and its steps fail.
            Standing::Quarantined { .. } => {
                let is_left = world.taken.ours & me != 0 && cluster.change & me == 0;
                self.bad & me != 0 || (is_left && self.failed & me != 0)
            }
            Standing::Failing { .. } => (self.bad | self.may_have_failed) & me != 0,
            Standing::Stranded { .. } => self.refused_put_backs[host as usize] >= 3,
            Standing::Held { .. } => true,
            Standing::Unreachable => cluster.unreachable & me != 0,
        };
        if *standing == Standing::Unproven {
            hold!(self.interrupted, "{name} is unproven, and nobody stopped");
        }
        hold!(good, "{name} is said to be {standing:?}");
        Ok(())
    }

    /// I10: what is intact is back.
    fn nobody_is_forgotten(&self, cluster: &Cluster, world: &World, ending: &Ending) -> Broken {
        for host in 0..cluster.size {
            let me = bit(host);
            let name = NAMES[host as usize];
            let is_intact = self.out & me != 0 && self.bad & me == 0;
            let refused = self.refused_put_backs[host as usize] >= 3;
            let why = &ending.hosts[host as usize].1;
            // A host that fell after it was finished may be restored only where that is known to be so.
            let fell = matches!(why, Standing::Quarantined { .. } | Standing::Failing { .. });
            hold!(
                !is_intact || refused || (fell && self.may_have_failed & me != 0),
                "I10: {name} is intact, and still out"
            );
            let ours = world.balancers.iter().any(|b| b.ours & me != 0);
            let intact = self.begun & me != 0 && self.bad & me == 0;
            hold!(
                !(intact && ours) || refused || fell,
                "I10: {name} is intact, and drained by us"
            );
        }
        self.nobody_is_left_from_before(cluster, world)
    }

    /// I10 of what an earlier run left out, as far as the last look could tell; whoever stops it does not wait.
    fn nobody_is_left_from_before(&self, cluster: &Cluster, world: &World) -> Broken {
        if self.interrupted {
            return Ok(());
        }
        hold!(cluster.ours == 0 || self.looked, "I10: nobody looked");
        let truth = &world.taken;
        if truth.is_blind || !is_fresh(world) {
            return Ok(());
        }
        let well = truth.ours & truth.healthy & !truth.foreign;
        let idle = !self.begun & !self.failed & !cluster.unreachable & !cluster.change;
        let left = well & idle;
        for host in (0..cluster.size).filter(|host| has(left, *host)) {
            let ours = world.balancers.iter().any(|b| has(b.ours, host));
            let refused = self.refused_put_backs[host as usize] > 0;
            let name = NAMES[host as usize];
            hold!(
                !ours || refused,
                "I10: an earlier run left {name} out, and so does this one"
            );
        }
        Ok(())
    }

    fn ledger(&self, cluster: &Cluster, ending: &Ending) -> Broken {
        let mut failed: Set = 0;
        let mut earlier = 0;
        for name in &ending.ledger.failed {
            if name.len() > 1 {
                earlier += 1;
                continue;
            }
            hold!(!has(failed, place(name)), "I6: {name} is counted twice");
            failed |= bit(place(name));
        }
        hold!(
            earlier == cluster.earlier_failed,
            "I6: earlier failures are lost"
        );
        hold!(
            self.failed & !failed == 0,
            "I6: a failure is not counted: {:?}",
            ending.ledger
        );
        let known = self.failed | self.may_have_failed;
        hold!(
            failed & !known == 0,
            "I6: counted without failing: {:?}",
            ending.ledger
        );
        let count = usize::from(cluster.earlier_finished);
        hold!(
            ending.ledger.finished.len() >= count,
            "earlier finished are lost"
        );
        let finished: Vec<u8> = ending.ledger.finished[count..]
            .iter()
            .map(|n| place(n))
            .collect();
        hold!(
            finished == self.finished,
            "finished: {:?}, and not {finished:?}",
            self.finished
        );
        Ok(())
    }

    fn verdict(&self, cluster: &Cluster, world: &World, ending: &Ending, odd: Set) -> Broken {
        let lost = ending.hosts.iter().any(|(_, standing)| {
            matches!(
                standing,
                Standing::Quarantined { .. }
                    | Standing::Failing { .. }
                    | Standing::Stranded { .. }
                    | Standing::Sick { .. }
            )
        });
        let goes_back = cluster.policy.on_failure == OnFailure::Rollback;
        let truth = &world.taken;
        match &ending.verdict {
            Verdict::Done => {
                let serving = truth.healthy & truth.everywhere;
                hold!(odd == 0 && self.failed == 0, "done, and {odd:b} is not");
                hold!(serving == cluster.all, "done, and not all serve");
                hold!(world.new == cluster.all, "done, and not all are new");
            }
            Verdict::NeedsPerson { why } => {
                hold!(!why.is_empty(), "no reason");
                hold!(
                    lost || (goes_back && !self.finished.is_empty()) || goes_back && self.disturbed,
                    "a person is needed for nothing"
                );
            }
            Verdict::RolledBack { why, earlier } => {
                hold!(!why.is_empty() && !lost, "rolled back, and not all");
                hold!(
                    self.finished.is_empty(),
                    "rolled back, and {:?} are new",
                    self.finished
                );
                let mut told: Vec<String> = cluster.ledger().finished;
                told.reverse();
                hold!(*earlier == told, "earlier tiers are not told: {earlier:?}");
                hold!(
                    self.restored != 0 || !earlier.is_empty(),
                    "rolled back, and nobody was"
                );
                hold!(
                    goes_back || earlier.is_empty(),
                    "earlier tiers go back unasked"
                );
            }
            Verdict::Paused { why } => hold!(!why.is_empty() && !lost, "paused, and {why:?}"),
            Verdict::Interrupted => hold!(self.interrupted && !lost, "interrupted by nobody"),
        }
        Ok(())
    }

    /// What may go on goes on.
    fn liveness(&self, cluster: &Cluster, ending: &Ending, odd: Set) -> Broken {
        if self.disturbed || self.canary_failed {
            return Ok(());
        }
        let can_be_spared = cluster.size > cluster.must_serve() as u8
            || cluster.installed == 0
            || cluster.change & cluster.installed == 0;
        if self.failed == 0 && can_be_spared {
            hold!(
                ending.verdict == Verdict::Done,
                "nothing failed, and it is {:?}",
                ending.verdict
            );
        }
        let policy = &cluster.policy;
        let failed = self.failed.count_ones() as usize + usize::from(cluster.earlier_failed);
        let within = policy.on_failure == OnFailure::Continue && failed <= policy.max_failures;
        let all_serve = self.bad | self.out == 0;
        if within && all_serve && can_be_spared && cluster.installed == cluster.all {
            hold!(
                odd & !self.failed == 0,
                "gave up within the budget: {:?}",
                ending.verdict
            );
        }
        Ok(())
    }
}
