//! A run's plays with a `rollout:`: cluster by cluster, and what the end of each means for the run.

use super::back::WayBack;
use super::play::Run;
use super::roll::{self, Cluster, Roll};
use crate::event::{Ended, Event};
use crate::plan::{HostState, Leg, World, assumed_facts};
use crate::rollout::{Ending, Verdict};
use crate::source::Problems;
use crate::wire::Outcome;
use indexmap::IndexMap;
use std::sync::Arc;

impl Run<'_> {
    /// A play that changes nodes which serve: cluster by cluster, each by a rollout of its own.
    pub(super) async fn roll(&mut self, at: usize, mut world: World<'_>) -> Result<(), Problems> {
        let ours = world.play_hosts.clone();
        world.begin(ours.clone());
        for cluster in roll::read(&world, &self.everyone_of(at))? {
            let Some(like) = cluster.hosts.iter().find(|host| ours.contains(host)) else {
                continue;
            };
            let reached = self.reached(&cluster, like).await;
            let mut way = None;
            if self.prepared.options.rollback {
                way = self.way_back(&world, &cluster, &reached).await;
                way = self.goes_back(&cluster, way);
                if way.is_none() {
                    continue;
                }
            }
            self.roll_cluster(at, &world, &cluster, way.as_ref(), reached)
                .await;
            if let (Some(way), None, false) = (&way, &self.stopped, self.left_behind) {
                self.tell_back(&cluster, way);
            }
            if self.stopped.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Every host of the play, with what is known of it; those that `--limit` left out too, for a cluster must not count as
    /// smaller than it is.
    pub(super) fn everyone_of(&self, at: usize) -> Vec<HostState> {
        let everyone = self.prepared.everyone_of(at).into_iter();
        let state = |host: String| match self.states.get(&host) {
            Some(state) => state.clone(),
            None => HostState::new(&host, &assumed_facts(&host), vec![]),
        };
        everyone.map(state).collect()
    }

    /// The cluster's hosts that answer. Who is no part of the run is asked all the same, and never touched.
    pub(super) async fn reached(
        &self,
        cluster: &Cluster,
        like: &str,
    ) -> IndexMap<String, HostState> {
        let known = self.prepared.all_hosts();
        let mut reached = IndexMap::new();
        for host in &cluster.hosts {
            let state = match self.states.get(host) {
                Some(state) => Some(state.clone()),
                None if known.contains(host) => None,
                None => self.meet(host, like).await,
            };
            reached.extend(state.map(|state| (host.clone(), state)));
        }
        reached
    }

    async fn meet(&self, host: &str, like: &str) -> Option<HostState> {
        match self.fleet.meet(host, like).await {
            Ok(greeting) => Some(HostState::new(host, &greeting.facts, greeting.due)),
            Err(lost) => {
                self.teller.tell(Event::Unreachable {
                    host: host.to_owned(),
                    failure: lost.failure().clone(),
                });
                None
            }
        }
    }

    async fn roll_cluster(
        &mut self,
        at: usize,
        world: &World<'_>,
        cluster: &Cluster,
        way: Option<&WayBack>,
        reached: IndexMap<String, HostState>,
    ) {
        let tally = &self.tally;
        let count = |host: &str, task: u32, outcome: &Outcome, ignored: bool| {
            tally.count(host, task, outcome, ignored);
        };
        let mut roll = Roll::new(
            world,
            self.fleet,
            self.teller,
            &count,
            cluster,
            world.play_hosts.clone(),
            reached,
        );
        if let Some(way) = way {
            roll.legs = vec![Leg::Tasks(&way.tasks)];
        }
        let rolled = roll.roll(std::mem::take(&mut self.ledger)).await;
        for (name, state) in rolled.states {
            if self.states.contains_key(&name) {
                self.states.insert(name, state);
            }
        }
        for (name, driven) in rolled.lost {
            if let Some(state) = self.states.get(&name).cloned() {
                self.settle(state, driven);
            }
        }
        self.ledger = rolled.ending.ledger.clone();
        let new = self.ledger.finished.iter().skip(self.rolled.len());
        let new: Vec<_> = new.map(|host| (host.clone(), at)).collect();
        self.rolled.extend(new);
        self.conclude(&cluster.name, &rolled.ending).await;
    }

    /// What the end of a rollout means for the run.
    async fn conclude(&mut self, cluster: &str, ending: &Ending) {
        let (ended, why) = match &ending.verdict {
            Verdict::Done => return,
            Verdict::Paused { why } | Verdict::RolledBack { why, .. } if ending.goes_on => {
                (Ended::Stopped, why.clone())
            }
            Verdict::Paused { why } => {
                let ended = match self.tally.ended() {
                    Ended::Done => Ended::Stopped,
                    ended => ended,
                };
                (ended, why.clone())
            }
            Verdict::RolledBack { why, earlier } => match self.unwind(earlier).await {
                Ok(()) => (Ended::RolledBack, why.clone()),
                Err(stuck) => (Ended::NeedsPerson, format!("{why}; then {stuck}")),
            },
            Verdict::NeedsPerson { why } => (Ended::NeedsPerson, why.clone()),
            Verdict::Interrupted => (Ended::Interrupted, "it was interrupted".to_owned()),
        };
        let hosts = ending.hosts.iter();
        self.teller.tell(Event::RolledOut {
            cluster: cluster.to_owned(),
            ended: ended.clone(),
            why,
            hosts: hosts.map(|(h, s)| (h.clone(), s.to_string())).collect(),
        });
        match ended == Ended::Stopped && ending.goes_on {
            true => self.left_behind = true,
            false => self.stopped = Some(ended),
        }
    }

    /// Brings back the old state of hosts that earlier rollouts of this run finished, one after the other.
    async fn unwind(&self, hosts: &[String]) -> Result<(), String> {
        for host in hosts {
            let rolled = self.rolled.iter().find(|(name, _)| name == host);
            let Some((at, mut world)) = rolled.and_then(|(_, at)| {
                let world = self.prepared.world(*at, Arc::clone(&self.common))?;
                Some((*at, world))
            }) else {
                return Err(format!("nobody knows how {host} was changed"));
            };
            world.play_hosts.retain(|h| self.states.contains_key(h));
            world.begin(world.play_hosts.clone());
            let clusters = roll::read(&world, &self.everyone_of(at));
            let clusters = clusters.map_err(|p| p.render(false))?;
            let cluster = clusters.iter().find(|c| c.hosts.contains(host));
            let Some(cluster) = cluster else {
                return Err(format!("{host} is in no cluster"));
            };
            let roll = Roll::new(
                &world,
                self.fleet,
                self.teller,
                &|_, _, _, _| {},
                cluster,
                vec![],
                self.reached(cluster, host).await,
            );
            roll.go_back(host).await?;
        }
        Ok(())
    }
}
