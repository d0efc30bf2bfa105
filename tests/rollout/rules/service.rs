//! What must hold before hosts are taken away.

use super::{Broken, Rules, hold};
use crate::cluster::{Cluster, NAMES, Set, has};
use crate::world::{Truth, World};
use apim_deploy::rollout::{FirstInstall, OnFailure};

impl Rules {
    /// I1, against the truth when the look was taken.
    pub(super) fn service(&self, cluster: &Cluster, truth: &Truth, batch: Set) -> Broken {
        if batch & truth.healthy & truth.somewhere == 0 {
            return Ok(());
        }
        let left = self.serving(cluster, truth) & !batch;
        let (left, need) = (left.count_ones(), cluster.must_serve());
        hold!(left >= need, "I1: {left} would serve, {need} must");
        Ok(())
    }

    pub(super) fn serving(&self, cluster: &Cluster, truth: &Truth) -> Set {
        truth.healthy & truth.everywhere & !self.away & !self.bad & !cluster.unreachable
    }

    pub(super) fn unavailable(&self, cluster: &Cluster, truth: &Truth, batch: Set) -> Broken {
        if batch & truth.healthy & truth.somewhere == 0 {
            return Ok(());
        }
        let out = cluster.all & !(self.serving(cluster, truth) & !batch);
        let most = cluster.policy.max_unavailable.max(1) as u32;
        hold!(out.count_ones() <= most, "more than {most} unavailable");
        Ok(())
    }

    /// Whether another host may be begun at all.
    pub(super) fn begin(&mut self, cluster: &Cluster, world: &World, batch: Set) -> Broken {
        let truth = &world.taken;
        hold!(batch & !cluster.change == 0, "begun without need");
        hold!(
            batch & truth.foreign == 0,
            "I4: begun, and drained by another"
        );
        hold!(!self.must_stop, "begun after a stop");
        self.nobody_fell(cluster, truth)?;
        hold!(
            self.away & !self.bad == 0,
            "begun before the last batch was over"
        );
        hold!(world.pending.is_empty(), "begun with answers outstanding");
        self.budget(cluster)?;
        if batch & cluster.installed != 0 {
            hold!(
                batch & !cluster.installed == 0,
                "installs and changes mixed"
            );
            self.zones(cluster, batch)?;
            self.leaders(cluster, truth, batch)?;
            self.sizes(cluster, batch)?;
        } else if cluster.policy.first_install == FirstInstall::Serial {
            hold!(batch.count_ones() == 1, "installs side by side");
        }
        self.begun |= batch;
        Ok(())
    }

    pub(super) fn budget(&self, cluster: &Cluster) -> Broken {
        let failed = self.failed.count_ones() as usize + usize::from(cluster.earlier_failed);
        let most = match cluster.policy.on_failure {
            OnFailure::Continue => cluster.policy.max_failures,
            // What earlier tiers counted was theirs to judge.
            _ => cluster
                .policy
                .max_failures
                .min(usize::from(cluster.earlier_failed)),
        };
        hold!(failed <= most, "I6: begun with {failed} failed, {most} may");
        hold!(!self.canary_failed, "I6: begun after the canary failed");
        Ok(())
    }

    fn zones(&self, cluster: &Cluster, batch: Set) -> Broken {
        let first = batch.trailing_zeros() as usize;
        let zone = cluster.zone[first];
        for host in 0..cluster.size {
            let elsewhere = cluster.zone[host as usize] != zone;
            hold!(!(has(batch, host) && elsewhere), "I8: a batch in two zones");
        }
        for host in 0..cluster.size {
            let other = cluster.zone[host as usize];
            let is_left = has(cluster.change & !self.begun, host);
            if other == zone || !is_left {
                continue;
            }
            // It waits in a zone where somebody was begun.
            for begun in 0..cluster.size {
                let counts = has(self.begun & cluster.installed, begun);
                let is_open = counts && cluster.zone[begun as usize] == other;
                hold!(
                    !is_open,
                    "I8: {} is unfinished in another zone",
                    NAMES[host as usize]
                );
            }
        }
        Ok(())
    }

    fn leaders(&self, cluster: &Cluster, truth: &Truth, batch: Set) -> Broken {
        let leader = batch & cluster.leaders & truth.healthy & truth.everywhere;
        if leader == 0 {
            return Ok(());
        }
        hold!(batch == leader, "a leader among others");
        let left = cluster.change & cluster.installed & !self.begun & !truth.foreign & !batch;
        hold!(left == 0, "a leader before others");
        Ok(())
    }

    fn sizes(&mut self, cluster: &Cluster, batch: Set) -> Broken {
        let policy = &cluster.policy;
        let size = batch.count_ones() as usize;
        if self.canary == 0 && policy.canary > 0 {
            hold!(size <= policy.canary, "{size} canaries");
            self.canary = batch;
            return Ok(());
        }
        let at = usize::from(self.batches).min(policy.serial.len() - 1);
        hold!(size <= policy.serial[at], "a batch of {size}");
        self.batches += 1;
        Ok(())
    }
}
