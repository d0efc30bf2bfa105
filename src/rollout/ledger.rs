//! What of a run spans its tiers: who failed, and who was finished.

use serde::{Deserialize, Serialize};

/// Goes into a rollout and comes out of it; one run has one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ledger {
    /// Each host once, however often and in whatever way it failed (I6).
    pub failed: Vec<String>,
    /// Hosts that have the new state by this run, in the order in which they got it.
    pub finished: Vec<String>,
}

impl Ledger {
    pub(super) fn fail(&mut self, host: &str) {
        if !self.failed.iter().any(|h| h == host) {
            self.failed.push(host.to_owned());
        }
    }

    pub(super) fn finish(&mut self, host: &str) {
        if !self.finished.iter().any(|h| h == host) {
            self.finished.push(host.to_owned());
        }
    }

    /// It has its old state again, or lost the new one.
    pub(super) fn take_back(&mut self, host: &str) {
        if let Some(at) = self.finished.iter().rposition(|h| h == host) {
            self.finished.remove(at);
        }
    }
}
