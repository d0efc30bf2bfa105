//! Clusters to roll through: what a schedule starts from. Hosts are places in a set of bits.

use crate::dice::Dice;
use apim_deploy::rollout::{FirstInstall, Found, Ledger, Needs, OnFailure, Policy};
use std::time::Duration;

pub type Set = u32;

pub const NAMES: [&str; 30] = [
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s",
    "t", "u", "v", "w", "x", "y", "z", "A", "B", "C", "D",
];

/// The place of a host with this name.
pub fn place(name: &str) -> u8 {
    let letter = name.as_bytes()[0];
    if letter >= b'a' {
        letter - b'a'
    } else {
        letter - b'A' + 26
    }
}

pub fn bit(host: u8) -> Set {
    1 << host
}

pub fn has(set: Set, host: u8) -> bool {
    set >> host & 1 == 1
}

/// What does not change during a schedule.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub size: u8,
    pub balancers: u8,
    pub zone: [u8; 30],
    pub all: Set,
    pub change: Set,
    pub unreachable: Set,
    pub installed: Set,
    pub leaders: Set,
    /// Hosts on which the new state does not work.
    pub spoiled: Set,
    /// As each host is found on every balancer.
    pub ours: Set,
    pub foreign: Set,
    pub sick: Set,
    pub policy: Policy,
    pub earlier_failed: u8,
    pub earlier_finished: u8,
}

impl Cluster {
    pub fn plain(size: u8, balancers: u8, policy: Policy) -> Self {
        let all = ((1u64 << size) - 1) as Set;
        Self {
            size,
            balancers,
            zone: [0; 30],
            all,
            change: all,
            unreachable: 0,
            installed: all,
            leaders: 0,
            spoiled: 0,
            ours: 0,
            foreign: 0,
            sick: 0,
            policy,
            earlier_failed: 0,
            earlier_finished: 0,
        }
    }

    pub fn random(dice: &mut Dice) -> Self {
        let size = match dice.roll(128) {
            0..=9 => 1,
            10..=59 => 2,
            60..=107 => 3,
            108..=123 => 4 + dice.roll(3) as u8,
            124..=126 => 7 + dice.roll(6) as u8,
            _ => 13 + dice.roll(18) as u8,
        };
        let mut cluster = Self::plain(size, 1 + dice.roll(3) as u8, policy(dice));
        let all = cluster.all;
        let zones = 1 + dice.roll(3) as u8;
        if zones > 1 {
            for host in 0..size {
                cluster.zone[host as usize] = dice.roll(u32::from(zones)) as u8;
            }
        }
        match dice.roll(8) {
            0 => cluster.change = dice.set(1) & all,
            1 => cluster.installed = 0,
            2 => cluster.installed = !dice.set(2) & all,
            3 => cluster.leaders = bit(dice.roll(u32::from(size)) as u8),
            _ => {}
        }
        // A host that is not installed needs to be.
        cluster.change |= all & !cluster.installed;
        if dice.roll(3) == 0 {
            cluster.sick = dice.set(3) & cluster.installed;
            cluster.ours = dice.set(3) & cluster.installed;
            cluster.foreign = dice.set(4) & all;
            cluster.unreachable = dice.set(5) & all;
            cluster.change &= !cluster.unreachable;
        }
        if dice.roll(4) == 0 {
            cluster.spoiled = if dice.roll(2) == 0 {
                all
            } else {
                dice.set(2) & all
            };
        }
        if dice.roll(8) == 0 {
            cluster.earlier_failed = dice.roll(3) as u8;
            cluster.earlier_finished = dice.roll(3) as u8;
        }
        cluster
    }

    pub fn is_sound(&self) -> bool {
        self.sick | self.ours | self.foreign | self.unreachable | self.spoiled == 0
            && self.earlier_failed == 0
    }

    pub fn found(&self) -> Vec<Found> {
        let mut found = Vec::with_capacity(self.size as usize);
        for host in 0..self.size {
            found.push(Found {
                host: NAMES[host as usize].to_owned(),
                needs: if has(self.unreachable, host) {
                    Needs::Unreachable
                } else if has(self.change, host) {
                    Needs::Change
                } else {
                    Needs::Nothing
                },
                installed: has(self.installed, host),
                leader: has(self.leaders, host),
                zone: match self.zone[host as usize] {
                    0 => None,
                    1 => Some("east".to_owned()),
                    _ => Some("west".to_owned()),
                },
            });
        }
        found
    }

    /// Of hosts that are none of this tier.
    pub fn ledger(&self) -> Ledger {
        let names = |count: u8, kind: &str| (0..count).map(|n| format!("{kind}{n}")).collect();
        Ledger {
            failed: names(self.earlier_failed, "failed"),
            finished: names(self.earlier_finished, "finished"),
        }
    }

    /// Hosts that must serve, by the rule and not by the machine's own sum.
    pub fn must_serve(&self) -> u32 {
        let size = u32::from(self.size);
        let two_thirds = size - size / 3;
        let default = match size {
            1 if self.policy.allow_downtime => 0,
            1 | 2 => 1,
            _ => two_thirds.max(2),
        };
        match self.policy.min_healthy {
            Some(0) if !self.policy.allow_downtime => 1,
            Some(told) => told as u32,
            None => default,
        }
    }
}

fn policy(dice: &mut Dice) -> Policy {
    let mut policy = Policy {
        on_failure: [OnFailure::Pause, OnFailure::Rollback, OnFailure::Continue]
            [dice.roll(3) as usize],
        ..Policy::default()
    };
    if dice.roll(2) == 0 {
        policy.serial[0] = 1 + dice.roll(4) as usize;
        policy.max_unavailable = 1 + dice.roll(4) as usize;
        policy.canary = dice.roll(3) as usize;
        policy.max_failures = dice.roll(4) as usize;
        policy.allow_downtime = dice.roll(2) == 0;
    }
    if dice.roll(4) == 0 {
        policy.serial.push(1 + dice.roll(5) as usize);
        policy.min_healthy = Some(dice.roll(4) as usize);
        policy.min_healthy_time = Duration::from_secs(u64::from(dice.roll(60)));
    }
    if dice.roll(2) == 0 {
        policy.first_install = FirstInstall::Parallel;
    }
    policy
}
