//! What is too much: of failures and of time, against what was before.

use crate::wire::Probed;
use std::time::Duration;

/// What people may decide about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// How long is measured before the first node is taken out.
    pub baseline: Duration,
    /// The share of requests that may fail.
    pub max_error_rate: f64,
    /// So many times the usual time is too long, half of the answers being quicker.
    pub max_latency_factor: f64,
    /// A smaller increase is noise, whatever the factor.
    pub latency_floor: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            baseline: Duration::from_secs(5),
            max_error_rate: 0.02,
            max_latency_factor: 1.5,
            latency_floor: Duration::from_millis(20),
        }
    }
}

/// Fewer failures may have any reason.
const FEW_FAILURES: u64 = 3;
/// Fewer answers say nothing of the time that they take.
pub const FEW_ANSWERS: u64 = 10;
/// The same of what was measured before: that is short, as nothing is done meanwhile, and peers are compared too.
const FEW_BEFORE: u64 = 5;
/// No peer is an excuse for more.
const MANY_TIMES: f64 = 1000.0;
/// What happens by chance less often than this did not.
const UNLIKELY: f64 = 0.05;

impl Limits {
    /// More fail than may, and clearly more than before: what failed now and then before anything was changed is no excuse
    /// for what fails every time now, and what fails as it did before proves nothing.
    pub fn too_many_failures(&self, before: Option<&Probed>, now: &Probed) -> Option<String> {
        if now.failed < FEW_FAILURES || share(now) <= self.max_error_rate {
            return None;
        }
        if before.is_some_and(|before| before.failed > 0 && by_chance(before, now) > UNLIKELY) {
            return None;
        }
        let last = now.failure.as_deref().unwrap_or("no answer");
        Some(format!(
            "{} of {} requests failed ({last})",
            now.failed, now.sent
        ))
    }

    /// Clearly slower than before, also if it had become slower as much as the peer that did least: where all slow down at
    /// once it is not the change. A peer that was as slow before is no excuse, it may have the change already.
    ///
    /// Medians: of few requests the slowest tells nothing. Half of the answers, and not many more, must differ by chance for a
    /// false alarm: for 5 answers before and 10 now, the fewest that are judged, all before must be among the 6 quickest of the
    /// 15 ([`at_most`], [`at_least`]), which happens in 6 of 3003 runs whatever the answers' spread is, and in fewer where there
    /// are more. So the factor need not be above what it is for. What a process is slow for in its first minute is no chance:
    /// it is measured once more ([`super::watch`]).
    pub fn too_slow(&self, before: &Probed, now: &Probed, peers: &[Pair<'_>]) -> Option<String> {
        let (was, is) = median_of((before, now))?;
        let peers = peers.iter().filter_map(|peer| median_of(*peer));
        let grown = peers.map(|peer| as_much_slower(was, peer)).min();
        let usual = grown.unwrap_or(was).max(was);
        let limit = usual.mul_f64(self.max_latency_factor.max(1.0));
        let by_chance = at_most(before)? + (usual - was);
        let is_slow = is >= limit && is >= usual + self.latency_floor && at_least(now)? > by_chance;
        is_slow.then(|| {
            format!(
                "takes {} ms to be answered, and took {} ms before",
                is.as_millis(),
                was.as_millis()
            )
        })
    }
}

/// What was answered before, and now.
pub type Pair<'p> = (&'p Probed, &'p Probed);

/// Of enough answers.
fn median_of((before, now): Pair<'_>) -> Option<(Duration, Duration)> {
    let is_enough = before.answered() >= FEW_BEFORE && now.answered() >= FEW_ANSWERS;
    is_enough.then_some(())?;
    Some((before.within(50)?, now.within(50)?))
}

/// By so many times, or by so much: a slower backend adds to every answer, a busy machine stretches each.
fn as_much_slower(was: Duration, (before, now): (Duration, Duration)) -> Duration {
    let times = now.as_secs_f64() / before.as_secs_f64().max(f64::MIN_POSITIVE);
    let stretched = was.mul_f64(times.clamp(1.0, MANY_TIMES));
    stretched.max(was + now.saturating_sub(before))
}

/// The median of all such answers is below it in one of 25 cases at most.
fn at_least(probed: &Probed) -> Option<Duration> {
    probed.within(50_u64.saturating_sub(spread(probed)).max(1))
}

/// The same, above it.
fn at_most(probed: &Probed) -> Option<Duration> {
    probed.within((50 + spread(probed)).min(100))
}

/// Two standard deviations of how many of the answers are quicker than the median, in per cent: 2 * sqrt(n) / 2 of n.
fn spread(probed: &Probed) -> u64 {
    100 / probed.answered().max(1).isqrt()
}

/// How likely so few failures before, or fewer, were if requests failed as often then as they do now: Fisher's exact test of
/// two shares, one-sided. It is right for a baseline of a dozen requests, where no approximation is.
///
/// One failure of 12 before: 3 of 3 now are clear (0.01), and so are 12 of 20 (0.004); 6 of 20 are not (0.13). Looking often makes
/// false alarms hardly more likely, as the baseline, which is small, is drawn once.
fn by_chance(before: &Probed, now: &Probed) -> f64 {
    let all = before.sent + now.sent;
    let failed = before.failed + now.failed;
    let good = all.saturating_sub(failed);
    let drawn = ln_choose(all, before.sent);
    let ways = (before.sent.saturating_sub(good)..=before.failed)
        .map(|few| ln_choose(failed, few) + ln_choose(good, before.sent - few));
    ways.map(|ways| (ways - drawn).exp()).sum()
}

/// The logarithm of the number of ways to choose `few` of `all`: the number itself is beyond any float.
fn ln_choose(all: u64, few: u64) -> f64 {
    let few = few.min(all - few);
    #[expect(clippy::cast_precision_loss, reason = "counts of requests")]
    let ways = (1..=few).map(|n| ((all - few + n) as f64 / n as f64).ln());
    ways.sum()
}

fn share(probed: &Probed) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let share = probed.failed as f64 / probed.sent.max(1) as f64;
    share
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probed(good: u64, millis: u64, bad: u64) -> Probed {
        let mut probed = Probed::default();
        for _ in 0..good {
            probed.good(Duration::from_millis(millis));
        }
        for _ in 0..bad {
            probed.bad("GET / answers 503");
        }
        probed
    }

