//! What clients meet while a rollout goes on: requests that hosts send at a steady pace, and what to make of them.
//!
//! Each node asks itself (`probe.yaml`), so that a changed one is judged by its own answers and not by a healthy peer's;
//! each balancer asks its cluster as clients do (`traffic.yaml`), and tells by whom it was answered where it knows. Both begin before the first node is
//! taken out: what they come to until then is the baseline.

use crate::event::Times;
use crate::wire::Probed;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// What people may decide about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// How long is measured before the first node is taken out.
    pub baseline: Duration,
    /// The share of requests that may fail.
    pub max_error_rate: f64,
    /// How many times the usual time an answer may take, half of the answers being quicker.
    pub max_latency_factor: f64,
    /// A smaller increase is noise, whatever the factor.
    pub latency_floor: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            baseline: Duration::from_secs(5),
            max_error_rate: 0.02,
            max_latency_factor: 2.0,
            latency_floor: Duration::from_millis(50),
        }
    }
}

/// Fewer failures may have any reason.
const FEW_FAILURES: u64 = 3;
/// Fewer answers say nothing of the time that they take.
const FEW_ANSWERS: u64 = 10;

impl Limits {
    /// More fail than may.
    pub fn too_many_failures(&self, now: &Probed) -> Option<String> {
        if now.failed < FEW_FAILURES || share(now) <= self.max_error_rate {
            return None;
        }
        let last = now.failure.as_deref().unwrap_or("no answer");
        Some(format!(
            "{} of {} requests failed ({last})",
            now.failed, now.sent
        ))
    }

    /// Clearly slower than before. Medians: of few requests the slowest tells nothing.
    pub fn too_slow(&self, before: &Probed, now: &Probed) -> Option<String> {
        if before.answered().min(now.answered()) < FEW_ANSWERS {
            return None;
        }
        let (before, now) = (before.within(50)?, now.within(50)?);
        let limit = before.mul_f64(self.max_latency_factor.max(1.0));
        let is_slow = now > limit && now > before + self.latency_floor;
        is_slow.then(|| {
            format!(
                "it takes {} ms to answer, and took {} ms before",
                now.as_millis(),
                before.as_millis()
            )
        })
    }
}

/// Of what fails anyway nothing can be concluded.
fn share(probed: &Probed) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let share = probed.failed as f64 / probed.sent.max(1) as f64;
    share
}

/// One reading of a node's own requests and of every balancer's, and what the next one is compared with.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// By the node that asks itself.
    pub direct: HashMap<String, Probed>,
    /// By balancer.
    pub through: HashMap<String, Through>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Through {
    pub all: Probed,
    /// By the node that answered.
    pub by: BTreeMap<String, Probed>,
}

impl Through {
    pub fn since(&self, earlier: Option<&Self>) -> Self {
        let Some(earlier) = earlier else {
            return self.clone();
        };
        let by = self.by.iter().map(|(host, probed)| {
            let before = earlier.by.get(host).cloned().unwrap_or_default();
            (host.clone(), probed.since(&before))
        });
        Self {
            all: self.all.since(&earlier.all),
            by: by.collect(),
        }
    }

    /// Those that none of `hosts` answered; nothing where the balancer does not tell who did.
    fn by_others(&self, hosts: &[&str]) -> Probed {
        if self.by.is_empty() {
            return Probed::default();
        }
        let mut theirs = Probed::default();
        for host in hosts {
            theirs.add(self.by.get(*host).unwrap_or(&Probed::default()));
        }
        self.all.since(&theirs)
    }
}

impl Reading {
    pub fn since(&self, earlier: &Self) -> Self {
        let direct = self.direct.iter().map(|(host, probed)| {
            let before = earlier.direct.get(host).cloned().unwrap_or_default();
            (host.clone(), probed.since(&before))
        });
        let through = self.through.iter().map(|(balancer, through)| {
            let before = earlier.through.get(balancer);
            (balancer.clone(), through.since(before))
        });
        Self {
            direct: direct.collect(),
            through: through.collect(),
        }
    }

    /// Over all balancers.
    pub fn traffic(&self) -> Probed {
        let mut all = Probed::default();
        for through in self.through.values() {
            all.add(&through.all);
        }
        all
    }

    /// What this node answered: asked by itself, and by each balancer. A balancer that does not tell who answered stands for
    /// the node when it alone changes.
    fn of<'r>(&'r self, host: &'r str) -> impl Iterator<Item = (String, &'r Probed)> {
        let direct = self.direct.get(host).into_iter();
        let direct = direct.map(|probed| ("asked on itself".to_owned(), probed));
        let through = self.through.iter().filter_map(move |(balancer, through)| {
            let probed = match through.by.is_empty() {
                true => &through.all,
                false => through.by.get(host)?,
            };
            Some((format!("through {balancer}"), probed))
        });
        direct.chain(through)
    }
}

/// Whether a node that soaks does worse than before: `now` since its soak began.
pub fn is_failing(limits: &Limits, host: &str, before: &Reading, now: &Reading) -> Option<String> {
    now.of(host).find_map(|(how, probed)| {
        if fails_anyway(limits, host, &how, before) {
            return None;
        }
        let why = limits.too_many_failures(probed)?;
        Some(format!("{how}, {why}"))
    })
}

