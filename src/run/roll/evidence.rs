//! What clients meet while a rollout goes on: requests that hosts send at a steady pace, and what to make of them.
//!
//! Each node asks itself (`probe.yaml`), so that a changed one is judged by its own answers and not by a healthy peer's.
//! Each balancer asks its cluster as clients do (`traffic.yaml`), and tells who answered where it knows. Both begin
//! before the first node is taken out: what they come to until then is the baseline.

use crate::event::Times;
use crate::wire::Probed;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
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
/// The same of what was measured before: that is short, as nothing is done meanwhile, and peers are compared too.
const FEW_BEFORE: u64 = 5;

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

    /// Clearly slower than before, and than the quickest of its peers is now: where all are slow at once it is not the
    /// change. Medians: of few requests the slowest tells nothing.
    fn too_slow(&self, before: &Probed, now: &Probed, peers: &[&Probed]) -> Option<String> {
        if before.answered() < FEW_BEFORE || now.answered() < FEW_ANSWERS {
            return None;
        }
        let (before, now) = (before.within(50)?, now.within(50)?);
        let told = peers.iter().filter(|peer| peer.answered() >= FEW_ANSWERS);
        let quickest = told.filter_map(|peer| peer.within(50)).min();
        let usual = before.max(quickest.unwrap_or_default());
        let limit = usual.mul_f64(self.max_latency_factor.max(1.0));
        let is_slow = now > limit && now > usual + self.latency_floor;
        is_slow.then(|| {
            format!(
                "takes {} ms to be answered, and took {} ms before",
                now.as_millis(),
                before.as_millis()
            )
        })
    }
}

fn share(probed: &Probed) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let share = probed.failed as f64 / probed.sent.max(1) as f64;
    share
}

/// By URL: one that is slow must not hide among others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Asked(BTreeMap<String, Probed>);

impl Asked {
    pub fn sum(&self) -> Probed {
        let mut sum = Probed::default();
        self.0.values().for_each(|probed| sum.add(probed));
        sum
    }

    fn since(&self, earlier: Option<&Self>) -> Self {
        let since = self.0.iter().map(|(url, probed)| {
            let before = earlier.and_then(|earlier| earlier.0.get(url));
            let since = before.map_or_else(|| probed.clone(), |before| probed.since(before));
            (url.clone(), since)
        });
        Self(since.collect())
    }
}

/// One reading of a node's own requests and of every balancer's.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// By the node that asks itself.
    pub direct: BTreeMap<String, Asked>,
    /// By balancer.
    pub through: BTreeMap<String, Through>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Through {
    pub all: Asked,
    /// By the node that answered.
    pub by: BTreeMap<String, Asked>,
}

impl Through {
    /// Those that none of `hosts` answered; nothing where the balancer does not tell who did.
    fn by_others(&self, hosts: &[&str]) -> Probed {
        if self.by.is_empty() {
            return Probed::default();
        }
        let mut theirs = Probed::default();
        for host in hosts {
            theirs.add(&self.by.get(*host).map(Asked::sum).unwrap_or_default());
        }
        self.all.sum().since(&theirs)
    }
}

impl Reading {
    /// Nobody asks anything.
    pub fn is_empty(&self) -> bool {
        self.direct.is_empty() && self.through.is_empty()
    }

    pub fn since(&self, earlier: &Self) -> Self {
        let direct = self.direct.iter();
        let direct = direct.map(|(host, now)| (host.clone(), now.since(earlier.direct.get(host))));
        let through = self.through.iter().map(|(balancer, now)| {
            let before = earlier.through.get(balancer);
            let by = now.by.iter().map(|(host, now)| {
                let before = before.and_then(|before| before.by.get(host));
                (host.clone(), now.since(before))
            });
            let since = Through {
                all: now.all.since(before.map(|before| &before.all)),
                by: by.collect(),
            };
            (balancer.clone(), since)
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
            all.add(&through.all.sum());
        }
        all
    }

    /// What this node answered: asked by itself, and by each balancer. A balancer that does not tell who answered stands for
    /// the node that changes.
    fn of(&self, host: &str) -> BTreeMap<(String, &str), &Probed> {
        let mut all = Vec::new();
        all.extend(
            self.direct
                .get(host)
                .map(|asked| ("asked on itself".to_owned(), asked)),
        );
        for (balancer, through) in &self.through {
            let asked = match through.by.is_empty() {
                true => Some(&through.all),
                false => through.by.get(host),
            };
            all.extend(asked.map(|asked| (format!("through {balancer}"), asked)));
        }
        let each = all.into_iter().flat_map(|(how, asked)| {
            let each = asked.0.iter();
            each.map(move |(url, probed)| ((how.clone(), url.as_str()), probed))
        });
        each.collect()
    }
}

impl Reading {
    /// The same question, asked of others in the same way.
    fn of_peers(&self, host: &str, (how, url): &(String, &str)) -> Vec<&Probed> {
        let peers = self
            .direct
            .keys()
            .chain(self.through.values().flat_map(|t| t.by.keys()));
        let peers: BTreeSet<&String> = peers.filter(|peer| *peer != host).collect();
        let of_peer = |peer: &&String| {
            let asked = self.of(peer).into_iter();
            let mut same = asked.filter(|((h, u), _)| h == how && path(u) == path(url));
            same.next().map(|(_, probed)| probed)
        };
        peers.iter().filter_map(of_peer).collect()
    }
}

/// Whether a node that soaks does worse than before: `now` since its soak began. What was answered badly before anything was
/// changed proves nothing.
pub fn is_failing(limits: &Limits, host: &str, before: &Reading, now: &Reading) -> Option<String> {
    let before = before.of(host);
    now.of(host).into_iter().find_map(|(asked, probed)| {
        let usual = before.get(&asked);
        if usual.is_some_and(|usual| share(usual) > limits.max_error_rate) {
            return None;
        }
        let why = limits.too_many_failures(probed)?;
        Some(format!("{}, {why}", asked.0))
    })
}

/// Each question was answered often enough to tell how long it takes.
pub fn is_enough(host: &str, now: &Reading) -> bool {
    let of = now.of(host);
    let mut asked = of.values().filter(|probed| probed.sent > 0);
    asked.all(|probed| probed.answered() >= FEW_ANSWERS)
}

pub fn is_slower(limits: &Limits, host: &str, before: &Reading, now: &Reading) -> Option<String> {
    let before = before.of(host);
    now.of(host).into_iter().find_map(|(asked, probed)| {
        let peers = now.of_peers(host, &asked);
        let why = limits.too_slow(before.get(&asked)?, probed, &peers)?;
        Some(format!("{}, {} {why}", asked.0, asked.1))
    })
}

/// Of a URL: nodes that ask themselves do so under names of their own.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| &rest[at..])
}

