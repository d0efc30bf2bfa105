//! What clients meet while a rollout goes on: requests that hosts send at a steady pace, and what to make of them.
//!
//! Each node asks itself (`probe.yaml`), so that a changed one is judged by its own answers and not by a healthy peer's.
//! Each balancer asks its cluster as clients do (`traffic.yaml`), and tells who answered where it knows. Both begin
//! before the first node is taken out: what they come to until then is the baseline.

use super::limits::{FEW_ANSWERS, Limits};
use crate::event::Times;
use crate::wire::Probed;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

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

    /// The same question, under another name of a host.
    fn same(&self, url: &str) -> Option<&Probed> {
        let mut same = self.0.iter().filter(|(other, _)| path(other) == path(url));
        same.next().map(|(_, probed)| probed)
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

/// How requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way<'r> {
    Itself,
    Through(&'r String),
}

impl fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself => f.write_str("asked on itself"),
            Self::Through(balancer) => write!(f, "through {balancer}"),
        }
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
    fn by_others(&self, hosts: &[&str]) -> Asked {
        let mut others = Asked::default();
        if self.by.is_empty() {
            return others;
        }
        for (url, all) in &self.all.0 {
            let mut theirs = Probed::default();
            for asked in hosts.iter().filter_map(|host| self.by.get(*host)) {
                theirs.add(asked.0.get(url).unwrap_or(&Probed::default()));
            }
            others.0.insert(url.clone(), all.since(&theirs));
        }
        others
    }
}

impl Reading {
    /// Nobody asks anything.
    pub fn is_empty(&self) -> bool {
        self.direct.is_empty() && self.through.is_empty()
    }

    pub fn since(&self, earlier: &Self) -> Self {
        // Whose earlier ones nobody could read has none from this time alone.
        let direct = self.direct.iter().filter_map(|(host, now)| {
            let before = earlier.direct.get(host)?;
            Some((host.clone(), now.since(Some(before))))
        });
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

    /// What this node answered, by the way in which it was asked: by itself, and by each balancer that tells who answered.
    fn told_of(&self, host: &str) -> BTreeMap<Way<'_>, &Asked> {
        let direct = self.direct.get(host).map(|asked| (Way::Itself, asked));
        let through = self.through.iter();
        let through = through.filter_map(|(balancer, through)| {
            let asked = through.by.get(host)?;
            Some((Way::Through(balancer), asked))
        });
        direct.into_iter().chain(through).collect()
    }

    /// The same; a balancer that does not tell who answered stands for the node that changes.
    fn of(&self, host: &str) -> BTreeMap<Way<'_>, &Asked> {
        let mut told = self.told_of(host);
        let silent = self.through.iter().filter(|(_, t)| t.by.is_empty());
        told.extend(silent.map(|(balancer, t)| (Way::Through(balancer), &t.all)));
        told
    }

    /// What this node answered to the same question.
    fn same(&self, host: &str, way: Way<'_>, url: &str) -> Option<&Probed> {
        let told = self.told_of(host);
        told.iter().find(|(asked, _)| **asked == way)?.1.same(url)
    }

    fn others(&self, host: &str) -> BTreeSet<&str> {
        let by = self.through.values().flat_map(|t| t.by.keys());
        let all = self.direct.keys().chain(by).map(String::as_str);
        all.filter(|other| *other != host).collect()
    }
}

/// Whether a node that soaks does worse than before: `now` since its soak began. Each question by itself, as one that fails must
/// not hide among others, and all of them together, as of many each is asked a few times.
pub fn is_failing(limits: &Limits, host: &str, before: &Reading, now: &Reading) -> Option<String> {
    let before = before.of(host);
    now.of(host).into_iter().find_map(|(way, asked)| {
        let why = fails(limits, before.get(&way).copied(), asked)?;
        Some(format!("{way}, {why}"))
    })
}

/// The first of the questions that fails too often, or all of them together.
fn fails(limits: &Limits, before: Option<&Asked>, now: &Asked) -> Option<String> {
    let before_of = |url| before.and_then(|before| before.0.get(url));
    let each = now.0.iter();
    let mut each = each.filter_map(|(url, now)| limits.too_many_failures(before_of(url), now));
    each.next()
        .or_else(|| limits.too_many_failures(before.map(Asked::sum).as_ref(), &now.sum()))
}

