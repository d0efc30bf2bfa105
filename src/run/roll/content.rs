//! Whether a changed node has deployed what its peers have, before it is put back and when it has soaked.
//!
//! `content.yaml` of a role fails where the node lacks what it must have, and tells as `alike` what all nodes of a
//! cluster have alike, such as the APIs of gateways.

use super::errands::{self, CONTENT};
use super::{PROBE_PAUSE, Roll};
use crate::vars::Layer;
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::time::Instant;

/// How many of those that are missing are named.
const NAMED: usize = 3;

type Names = BTreeSet<String>;

impl Roll<'_> {
    /// Waits for what comes by itself, as APIs do after a start.
    pub(super) async fn lacks_nothing(&self, host: &str) -> Result<(), String> {
        if !self.has(CONTENT) {
            return Ok(());
        }
        let began = Instant::now();
        loop {
            let Some(wanted) = self.wanted_of(host).await else {
                return Ok(());
            };
            let missing = match self.content(host).await {
                Ok(has) => lacks(&wanted, &has),
                Err(why) => Some(why),
            };
            let Some(missing) = missing else {
                return Ok(());
            };
            if began.elapsed() >= self.cluster.alike_within {
                return Err(missing);
            }
            self.working(host, &format!("waiting: {missing}"));
            tokio::time::sleep(PROBE_PAUSE).await;
        }
    }

    /// What its peers have; of a node alone what it had itself. `None` where nobody can tell: a question that no node
    /// answers says nothing about this one.
    async fn wanted_of(&self, host: &str) -> Option<Names> {
        let out = self.moving().out.clone();
        let peers = self.cluster.hosts.iter().filter(|peer| {
            *peer != host && self.state(peer).is_some() && !out.contains(peer.as_str())
        });
        let told = join_all(peers.map(|peer| self.content(peer))).await;
        let told: Vec<Names> = told.into_iter().flatten().collect();
        match told.is_empty() {
            true => self.moving().contents.get(host).cloned(),
            false => Some(told.into_iter().flatten().collect()),
        }
    }

    /// Of a node that has no peers, before it is taken out.
    pub(super) async fn remember_content(&self, host: &str) {
        if self.cluster.hosts.len() == 1
            && self.has(CONTENT)
            && let Ok(content) = self.content(host).await
        {
            self.moving().contents.insert(host.to_owned(), content);
        }
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

fn lacks(wanted: &Names, has: &Names) -> Option<String> {
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
        "it serves {} of the {} that its peers serve; missing: {named}{more}",
        wanted.len() - missing.len(),
        wanted.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Names>();
        let all = names(&["A 1", "B 1", "C 1", "D 1", "E 1"]);
        assert_eq!(lacks(&all, &all), None);
        // More than its peers is no harm: they will hear of it.
        assert_eq!(lacks(&names(&["A 1"]), &all), None);
        let why = "it serves 1 of the 5 that its peers serve; missing: A 1, B 1, C 1 and 1 more";
        assert_eq!(lacks(&all, &names(&["E 1"])).as_deref(), Some(why));
    }
}
