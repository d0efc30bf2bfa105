//! Whether a changed node has deployed what its peers have, before it is put back and when it has soaked.
//!
//! `content.yaml` of a role fails where the node lacks what it must have, and tells as `alike` what all nodes of a
//! cluster have alike, such as the APIs of gateways.

use super::errands::{self, CONTENT};
use super::{PROBE_PAUSE, Roll};
use crate::vars::Layer;
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How many of those that are missing are named.
const NAMED: usize = 3;

/// For hundreds of APIs, each of which is called; who is gone is not missed by its connection for half a minute.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

const UNTOLD: &str = "what it must have deployed is not known: no peer tells";

type Names = BTreeSet<String>;

/// What a node must have.
enum Wanted {
    /// These; whose they are, for people.
    These(Names, &'static str),
    /// Peers that serve do not tell.
    Untold,
    /// There is nobody to be like.
    Anything,
}

impl Roll<'_> {
    /// Waits for what comes by itself, as APIs do after a start.
    pub(super) async fn lacks_nothing(&self, host: &str) -> Result<(), String> {
        if !self.has(CONTENT) {
            return Ok(());
        }
        let began = Instant::now();
        loop {
            let (missing, is_told) = match self.wanted_of(host).await {
                Wanted::Anything => return Ok(()),
                Wanted::Untold => (Some(UNTOLD.to_owned()), false),
                Wanted::These(wanted, whose) => match self.content(host).await {
                    Ok(has) => (lacks(&wanted, &has, whose), true),
                    Err(why) => (Some(why), true),
                },
            };
            let Some(missing) = missing else {
                return Ok(());
            };
            if began.elapsed() >= self.cluster.alike_within {
                return self.judged(host, missing, is_told);
            }
            self.working(host, &format!("waiting: {missing}"));
            tokio::time::sleep(PROBE_PAUSE).await;
        }
    }

    /// A question that no node answers says nothing about this one.
    fn judged(&self, host: &str, missing: String, is_told: bool) -> Result<(), String> {
        if is_told {
            return Err(missing);
        }
        self.teller.note(Some(host), missing);
        Ok(())
    }

    /// What its peers have; where none of them tells, what it had itself.
    async fn wanted_of(&self, host: &str) -> Wanted {
        let out = self.moving().out.clone();
        let peers = self.cluster.hosts.iter().filter(|peer| {
            *peer != host && self.state(peer).is_some() && !out.contains(peer.as_str())
        });
        let peers: Vec<&String> = peers.collect();
        let within = ANSWER_WITHIN.min(self.cluster.alike_within);
        let told = peers.iter().map(|peer| self.content_within(peer, within));
        let told: Vec<Names> = join_all(told).await.into_iter().flatten().collect();
        if !told.is_empty() {
            return Wanted::These(told.into_iter().flatten().collect(), "that its peers serve");
        }
        let moving = self.moving();
        match moving.contents.get(host) {
            Some(before) => Wanted::These(before.clone(), "that it served before"),
            None if peers.iter().any(|p| moving.installed.contains(*p)) => Wanted::Untold,
            None => Wanted::Anything,
        }
    }

    /// Before it is taken out for the first time: its peers may not tell later.
    pub(super) async fn remember_content(&self, host: &str) {
        if self.has(CONTENT)
            && !self.moving().contents.contains_key(host)
            && let Some(content) = self.content_within(host, ANSWER_WITHIN).await
        {
            self.moving().contents.insert(host.to_owned(), content);
        }
    }

    async fn content_within(&self, host: &str, within: Duration) -> Option<Names> {
        let told = tokio::time::timeout(within, self.content(host)).await;
        told.ok()?.ok()
    }

    async fn content(&self, host: &str) -> Result<Names, String> {
        let vars = Layer::new("rollout");
        let run = self.errand_with(host, &[CONTENT], vars).await?;
        let names = run.as_ref().and_then(|run| errands::value(run, "alike"));
        let names = names.and_then(|names| names.as_array());
        let names = names.into_iter().flatten().filter_map(|name| name.as_str());
        Ok(names.map(ToOwned::to_owned).collect())
    }
}

fn lacks(wanted: &Names, has: &Names, whose: &str) -> Option<String> {
    let missing: Vec<&str> = wanted.difference(has).map(String::as_str).collect();
    if missing.is_empty() {
        return None;
    }
    let named = missing
        .iter()
        .take(NAMED)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    let more = match missing.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "it serves {} of the {} {whose}; missing: {named}{more}",
        wanted.len() - missing.len(),
        wanted.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOSE: &str = "that its peers serve";

    #[test]
    fn what_is_missing_is_named() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Names>();
        let all = names(&["A 1", "B 1", "C 1", "D 1", "E 1"]);
        assert_eq!(lacks(&all, &all, WHOSE), None);
        // More than its peers is no harm: they will hear of it.
        assert_eq!(lacks(&names(&["A 1"]), &all, WHOSE), None);
        let why = "it serves 1 of the 5 that its peers serve; missing: A 1, B 1, C 1 and 1 more";
        assert_eq!(lacks(&all, &names(&["E 1"]), WHOSE).as_deref(), Some(why));
    }
}