pub fn is_slower(limits: &Limits, host: &str, before: &Reading, now: &Reading) -> Option<String> {
    now.of(host).find_map(|(how, probed)| {
        let usual = before.of(host).find(|(known, _)| *known == how)?;
        let why = limits.too_slow(usual.1, probed)?;
        Some(format!("{how}, {why}"))
    })
}

/// A question that was answered badly before anything was changed proves nothing.
fn fails_anyway(limits: &Limits, host: &str, how: &str, before: &Reading) -> bool {
    let mut known = before.of(host).filter(|(known, _)| known == how);
    known.any(|(_, usual)| usual.failed > 0 && share(usual) > limits.max_error_rate)
}

/// Whether the others do worse, while `soaking` soak.
pub fn others_fail(
    limits: &Limits,
    soaking: &[&str],
    before: &Reading,
    now: &Reading,
) -> Option<String> {
    now.through.iter().find_map(|(balancer, through)| {
        let usual = before.through.get(balancer).map(|t| &t.all);
        if usual.is_some_and(|usual| share(usual) > limits.max_error_rate) {
            return None;
        }
        let why = limits.too_many_failures(&through.by_others(soaking))?;
        Some(format!("through {balancer}, {why}"))
    })
}

/// How long answers took.
pub fn times(probed: &Probed) -> Option<Times> {
    Some(Times {
        p50: probed.within(50)?,
        p99: probed.within(99)?,
    })
}

/// What a step told; nothing where it told nothing of that kind.
pub fn told<T: DeserializeOwned>(value: Option<&Value>) -> Option<T> {
    serde_json::from_value(value?.clone()).ok()
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

    fn direct(probed: Probed) -> Reading {
        Reading {
            direct: [("n1".to_owned(), probed)].into(),
            ..Reading::default()
        }
    }

    fn through(by: &[(&str, Probed)], unknown: &Probed) -> Reading {
        let mut all = unknown.clone();
        by.iter().for_each(|(_, probed)| all.add(probed));
        let by = by
            .iter()
            .map(|(host, probed)| ((*host).to_owned(), probed.clone()));
        let through = Through {
            all,
            by: by.collect(),
        };
        Reading {
            through: [("lb".to_owned(), through)].into(),
            ..Reading::default()
        }
    }

    #[test]
    fn two_failures_have_any_reason_and_three_of_many_are_few() {
        let limits = Limits::default();
        assert_eq!(limits.too_many_failures(&probed(10, 1, 2)), None);
        assert_eq!(limits.too_many_failures(&probed(300, 1, 3)), None);
        let why = limits.too_many_failures(&probed(37, 1, 3)).unwrap();
        assert_eq!(why, "3 of 40 requests failed (GET / answers 503)");
    }

    #[test]
    fn slow_is_more_than_twice_and_more_than_noise() {
        let limits = Limits::default();
        let is_slow = |before, now| limits.too_slow(&before, &now).is_some();
        assert!(is_slow(probed(20, 100, 0), probed(20, 300, 0)));
        assert!(!is_slow(probed(20, 100, 0), probed(20, 180, 0)));
        assert!(!is_slow(probed(20, 2, 0), probed(20, 40, 0)));
        assert!(!is_slow(probed(9, 100, 0), probed(20, 900, 0)));
        assert!(!is_slow(probed(20, 100, 0), probed(9, 900, 0)));
    }

    #[test]
    fn a_node_is_judged_by_its_own_answers() {
        let limits = Limits::default();
        let before = through(
            &[("n1", probed(20, 5, 0)), ("n2", probed(20, 5, 0))],
            &Probed::default(),
        );
        let now = through(
            &[("n1", probed(20, 5, 0)), ("n2", probed(10, 5, 10))],
            &Probed::default(),
        );
        assert_eq!(is_failing(&limits, "n1", &before, &now), None);
        let why = is_failing(&limits, "n2", &before, &now).unwrap();
        assert!(
            why.starts_with("through lb, 10 of 20 requests failed"),
            "{why}"
        );
        let others = others_fail(&limits, &["n1"], &before, &now).unwrap();
        assert!(others.contains("10 of 20"), "{others}");
        assert_eq!(others_fail(&limits, &["n2"], &before, &now), None);
    }

    #[test]
    fn a_balancer_that_does_not_tell_stands_for_who_changes() {
        let limits = Limits::default();
        let (before, now) = (
            through(&[], &probed(20, 5, 0)),
            through(&[], &probed(15, 5, 5)),
        );
        assert!(is_failing(&limits, "n1", &before, &now).is_some());
        assert_eq!(others_fail(&limits, &["n1"], &before, &now), None);
    }

    #[test]
    fn what_failed_before_proves_nothing() {
        let limits = Limits::default();
        let bad = direct(probed(0, 0, 20));
        assert_eq!(is_failing(&limits, "n1", &bad, &bad), None);
        let good = direct(probed(20, 5, 0));
        let why = is_failing(&limits, "n1", &good, &bad).unwrap();
        assert!(why.starts_with("asked on itself, 20 of 20"), "{why}");
    }
}