/// Each question was answered often enough to tell how long it takes.
pub fn is_enough(host: &str, now: &Reading) -> bool {
    let of = now.of(host);
    let mut asked = of.values().flat_map(|asked| asked.0.values());
    asked.all(|probed| probed.sent == 0 || probed.answered() >= FEW_ANSWERS)
}

/// Whether it takes longer than before, and its peers do not.
pub fn is_slower(limits: &Limits, host: &str, before: &Reading, now: &Reading) -> Option<String> {
    let usual = before.of(host);
    now.of(host).into_iter().find_map(|(way, asked)| {
        let usual = usual.get(&way)?;
        asked.0.iter().find_map(|(url, probed)| {
            let peers = now.others(host).into_iter().filter_map(|peer| {
                let now = now.same(peer, way, url)?;
                Some((before.same(peer, way, url)?, now))
            });
            let peers: Vec<_> = peers.collect();
            let why = limits.too_slow(usual.0.get(url)?, probed, &peers)?;
            Some(format!("{way}, {url} {why}"))
        })
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
        let usual = before.through.get(balancer).map(|t| &t.all);
        let why = fails(limits, usual, &through.by_others(soaking))?;
        Some(format!("{}, {why}", Way::Through(balancer)))
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
    use std::time::Duration;

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
    fn what_failed_now_and_then_may_not_fail_always() {
        let limits = Limits::default();
        let before = direct(&probed(11, 5, 1));
        for (good, bad, fails) in [
            (0, 3, true),
            (8, 12, true),
            (14, 6, false),
            (138, 12, false),
        ] {
            let now = direct(&probed(good, 5, bad));
            let why = is_failing(&limits, "n1", &before, &now);
            assert_eq!(why.is_some(), fails, "{bad} of {}: {why:?}", good + bad);
        }
        // It always did, of so many that a product of shares is nothing.
        let bad = direct(&probed(40, 5, 8_000));
        assert_eq!(is_failing(&limits, "n1", &bad, &bad), None);
        let worse = direct(&probed(0, 5, 8_000));
        assert!(is_failing(&limits, "n1", &bad, &worse).is_some());
        let through = |probed| through(&[("n2", probed)], &Probed::default());
        let (before, now) = (through(probed(11, 5, 1)), through(probed(0, 5, 12)));
        assert!(others_fail(&limits, &["n1"], &before, &now).is_some());
        assert_eq!(others_fail(&limits, &["n1"], &before, &before), None);
    }

    /// Of forty questions each is asked four times.
    #[test]
    fn questions_that_are_asked_seldom_are_judged_together() {
        let limits = Limits::default();
        let all = |bad: u64| {
            let each = (0..40).map(|n| (format!("http://a/{n}"), probed(4 - bad, 5, bad)));
            Reading {
                direct: [("n1".to_owned(), Asked(each.collect()))].into(),
                ..Reading::default()
            }
        };
        let why = is_failing(&limits, "n1", &all(0), &all(1)).unwrap();
        assert!(
            why.starts_with("asked on itself, 40 of 160 requests"),
            "{why}"
        );
        assert_eq!(is_failing(&limits, "n1", &all(1), &all(1)), None);
    }

    /// Such as one that an earlier run changed.
    #[test]
    fn a_peer_that_was_slow_before_is_no_excuse() {
        let limits = Limits::default();
        let both = |n1, n2| Reading {
            direct: [("n1", n1), ("n2", n2)]
                .map(|(host, millis)| (host.to_owned(), asked(&probed(20, millis, 0))))
                .into(),
            ..Reading::default()
        };
        let is_slow = |before, now| is_slower(&limits, "n2", &before, &now).is_some();
        assert!(is_slow(both(130, 60), both(130, 130)));
        assert!(!is_slow(both(130, 60), both(270, 130)));
        // A backend that takes longer adds the same to each.
        assert!(!is_slow(both(20, 5), both(220, 205)));
    }

    #[test]
    fn a_balancer_that_does_not_tell_knows_no_peers() {
        let limits = Limits::default();
        let reading = |millis| Reading {
            direct: ["n1", "n2"]
                .map(|host| (host.to_owned(), Asked::default()))
                .into(),
            ..through(&[], &probed(20, millis, 0))
        };
        let why = is_slower(&limits, "n1", &reading(60), &reading(120)).unwrap();
        assert!(why.starts_with("through lb, "), "{why}");
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
        assert!(!is_slow(&both(300, 210)));
    }
}
