//! Plays, batches, and the policy that decides whether the next batch may begin.

use super::drive::{Driven, Driver};
use super::fleet::{Fleet, Greeting};
use super::prepare::Prepared;
use super::teller::Teller;
use crate::event::{Ended, Event, HostRecap, Recap};
use crate::plan::{self, HostState, Leg, Stretch, World};
use crate::playbook::Play;
use crate::rollout::Ledger;
use crate::source::{Problems, Yaml};
use crate::ssh::{Lost, Worker};
use crate::vars::Layer;
use crate::wire::Outcome;
use futures_util::future::join_all;
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// Runs a prepared playbook. The recap goes out as the last event.
pub async fn execute(
    prepared: &Prepared,
    worker: Arc<Worker>,
    teller: &Teller,
    stop: watch::Receiver<bool>,
) -> Result<Ended, Problems> {
    let began = Instant::now();
    teller.tell(Event::RunStarted {
        playbook: prepared.playbook.name.clone(),
        hosts: prepared.all_hosts(),
        check: prepared.options.check,
    });
    let fleet = Fleet::new(prepared, worker, teller.clone(), stop);
    let mut run = Run {
        prepared,
        fleet: &fleet,
        teller,
        states: IndexMap::new(),
        tally: Tally::new(prepared.all_hosts()),
        common: prepared.common_without_facts(),
        stopped: None,
        left_behind: false,
        ledger: Ledger::default(),
        rolled: Vec::new(),
    };
    let ended = run.whole().await;
    let recap = run.recap(began).await;
    fleet.close().await;
    teller.tell(Event::RunEnded { recap });
    ended
}

pub(super) struct Run<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) fleet: &'a Fleet<'a>,
    pub(super) teller: &'a Teller,
    /// Hosts that are still in the run.
    pub(super) states: IndexMap<String, HostState>,
    pub(super) tally: Tally,
    pub(super) common: Arc<Layer>,
    pub(super) stopped: Option<Ended>,
    /// A rollout went on without some of its hosts, as it was told to.
    pub(super) left_behind: bool,
    /// What the rollouts of this run did so far.
    pub(super) ledger: Ledger,
    /// The play by which each host was changed, for the way back.
    pub(super) rolled: Vec<(String, usize)>,
}

