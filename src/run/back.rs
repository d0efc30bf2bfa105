//! `rollback`: every cluster goes back to the release that it ran before its last upgrade, by the rollout that changes it
//! at any other time. What going back means is said by the play's roles, in `tasks/roll_back.yaml`.
//!
//! Only nodes that run the cluster's newest release go back. After a run that stopped half-way the others never left.

use super::errand::Run as Errand;
use super::play::Run;
use super::roll::{self, Cluster, ROLL_BACK};
use crate::event::{Ended, Event};
use crate::plan::{HostState, Leg, World};
use crate::playbook::Task;
use crate::source::Problems;
use crate::vars::Layer;
use crate::wire::{Failure, Release};
use futures_util::future::join_all;
use indexmap::IndexMap;
use serde_json::Value;

/// How a cluster goes back.
pub(super) struct WayBack {
    pub tasks: Vec<Task>,
    /// The release that is left.
    newest: String,
    /// By host the release that it goes back to.
    going: IndexMap<String, String>,
    /// Who must not, the task that says so, and why.
    refused: Vec<(String, String, Failure)>,
}

/// Nobody runs this release: for a look that only wants to know what runs.
const NOBODY: &str = "";

impl Run<'_> {
    /// Against the order of the plays: what depends on another part is never newer than that.
    pub(super) async fn back(&mut self) -> Result<Ended, Problems> {
        for at in (0..self.prepared.playbook.plays.len()).rev() {
            let Some(world) = self.world_of(at) else {
                continue;
            };
            self.teller.tell(Event::PlayStarted {
                play: format!("Roll back: {}", world.play.name),
                hosts: world.play_hosts.clone(),
            });
            match self.prepared.options.check {
                true => self.rehearse_back(at, world).await?,
                false => self.roll(at, world).await?,
            }
            if let Some(ended) = self.stopped.take() {
                return Ok(ended);
            }
        }
        Ok(self.ended())
    }

    async fn rehearse_back(&mut self, at: usize, world: World<'_>) -> Result<(), Problems> {
        for cluster in roll::read(&world, &self.everyone_of(at))? {
            let states = self.states.clone();
            let way = self.way_back(&world, &cluster, &states).await;
            let Some(way) = self.goes_back(&cluster, way) else {
                continue;
            };
            let hosts: Vec<String> = way.going.keys().cloned().collect();
            self.each(&world, &hosts, &[Leg::Tasks(&way.tasks)]).await;
        }
        Ok(())
    }

    /// `None` when nothing is known of the cluster, or its play says nothing of going back.
    pub(super) async fn way_back(
        &self,
        world: &World<'_>,
        cluster: &Cluster,
        reached: &IndexMap<String, HostState>,
    ) -> Option<WayBack> {
        let with = |from: &str| {
            let vars = Layer::new("rollout").with("rollback_from", from);
            world.play.errand(ROLL_BACK, vars)
        };
        let looks = with(NOBODY)?;
        let hosts = || cluster.hosts.iter().filter_map(|h| reached.get(h));
        let runs = join_all(hosts().map(|host| self.ask(world, host, &looks))).await;
        let runs: Vec<_> = runs.into_iter().filter_map(|r| r.ok().flatten()).collect();
        let newest = runs.iter().filter_map(|run| said(run, "release"));
        let newest = newest.max_by_key(|name| Release::of(name))?;
        // The cluster went back to it already: going further would leave nodes of two releases.
        let is_back = |run: &Errand| {
            said(run, "release").as_ref() == Some(&newest)
                && roll::value(run, "came_back") == Some(&Value::Bool(true))
        };
        let newest = match runs.iter().any(is_back) {
            true => NOBODY.to_owned(),
            false => newest,
        };
        let tasks = with(&newest)?;
        let ours = hosts().filter(|host| world.play_hosts.contains(&host.name));
        let asked = ours.map(|host| async {
            let answer = self.ask(world, host, &tasks).await;
            (host.name.clone(), answer)
        });
        let answers = join_all(asked).await;
        let mut way = WayBack {
            tasks,
            newest,
            going: IndexMap::new(),
            refused: vec![],
        };
        for (host, answer) in answers {
            match answer {
                Err((title, failure)) => way.refused.push((host, title, failure)),
                Ok(run) => {
                    let earlier = run.and_then(|run| said(&run, "earlier"));
                    way.going.extend(earlier.map(|earlier| (host, earlier)));
                }
            }
        }
        Some(way)
    }

    /// Whether nothing stands in the way of those that would go back.
    pub(super) async fn may_go_back(&self, world: &World<'_>, cluster: &Cluster) -> bool {
        let Some(way) = self.way_back(world, cluster, &self.states).await else {
            return true;
        };
        let may = way.refused.is_empty();
        for (host, title, failure) in way.refused {
            self.tell_refusal(&host, title, failure);
        }
        may
    }

    /// Says so where nobody goes back; a rollout would only look.
    pub(super) fn goes_back(&self, cluster: &Cluster, way: Option<WayBack>) -> Option<WayBack> {
        let way = way.filter(|way| !way.going.is_empty());
        if way.is_none() {
            let text = format!("{}: there is nothing to go back to", cluster.name);
            self.teller.note(None, text);
        }
        way
    }

    /// What people have to do, or the next run brings the newer release again.
    pub(super) fn tell_back(&self, cluster: &Cluster, way: &WayBack) {
        let stay = |host: &&String| {
            self.states.contains_key(*host) && !way.going.contains_key(host.as_str())
        };
        let stay: Vec<&str> = cluster
            .hosts
            .iter()
            .filter(stay)
            .map(String::as_str)
            .collect();
        let mut earlier: Vec<&str> = way.going.values().map(String::as_str).collect();
        earlier.dedup();
        let mut text = format!(
            "{}: {} runs again in place of {}; the next run brings what the inventory names, so it has to name that",
            cluster.name,
            earlier.join(", "),
            way.newest
        );
        if !stay.is_empty() {
            text.push_str(&format!("; {} stayed as it was", stay.join(", ")));
        }
        self.teller.note(None, text);
    }
}

fn said(run: &Errand, field: &str) -> Option<String> {
    roll::value(run, field)?.as_str().map(ToOwned::to_owned)
}
