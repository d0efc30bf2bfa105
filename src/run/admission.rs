//! What must be known of every node before any is touched: whether it may become what the run wants, or go back.
//!
//! A play's roles say it in `tasks/may_change.yaml`, and its peers that are no part of the run are asked too: nodes of two
//! product lines must not meet on one database, whoever of them is changed.

use super::errand;
use super::play::Run;
use super::roll::{self, Cluster, MAY_CHANGE};
use crate::event::{Ended, Event, StepEnded};
use crate::plan::{HostState, Leg, World};
use crate::playbook::Task;
use crate::source::Problems;
use crate::vars::Layer;
use crate::wire::{Failure, Mode, Outcome};
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;

impl<'p> Run<'p> {
    /// `Some` when a node must not go where the run wants it. Nothing was changed then.
    pub(super) async fn refused(&mut self) -> Result<Option<Ended>, Problems> {
        let mut is_refused = false;
        for at in 0..self.prepared.playbook.plays.len() {
            let Some(world) = self.world_of(at) else {
                continue;
            };
            for cluster in roll::read(&world, &self.everyone_of(at))? {
                is_refused |= !self.admits(&world, &cluster).await;
            }
        }
        if is_refused {
            self.tally.nobody_reached(&self.prepared.all_hosts());
        }
        Ok(is_refused.then_some(Ended::Preflight))
    }

    /// A play with a `rollout:` that has hosts in this run.
    pub(super) fn world_of(&self, at: usize) -> Option<World<'p>> {
        let mut world = self.prepared.world(at, Arc::clone(&self.common))?;
        world.play.rollout.as_ref()?;
        world.play_hosts.retain(|h| self.states.contains_key(h));
        (!world.play_hosts.is_empty()).then(|| {
            world.begin(world.play_hosts.clone());
            world
        })
    }

    async fn admits(&self, world: &World<'_>, cluster: &Cluster) -> bool {
        if self.prepared.options.rollback {
            return self.may_go_back(world, cluster).await;
        }
        let ours = |host: &String| world.play_hosts.contains(host);
        let Some(like) = cluster.hosts.iter().find(|host| ours(host)) else {
            return true;
        };
        let asked = cluster.hosts.iter().map(|host| async move {
            let state = match self.states.get(host) {
                Some(state) => state.clone(),
                None => self.peer(host, like).await?,
            };
            let vars = Layer::new("rollout").with("is_peer", !world.play_hosts.contains(host));
            let tasks = world.play.errand(MAY_CHANGE, vars)?;
            Some((host, self.ask(world, &state, &tasks).await))
        });
        let mut all = true;
        for (host, answer) in join_all(asked).await.into_iter().flatten() {
            if let Err((title, failure)) = answer {
                all = false;
                self.tell_refusal(host, title, failure);
            }
        }
        all
    }

    /// Who is no part of the run is asked where something is to be changed; that it cannot be reached is told later.
    async fn peer(&self, host: &str, like: &str) -> Option<HostState> {
        let is_lost = self.prepared.all_hosts().iter().any(|known| known == host);
        if is_lost || self.prepared.options.check {
            return None;
        }
        let greeting = self.fleet.meet(host, like).await.ok()?;
        Some(HostState::new(host, &greeting.facts, greeting.due))
    }

    /// The task that refuses, and why. A host that is lost meanwhile is missed by the play itself.
    pub(super) async fn ask(
        &self,
        world: &World<'_>,
        state: &HostState,
        tasks: &[Task],
    ) -> Result<Option<errand::Run>, (String, Failure)> {
        let legs = [Leg::Tasks(tasks)];
        let Ok(run) = errand::run(world, self.fleet, state, &legs, Mode::Check).await else {
            return Ok(None);
        };
        match &run.failure {
            Some(failure) => Err((run.title.clone(), failure.clone())),
            None => Ok(Some(run)),
        }
    }

    pub(super) fn tell_refusal(&self, host: &str, title: String, failure: Failure) {
        let outcome = Outcome::Failed(failure);
        self.tally.count(host, 0, &outcome, false);
        self.teller.tell(Event::StepEnded(StepEnded {
            host: host.to_owned(),
            title,
            place: String::new(),
            item: None,
            handler: false,
            outcome,
            ignored: false,
            diffs: vec![],
            took: Duration::ZERO,
        }));
    }
}