impl Run<'_> {
    async fn whole(&mut self) -> Result<Ended, Problems> {
        if let Some(ended) = self.connect().await {
            return Ok(ended);
        }
        if let Some(ended) = self.refused().await? {
            return Ok(ended);
        }
        if self.prepared.options.rollback {
            return self.back().await;
        }
        let mut may_change = false;
        for (at, play) in self.prepared.playbook.plays.iter().enumerate() {
            if !play.preflight && !may_change {
                may_change = true;
                self.withdraw().await?;
            }
            if self.stopped.is_none() {
                self.play(at).await?;
            }
            if let Some(ended) = self.stopped.take() {
                return Ok(ended);
            }
        }
        Ok(self.ended())
    }

    /// How a run ended that nothing stopped.
    pub(super) fn ended(&self) -> Ended {
        match self.tally.ended() {
            Ended::Done if self.left_behind => Ended::Stopped,
            ended => ended,
        }
    }

    /// Reaches every host. Some ways of not reaching one end the run before anything is changed.
    async fn connect(&mut self) -> Option<Ended> {
        let greetings = self.fleet.connect().await;
        let mut ended = None;
        for host in self.prepared.all_hosts() {
            match greetings.get(&host) {
                Some(Ok(greeting)) => self.admit(&host, greeting),
                Some(Err(lost)) => {
                    self.tally.unreachable(&host);
                    self.miss(&host, lost);
                    let worse = match lost {
                        Lost::Busy(_) => Some(Ended::Busy),
                        Lost::Refused(_) => Some(Ended::Preflight),
                        Lost::Unreachable(_) if self.is_fatal(&host) => Some(Ended::Unreachable),
                        Lost::Unreachable(_) => None,
                    };
                    ended = ended.or(worse);
                }
                None => {}
            }
        }
        if ended.is_some() {
            self.tally.nobody_reached(&self.prepared.all_hosts());
        }
        let facts = self
            .states
            .iter()
            .map(|(h, s)| (h.clone(), Arc::clone(&s.facts)))
            .collect();
        self.common = self.prepared.common(&facts);
        ended
    }

    fn admit(&mut self, host: &str, greeting: &Greeting) {
        if !greeting.due.is_empty() {
            self.teller.note(
                Some(host),
                format!("still due from an earlier run: {}", greeting.due.join(", ")),
            );
        }
        let state = HostState::new(host, &greeting.facts, greeting.due.clone());
        self.states.insert(host.to_owned(), state);
    }

    /// A host that leaves may be dead already: everybody else is told to forget it, and only it cannot be stopped.
    fn miss(&self, host: &str, lost: &Lost) {
        if matches!(lost, Lost::Unreachable(_)) && self.prepared.inventory.is_retired(host) {
            let text = "leaves without being asked: nothing that it runs was stopped, and its units start again when it does; \
                        once it is gone for good, take it out of the inventory";
            self.teller.note(Some(host), text);
        }
    }

    /// Whether some play must not go on without this host.
    fn is_fatal(&self, host: &str) -> bool {
        let plays = self
            .prepared
            .playbook
            .plays
            .iter()
            .zip(&self.prepared.hosts);
        plays
            .filter(|(_, hosts)| hosts.iter().any(|h| h == host))
            .any(|(play, _)| play.any_errors_fatal)
    }

    async fn play(&mut self, at: usize) -> Result<(), Problems> {
        let Some(mut world) = self.prepared.world(at, Arc::clone(&self.common)) else {
            return Ok(());
        };
        world.play_hosts.retain(|h| self.states.contains_key(h));
        if world.play_hosts.is_empty() {
            return Ok(());
        }
        self.teller.tell(Event::PlayStarted {
            play: world.play.name.clone(),
            hosts: world.play_hosts.clone(),
        });
        if world.play.rollout.is_some() && !self.prepared.options.check {
            return self.roll(at, world).await;
        }
        let batches = plan::batches(&world.play_hosts, world.play.serial.as_ref())?;
        let of = batches.len();
        for (number, batch) in batches.into_iter().enumerate() {
            if of > 1 {
                self.teller.tell(Event::BatchStarted {
                    number: number + 1,
                    of,
                    hosts: batch.clone(),
                });
            }
            world.begin(batch.clone());
            let lost = self.batch(&world, &batch).await;
            self.judge(world.play, &batch, lost);
            if self.stopped.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes the batch through the play; answers how many of its hosts did not get through.
    async fn batch(&mut self, world: &World<'_>, batch: &[String]) -> usize {
        for stretch in plan::stretches(world.play) {
            let alive: Vec<String> = batch
                .iter()
                .filter(|h| self.states.contains_key(*h))
                .cloned()
                .collect();
            match stretch {
                Stretch::Each(legs) => self.each(world, &alive, &legs).await,
                Stretch::Once(task) => {
                    let Some((first, others)) = alive.split_first() else {
                        break;
                    };
                    let legs = [Leg::Tasks(std::slice::from_ref(task))];
                    self.each(world, std::slice::from_ref(first), &legs).await;
                    if !self.states.contains_key(first) {
                        self.abandon(others, first);
                        break;
                    }
                    plan::share(task, &mut self.states, &alive);
                }
            }
        }
        batch
            .iter()
            .filter(|h| !self.states.contains_key(*h))
            .count()
    }

    /// What runs once runs for all: nobody goes on without it.
    fn abandon(&mut self, others: &[String], first: &str) {
        self.tally.nobody_reached(others);
        for host in others {
            self.states.shift_remove(host);
            self.teller.tell(Event::HostStopped {
                host: host.clone(),
                reason: format!("a task that runs once for all failed on {first}"),
            });
        }
    }

    pub(super) async fn each(&mut self, world: &World<'_>, hosts: &[String], legs: &[Leg<'_>]) {
        let mut taken: Vec<HostState> = hosts
            .iter()
            .filter_map(|h| self.states.get(h).cloned())
            .collect();
        let tally = &self.tally;
        let count = |host: &str, task: u32, outcome: &Outcome, ignored: bool| {
            tally.count(host, task, outcome, ignored);
        };
        let driver = Driver {
            world,
            fleet: self.fleet,
            teller: self.teller,
            count: &count,
            sees_through: false,
        };
        let driven = join_all(taken.iter_mut().map(|host| driver.drive(host, legs))).await;
        for (host, driven) in taken.into_iter().zip(driven) {
            self.settle(host, driven);
        }
    }

    pub(super) fn settle(&mut self, host: HostState, driven: Driven) {
        let name = host.name.clone();
        let reason = match driven {
            Driven::Through => {
                // Whatever failed on the way was rescued: the host got to the end.
                self.tally.rescue(&name);
                self.states.insert(name, host);
                return;
            }
            Driven::Interrupted => {
                self.stopped = Some(Ended::Interrupted);
                self.states.insert(name, host);
                return;
            }
            Driven::Failed => "a task failed".to_owned(),
            Driven::Lost(lost) => {
                match &lost {
                    Lost::Unreachable(_) => self.tally.unreachable(&name),
                    // It was reached: its worker died, or another one could not be had.
                    Lost::Refused(failure) | Lost::Busy(failure) => {
                        let outcome = Outcome::Failed(failure.clone());
                        self.tally.count(&name, host.next_task, &outcome, false);
                    }
                }
                self.teller.tell(Event::Unreachable {
                    host: name.clone(),
                    failure: lost.failure().clone(),
                });
                "the connection was lost".to_owned()
            }
        };
        self.states.shift_remove(&name);
        self.teller.tell(Event::HostStopped { host: name, reason });
    }

    /// Ansible's rules, with failed and unreachable hosts counted as one thing: the whole batch, or
    /// more than `max_fail_percentage` of it, or any with `any_errors_fatal`, ends the run.
    fn judge(&mut self, play: &Play, batch: &[String], lost: usize) {
        if lost == 0 || self.stopped.is_some() {
            return;
        }
        let limit = play
            .max_fail_percentage
            .as_ref()
            .and_then(|n| match &n.value {
                Yaml::Int(i) => usize::try_from(*i).ok(),
                Yaml::Text(t) => t.trim_end_matches('%').trim().parse().ok(),
                _ => None,
            });
        let too_many = match limit {
            Some(limit) => lost * 100 > limit.saturating_mul(batch.len()),
            None => lost == batch.len(),
        };
        if play.any_errors_fatal || too_many {
            self.stopped = Some(match self.tally.ended() {
                Ended::Done | Ended::Stopped if play.preflight => Ended::Preflight,
                Ended::Done => Ended::Stopped,
                ended => ended,
            });
        }
    }

    async fn recap(&self, began: Instant) -> Recap {
        let mut recap = self.tally.recap();
        for host in &mut recap.hosts {
            host.round_trips = self.fleet.round_trips(&host.host).await;
        }
        recap.took = began.elapsed();
        recap
    }
}