    #[test]
    fn two_failures_have_any_reason_and_three_of_many_are_few() {
        let limits = Limits::default();
        assert_eq!(limits.too_many_failures(None, &probed(10, 1, 2)), None);
        assert_eq!(limits.too_many_failures(None, &probed(300, 1, 3)), None);
        let why = limits.too_many_failures(None, &probed(37, 1, 3)).unwrap();
        assert_eq!(why, "3 of 40 requests failed (GET / answers 503)");
    }

    #[test]
    fn slow_is_twice_as_long_and_more_than_noise() {
        let limits = Limits::default();
        let is_slow = |before, now| limits.too_slow(&before, &now, &[]).is_some();
        for (before, now, slow) in [(60, 120, true), (25, 50, true), (100, 140, false)] {
            assert_eq!(is_slow(probed(12, before, 0), probed(12, now, 0)), slow);
        }
        assert!(!is_slow(probed(20, 2, 0), probed(20, 20, 0)));
        assert!(!is_slow(probed(4, 100, 0), probed(20, 900, 0)));
        assert!(is_slow(probed(5, 100, 0), probed(10, 200, 0)));
        assert!(!is_slow(probed(20, 100, 0), probed(9, 900, 0)));
    }

    /// Answers take anything between 20 and 180 ms, before and now: only the medians differ, by chance.
    #[test]
    fn what_is_slower_by_chance_is_not_slow() {
        let limits = Limits::default();
        let of = |millis: &[u64]| {
            let mut probed = Probed::default();
            for millis in millis {
                probed.good(Duration::from_millis(*millis));
            }
            probed
        };
        let before = of(&[20, 40, 60, 100, 180]);
        let now = of(&[20, 40, 90, 110, 120, 120, 140, 150, 160, 180]);
        assert_eq!(limits.too_slow(&before, &now, &[]), None);
        let all = of(&[90, 110, 120, 120, 140, 150, 160, 180, 190, 190]);
        let quick = of(&[20, 40, 60, 70, 80]);
        assert!(limits.too_slow(&quick, &all, &[]).is_some());
    }
}
