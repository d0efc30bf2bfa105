//! What people may decide about a rollout; everything has a safe default.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Counts are of hosts; percentages were resolved against the play's hosts before.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Hosts per batch after the canary; the last size repeats. A size is a wish: what the service
    /// can spare now caps it.
    pub serial: Vec<usize>,
    /// Hosts of the first batch, which must soak before any other host is touched; 0 for none.
    pub canary: usize,
    /// How long a canary must be healthy before anybody is sent to it.
    pub canary_bake: Duration,
    /// How long it must stay healthy then.
    pub canary_soak: Duration,
    /// How long every other changed host must stay healthy.
    pub min_healthy_time: Duration,
    /// From the start of a change, or of a way back, until all gates have passed.
    pub healthy_deadline: Duration,
    /// Hosts of the play that may be out of service at once, for whatever reason and by whomever.
    pub max_unavailable: usize,
    /// Hosts that must go on serving; by default [`Policy::needed`] decides by the size.
    pub min_healthy: Option<usize>,
    /// Hosts that may fail with [`OnFailure::Continue`], over all tiers of a run. The canary's
    /// budget is always 0: it is there to fail instead of the others.
    ///
    /// One by default: a host may have troubles of its own, two have the change in common.
    pub max_failures: usize,
    pub on_failure: OnFailure,
    /// Lets the only host of a cluster be taken away, or the last one of a bigger one.
    pub allow_downtime: bool,
    pub first_install: FirstInstall,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// No other host is begun.
    Pause,
    /// No other host is begun, and those finished by the run get their old state back.
    Rollback,
    /// Other hosts are begun while the budget lasts.
    Continue,
}

/// How hosts that serve nobody and never did are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstInstall {
    Parallel,
    /// Two first boots on an empty database race (wso2/api-manager#5027), hence the default.
    Serial,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            serial: vec![1],
            canary: 1,
            canary_bake: Duration::from_secs(30),
            canary_soak: Duration::from_secs(300),
            min_healthy_time: Duration::from_secs(60),
            healthy_deadline: Duration::from_secs(600),
            max_unavailable: 1,
            min_healthy: None,
            max_failures: 1,
            on_failure: OnFailure::Pause,
            allow_downtime: false,
            first_install: FirstInstall::Serial,
        }
    }
}

impl Policy {
    /// How many of so many hosts must go on serving (I1): of a pair one, of three or more two
    /// thirds and never fewer than two. A lone host cannot be spared without `allow_downtime`, nor
    /// does a `min_healthy` of 0 count without it.
    #[must_use]
    pub fn needed(&self, hosts: usize) -> usize {
        let by_size = match hosts {
            0 | 1 => usize::from(!self.allow_downtime),
            2 => 1,
            n => (n * 2).div_ceil(3).max(2),
        };
        let floor = usize::from(!self.allow_downtime);
        self.min_healthy.unwrap_or(by_size).max(floor)
    }

    /// The size of a batch; the canary is none of them.
    pub(super) fn batch(&self, number: usize) -> usize {
        let last = self.serial.len().saturating_sub(1);
        self.serial.get(number.min(last)).map_or(1, |n| *n.max(&1))
    }
}

#[cfg(test)]
mod tests {
    use super::Policy;

    #[test]
    fn the_smallest_number_that_must_serve() {
        let needed = |hosts| Policy::default().needed(hosts);
        let by_size: Vec<_> = (1..=9).map(needed).collect();
        assert_eq!(by_size, [1, 1, 2, 3, 4, 4, 5, 6, 6]);
    }

    #[test]
    fn downtime_must_be_allowed_in_words() {
        let careless = Policy {
            min_healthy: Some(0),
            ..Policy::default()
        };
        assert_eq!(careless.needed(2), 1);
        let told = Policy {
            allow_downtime: true,
            ..careless
        };
        assert_eq!(told.needed(2), 0);
        let lone = Policy {
            allow_downtime: true,
            ..Policy::default()
        };
        assert_eq!((lone.needed(1), lone.needed(2)), (0, 1));
    }

    #[test]
    fn the_last_size_repeats() {
        let ramp = Policy {
            serial: vec![1, 2, 5],
            ..Policy::default()
        };
        let sizes: Vec<_> = (0..5).map(|n| ramp.batch(n)).collect();
        assert_eq!(sizes, [1, 2, 5, 5, 5]);
    }
}