/// Whether the others do worse, while `soaking` soak.
pub fn others_fail(
    limits: &Limits,
    soaking: &[&str],
    before: &Reading,
    now: &Reading,
) -> Option<String> {
    now.through.iter().find_map(|(balancer, through)| {
        let usual = before.through.get(balancer).map(|t| t.all.sum());
        if usual.is_some_and(|usual| share(&usual) > limits.max_error_rate) {
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

    fn asked(probed: &Probed) -> Asked {
        Asked([("http://a/".to_owned(), probed.clone())].into())
    }

    fn direct(probed: &Probed) -> Reading {
        Reading {
            direct: [("n1".to_owned(), asked(probed))].into(),
            ..Reading::default()
        }
    }

    fn through(by: &[(&str, Probed)], unknown: &Probed) -> Reading {
        let mut all = unknown.clone();
        by.iter().for_each(|(_, probed)| all.add(probed));
        let by = by.iter();
        let by = by.map(|(host, probed)| ((*host).to_owned(), asked(probed)));
        let through = Through {
            all: asked(&all),
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
        let is_slow = |before, now| limits.too_slow(&before, &now, &[]).is_some();
        assert!(is_slow(probed(20, 100, 0), probed(20, 300, 0)));
        assert!(!is_slow(probed(20, 100, 0), probed(20, 180, 0)));
        assert!(!is_slow(probed(20, 2, 0), probed(20, 40, 0)));
        assert!(!is_slow(probed(4, 100, 0), probed(20, 900, 0)));
        assert!(is_slow(probed(5, 100, 0), probed(20, 900, 0)));
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
        let bad = direct(&probed(0, 0, 20));
        assert_eq!(is_failing(&limits, "n1", &bad, &bad), None);
        let good = direct(&probed(20, 5, 0));
        let why = is_failing(&limits, "n1", &good, &bad).unwrap();
        assert!(why.starts_with("asked on itself, 20 of 20"), "{why}");
    }

    #[test]
    fn what_is_slow_does_not_hide_among_what_is_not() {
        let limits = Limits::default();
        let both = |slow: u64| {
            let urls = [("http://a/slow", slow), ("http://a/quick", 5)];
            let asked = urls.map(|(url, millis)| (url.to_owned(), probed(20, millis, 0)));
            Reading {
                direct: [("n1".to_owned(), Asked(asked.into()))].into(),
                ..Reading::default()
            }
        };
        let why = is_slower(&limits, "n1", &both(6), &both(306)).unwrap();
        assert!(
            why.starts_with("asked on itself, http://a/slow takes 3"),
            "{why}"
        );
        assert_eq!(is_slower(&limits, "n1", &both(6), &both(6)), None);
    }

    #[test]
    fn where_the_peers_are_slow_as_well_it_is_not_the_change() {
        let limits = Limits::default();
        let asks = |host: &str, millis| {
            let url = format!("http://{host}:8290/");
            (
                host.to_owned(),
                Asked([(url, probed(20, millis, 0))].into()),
            )
        };
        let both = |n1, n2| Reading {
            direct: [asks("n1", n1), asks("n2", n2)].into(),
            ..Reading::default()
        };
        let is_slow = |now: &Reading| is_slower(&limits, "n1", &both(10, 10), now).is_some();
        assert!(is_slow(&both(300, 10)));
        assert!(is_slow(&both(300, 140)));
        assert!(!is_slow(&both(300, 200)));
    }
}