/// Outcomes by host and task: a loop's steps count as one task, its worst outcome counts.
pub(super) struct Tally(Mutex<IndexMap<String, Counted>>);

#[derive(Default)]
struct Counted {
    tasks: BTreeMap<u32, Worst>,
    unreachable: bool,
    not_reached: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worst {
    Skipped,
    Ok,
    Changed,
    Ignored,
    Failed,
}

impl Tally {
    fn new(hosts: Vec<String>) -> Self {
        let counted = hosts.into_iter().map(|h| (h, Counted::default()));
        Self(Mutex::new(counted.collect()))
    }

    fn with<T>(&self, host: &str, change: impl FnOnce(&mut Counted) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(host.to_owned()).or_default())
    }

    pub(super) fn count(&self, host: &str, task: u32, outcome: &Outcome, ignored: bool) {
        let worst = match outcome {
            Outcome::Skipped(_) => Worst::Skipped,
            Outcome::Unchanged => Worst::Ok,
            Outcome::Changed(_) => Worst::Changed,
            Outcome::Failed(_) if ignored => Worst::Ignored,
            Outcome::Failed(_) => Worst::Failed,
        };
        self.with(host, |c| {
            let seen = c.tasks.entry(task).or_insert(worst);
            *seen = worst.max(*seen);
        });
    }

    fn rescue(&self, host: &str) {
        self.with(host, |c| {
            for worst in c.tasks.values_mut().filter(|w| **w == Worst::Failed) {
                *worst = Worst::Ignored;
            }
        });
    }

    fn unreachable(&self, host: &str) {
        self.with(host, |c| c.unreachable = true);
    }

    pub(super) fn nobody_reached(&self, hosts: &[String]) {
        for host in hosts {
            self.with(host, |c| c.not_reached = !c.unreachable);
        }
    }

    pub(super) fn ended(&self) -> Ended {
        let recap = self.recap();
        if recap.hosts.iter().any(|h| h.failed > 0) {
            Ended::Stopped
        } else if recap.hosts.iter().any(|h| h.unreachable) {
            Ended::Unreachable
        } else {
            Ended::Done
        }
    }

    fn recap(&self) -> Recap {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hosts = all.iter().map(|(host, counted)| {
            let count = |worst: Worst| {
                let found = counted.tasks.values().filter(|w| **w == worst).count();
                u32::try_from(found).unwrap_or(u32::MAX)
            };
            HostRecap {
                host: host.clone(),
                ok: count(Worst::Ok),
                changed: count(Worst::Changed),
                skipped: count(Worst::Skipped),
                failed: count(Worst::Failed),
                ignored: count(Worst::Ignored),
                unreachable: counted.unreachable,
                round_trips: 0,
                not_reached: counted.not_reached,
            }
        });
        Recap {
            hosts: hosts.collect(),
            ..Recap::default()
        }
    }
}
