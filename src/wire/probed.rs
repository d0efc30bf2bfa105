//! What many requests came to: how many, how many failed, and how long the good ones took.
//!
//! Counts and times only grow, so the difference of two readings is what happened in between, whoever else read meanwhile.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    pub sent: u64,
    pub failed: u64,
    /// How the latest that failed did so.
    pub failure: Option<String>,
    /// How many good ones took about so long, by the number of the bucket. A refusal is quick; it says nothing of speed.
    pub took: BTreeMap<u8, u64>,
}

/// Each bucket ends a twentieth above the one before, so no time is wrong by more than a fortieth.
const STEP: f64 = 1.05;
/// What the first bucket ends with, in microseconds.
const FIRST: f64 = 100.0;

impl Probed {
    /// Notes one that was answered as it should be.
    pub fn good(&mut self, took: Duration) {
        self.sent += 1;
        *self.took.entry(bucket(took)).or_default() += 1;
    }

    pub fn bad(&mut self, why: impl Into<String>) {
        self.sent += 1;
        self.failed += 1;
        self.failure = Some(why.into());
    }

    /// What came after `earlier` was read.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let took = self.took.iter().map(|(bucket, count)| {
            let before = earlier.took.get(bucket).copied().unwrap_or(0);
            (*bucket, count.saturating_sub(before))
        });
        let failed = self.failed.saturating_sub(earlier.failed);
        Self {
            sent: self.sent.saturating_sub(earlier.sent),
            failed,
            failure: self.failure.clone().filter(|_| failed > 0),
            took: took.filter(|(_, count)| *count > 0).collect(),
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.failed += other.failed;
        if other.failure.is_some() {
            self.failure.clone_from(&other.failure);
        }
        for (bucket, count) in &other.took {
            *self.took.entry(*bucket).or_default() += count;
        }
    }

    /// How many were answered as they should be.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.took.values().sum()
    }

    /// The time within which so many of 100 good ones were answered.
    #[must_use]
    pub fn within(&self, of_100: u64) -> Option<Duration> {
        let rank = (self.answered() * of_100).div_ceil(100).max(1);
        let mut seen = 0;
        let bucket = self.took.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        });
        bucket.map(|(bucket, _)| middle(*bucket))
    }
}

fn bucket(took: Duration) -> u8 {
    let micros = took.as_secs_f64() * 1e6;
    let steps = (micros / FIRST).max(1.0).log(STEP).ceil();
    // The last one begins with 24 s, beyond any patience.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to what fits"
    )]
    let number = steps.clamp(0.0, 255.0) as u8;
    number
}

fn middle(bucket: u8) -> Duration {
    let micros = FIRST * STEP.powf(f64::from(bucket) - 0.5);
    Duration::from_secs_f64(micros / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: &[u64]) -> Probed {
        let mut probed = Probed::default();
        for millis in millis {
            probed.good(Duration::from_millis(*millis));
        }
        probed
    }

    #[test]
    fn times_are_right_within_a_fortieth() {
        for millis in [1, 3, 40, 700, 9_000] {
            let said = of(&[millis]).within(50).unwrap().as_secs_f64() * 1000.0;
            let right = millis as f64;
            assert!((said / right - 1.0).abs() < 0.026, "{millis}: {said}");
        }
        assert_eq!(Probed::default().within(50), None);
    }

    #[test]
    fn a_share_of_the_requests_is_within_its_time() {
        let mut probed = of(&[10; 98]);
        probed.add(&of(&[500, 500]));
        let within = |of_100| probed.within(of_100).unwrap().as_millis();
        assert!((9..=11).contains(&within(50)), "{}", within(50));
        assert!((9..=11).contains(&within(98)));
        assert!((450..=550).contains(&within(99)), "{}", within(99));
    }

    #[test]
    fn two_readings_tell_what_came_in_between() {
        let mut now = of(&[10, 10]);
        now.bad("it answers 503");
        let before = now.clone();
        now.good(Duration::from_millis(80));
        let between = now.since(&before);
        assert_eq!(between, of(&[80]));
        assert_eq!(now.since(&Probed::default()), now);
    }

    #[test]
    fn it_travels_as_json() {
        let probed = of(&[1, 200]);
        let text = serde_json::to_string(&probed).unwrap();
        assert_eq!(serde_json::from_str::<Probed>(&text).unwrap(), probed);
    }
}
