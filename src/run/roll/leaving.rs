//! Nodes that leave their cluster for good: the same looks and the same way out of rotation as a node that is changed, and no
//! way back.

use super::{Roll, went_well};
use crate::event::Phase;
use crate::rollout::{Drain, Rotation, may_leave};
use std::time::Instant;

impl Roll<'_> {
    /// Who of them has still to be taken out, if they may go at all.
    pub async fn who_leaves(&self, leaving: &[String]) -> Result<Vec<String>, String> {
        let seen = self.look_at_all().await;
        may_leave(leaving, &seen, &self.cluster.policy)?;
        let is_gone = |host: &str| {
            let sight = seen.sights.iter().find(|s| s.host == host);
            // What we took out may not have been finished.
            sight.is_some_and(|s| s.rotation == Rotation::Nowhere && s.drain != Drain::Ours)
        };
        let left = leaving.iter().filter(|host| !is_gone(host));
        Ok(left.cloned().collect())
    }

    /// Without a baseline: nobody is changed whom it could be held against.
    pub async fn leave(&self, host: &str) -> Result<(), String> {
        let began = Instant::now();
        self.working(host, "taking it out of rotation");
        let taken = self.drain_everywhere(host, false).await;
        self.moved(host, Phase::TakenOut, &taken, began);
        taken
    }

    /// The others refused, so it stays for now.
    pub async fn stay(&self, host: &str) -> Result<(), String> {
        went_well(self.put_back(host.to_owned()).await)
    }
}
