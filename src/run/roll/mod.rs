//! A play with a `rollout:`: looks at every host first, then does what the rollout decides, host by host, and tells it
//! what came of that.
//!
//! What taking a node out, bringing it back, being healthy and going back to the old state mean is said by the play's
//! roles, in files beside their own tasks: `take_out.yaml` and `put_back.yaml` for each balancer (its host is `balancer`),
//! `healthy.yaml`, `restore.yaml`; whether a node may be changed at all, `may_change.yaml`; and for `rollback`,
//! `roll_back.yaml`. A `take_out.yaml` without `drain` does not tell where a node is: then what an earlier run left out is
//! not noticed. Three more files are evidence: `probe.yaml`, a node's requests to itself; `traffic.yaml`, a balancer's to
//! the cluster; `content.yaml`, what a node has deployed.

mod content;
mod errands;
mod evidence;
mod keys;
mod lease;
mod leaving;
mod limits;
mod watch;
mod wishes;

pub use errands::{MAY_CHANGE, ROLL_BACK, check, check_leaving, value};
pub use wishes::{Cluster, read};

use super::drive::{Count, Driven, Driver};
use super::errand::Run as Errand;
use super::fleet::Fleet;
use super::teller::Teller;
use crate::event::{Event, Phase};
use crate::plan::{self, HostState, Leg, Stretch, World};
use crate::rollout::{
    Action, Ending, Found, How, Ledger, Needs, Observation, Policy, Rollout, Seen, Sight, Work,
};
use crate::wire::Outcome;
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use indexmap::IndexMap;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use watch::{Watch, Watched};

/// Between two questions whether a node is healthy.
const PROBE_PAUSE: Duration = Duration::from_secs(2);

/// Why a host whose look failed, and whose steps failed, does not go back: what is kept may be older than what it has.
const UNSEEN: &str = "nobody could tell whether it was changed at all, nor what it was before";

/// How often a balancer is asked to take a host back that has its old state again.
const PUT_BACKS: u8 = 3;

pub struct Roll<'r> {
    pub world: &'r World<'r>,
    pub fleet: &'r Fleet<'r>,
    pub teller: &'r Teller,
    pub count: Count<'r>,
    pub cluster: &'r Cluster,
    pub legs: Vec<Leg<'r>>,
    /// Hosts of the cluster that this run may touch; the others are peers that must go on serving.
    pub ours: Vec<String>,
    moving: Mutex<Moving>,
    watch: Watch,
    began: Instant,
}

/// What changes while nodes are on their way.
struct Moving {
    states: IndexMap<String, HostState>,
    /// Hosts that did not get through their steps.
    lost: Vec<(String, Driven)>,
    /// Taken out of a rotation that no balancer of ours keeps.
    out: HashSet<String>,
    /// Hosts whose drains end with this run, as nothing was done to them yet.
    leased: HashSet<String>,
    /// Hosts that were changed, or put back, by this run: what they are taken out for then must not end by itself.
    handled: HashSet<String>,
    /// Hosts whose service was there before.
    installed: HashSet<String>,
    /// The process of each host's service as it was found.
    processes: HashMap<String, Value>,
    /// Hosts whose look failed before it came to their process: nobody could tell whether they were changed.
    unseen: HashSet<String>,
    /// Why hosts did not serve when they were last looked at.
    faults: HashMap<String, String>,
    /// Somebody was taken out.
    taken: bool,
    /// What nodes had deployed before they were taken out.
    contents: HashMap<String, BTreeSet<String>>,
    watched: Watched,
}

/// What came of it, and the hosts' states afterwards.
pub struct Rolled {
    pub ending: Ending,
    pub states: IndexMap<String, HostState>,
    pub lost: Vec<(String, Driven)>,
}

type UnderWay<'f> = Pin<Box<dyn Future<Output = Observation> + 'f>>;

impl<'r> Roll<'r> {
    pub fn new(
        world: &'r World<'r>,
        fleet: &'r Fleet<'r>,
        teller: &'r Teller,
        count: Count<'r>,
        cluster: &'r Cluster,
        ours: Vec<String>,
        states: IndexMap<String, HostState>,
    ) -> Self {
        Self {
            world,
            fleet,
            teller,
            count,
            cluster,
            legs: legs(world),
            ours,
            moving: Mutex::new(Moving {
                states,
                lost: vec![],
                out: HashSet::new(),
                leased: HashSet::new(),
                handled: HashSet::new(),
                installed: HashSet::new(),
                processes: HashMap::new(),
                unseen: HashSet::new(),
                faults: HashMap::new(),
                taken: false,
                contents: HashMap::new(),
                watched: Watched::default(),
            }),
            watch: Watch::default(),
            began: Instant::now(),
        }
    }

    pub async fn roll(self, ledger: Ledger) -> Rolled {
        let found = join_all(self.cluster.hosts.iter().map(|host| self.look(host))).await;
        self.begin_watch(&found).await;
        let policy = policy_for(&self.cluster.policy, &found);
        let (mut rollout, mut actions) = Rollout::begin(policy, found, ledger);
        let ending = {
            let mut under_way: FuturesUnordered<UnderWay<'_>> = FuturesUnordered::new();
            let mut asked_to_stop = false;
            loop {
                let mut ending = None;
                for action in actions.drain(..) {
                    match action {
                        Action::Finish(end) => ending = Some(end),
                        action => self.begin(action, &mut under_way),
                    }
                }
                if let Some(ending) = ending {
                    break ending;
                }
                let observation = tokio::select! {
                    biased;
                    () = self.fleet.stopping(), if !asked_to_stop => {
                        asked_to_stop = true;
                        Observation::Stop
                    }
                    Some(observation) = under_way.next() => observation,
                };
                actions = rollout.hear(self.began.elapsed(), observation);
                if let Some(why) = self.take_worse() {
                    let worse = Observation::Worse { why };
                    actions.extend(rollout.hear(self.began.elapsed(), worse));
                }
            }
        };
        self.tell_evidence().await;
        let moving = self
            .moving
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        Rolled {
            ending,
            states: moving.states,
            lost: moving.lost,
        }
    }

    /// The old state of a host that serves with a new one: out, back to what it was, in again. Nobody else of the cluster
    /// may be out meanwhile, by whomever.
    pub async fn go_back(&self, host: &str) -> Result<(), String> {
        let named = |why: String| format!("{host}: {why}");
        self.renew_balancers().await;
        let seen = self.look_at_all().await;
        if !seen.unread.is_empty() {
            return Err(format!(
                "{host} stays: cannot be read: {}",
                seen.unread.join(", ")
            ));
        }
        let mut peers = seen.sights.iter().filter(|sight| sight.host != host);
        if let Some(peer) = peers.find(|peer| !peer.serves()) {
            return Err(format!("{host} stays: {} {}", peer.host, trouble(peer)));
        }
        went_well(self.take_out(host.to_owned()).await).map_err(named)?;
        went_well(self.restore(host.to_owned()).await).map_err(named)?;
        let mut back = Ok(());
        for _ in 0..PUT_BACKS {
            back = went_well(self.put_back(host.to_owned()).await).map_err(named);
            if back.is_ok() {
                break;
            }
        }
        back
    }

    fn begin<'f>(&'f self, action: Action, under_way: &mut FuturesUnordered<UnderWay<'f>>) {
        match action {
            Action::Observe { rest } => under_way.push(Box::pin(self.observe(rest))),
            Action::Converge { hosts } => {
                for host in hosts {
                    under_way.push(Box::pin(self.converge(host)));
                }
            }
            Action::TakeOut { hosts } => {
                for host in hosts {
                    under_way.push(Box::pin(self.take_out(host)));
                }
            }
            // Their gates keep the time: they end by themselves.
            Action::Change { host, bake, .. } => {
                under_way.push(Box::pin(self.change(host, bake)));
            }
            Action::PutBack { host } => under_way.push(Box::pin(self.put_back(host))),
            Action::Soak { host, time } => under_way.push(Box::pin(self.soak(host, time))),
            Action::Restore { host, within: _ } => under_way.push(Box::pin(self.restore(host))),
            Action::Finish(_) => {}
        }
    }

    fn moving(&self) -> MutexGuard<'_, Moving> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self, host: &str) -> Option<HostState> {
        self.moving().states.get(host).cloned()
    }

    fn is_ours(&self, host: &str) -> bool {
        self.ours.iter().any(|ours| ours == host)
    }

    /// A dry run of the host's steps.
    async fn look(&self, host: &str) -> Found {
        let mut found = Found {
            host: host.to_owned(),
            needs: Needs::Unreachable,
            installed: false,
            leader: false,
            zone: self.cluster.zones.get(host).cloned(),
        };
        if self.state(host).is_none() {
            return found;
        }
        if !self.is_ours(host) {
            found.needs = Needs::Nothing;
            found.installed = true;
            self.moving().installed.insert(host.to_owned());
            return found;
        }
        self.working(host, "looking what is to be done");
        if let Ok(look) = self.dry_run(host).await {
            found.installed = is_installed(&look);
            if found.installed {
                self.moving().installed.insert(host.to_owned());
            }
            if let Some(process) = self.process(host, &look).await {
                self.moving().processes.insert(host.to_owned(), process);
            } else if look.failure.is_some() {
                self.moving().unseen.insert(host.to_owned());
            }
            found.needs = match look.changes_something() || self.may_be_stopped(host, &look).await {
                true => Needs::Change,
                false => Needs::Nothing,
            };
            found.leader = found.needs == Needs::Change && self.is_leader(host).await;
        }
        found
    }

    /// Nobody knows what the steps after one that cannot be looked at would do to a node that serves, so it is taken out for them.
    /// Where there is nothing to protect the step fails by itself, with its place and its words.
    async fn may_be_stopped(&self, host: &str, look: &Errand) -> bool {
        look.failure.is_some() && self.probe(host).await.is_ok()
    }

    /// What is decided on a look must not wait for the baseline, or the look would be old by then.
    async fn observe(&self, rest: Duration) -> Observation {
        tokio::time::sleep(rest).await;
        self.baseline().await;
        self.renew_balancers().await;
        Observation::Seen(self.look_at_all().await)
    }

    /// At all nodes of the cluster and its balancers, at one time.
    async fn look_at_all(&self) -> Seen {
        let taken = self.began.elapsed();
        let (probed, read) = tokio::join!(
            join_all(self.cluster.hosts.iter().map(|host| self.probe(host))),
            self.read_balancers(),
        );
        let sights: Vec<_> = self
            .cluster
            .hosts
            .iter()
            .zip(probed)
            .map(|(host, probed)| {
                let fault = probed.as_ref().err().cloned();
                self.note_fault(host, fault.or_else(|| read.fault(host)).as_ref());
                read.sight(host, probed.is_ok(), self.moving().out.contains(host))
            })
            .collect();
        self.note_service(&sights);
        Seen {
            taken,
            sights,
            unread: read.unread(),
        }
    }

    /// Once for each fault. Who is out, or was never there, is not expected to serve.
    fn note_fault(&self, host: &str, fault: Option<&String>) {
        let mut moving = self.moving();
        let is_told = moving.faults.get(host) == fault;
        let is_expected = moving.installed.contains(host) && !moving.out.contains(host);
        match fault {
            _ if is_told || !is_expected || !moving.states.contains_key(host) => {}
            None => drop(moving.faults.remove(host)),
            Some(why) => {
                moving.faults.insert(host.to_owned(), why.clone());
                self.teller.note(Some(host), format!("not healthy: {why}"));
            }
        }
    }

    /// The host's steps while it serves: none of them takes it away.
    async fn converge(&self, host: String) -> Observation {
        let how = match self.is_ours(&host) {
            true => self.drive(&host).await,
            false => How::Well,
        };
        ended(host, Work::Converge, how)
    }

    async fn change(&self, host: String, bake: Duration) -> Observation {
        if let Err(why) = self.touch(&host).await {
            // An earlier run may have left it half changed.
            let how = match self.is_untouched(&host).await {
                true => How::Untouched { why },
                false => failed(why),
            };
            return ended(host, Work::Change, how);
        }
        let how = match self.drive(&host).await {
            How::Failed { why } if self.is_untouched(&host).await => How::Untouched { why },
            How::Well => match self.lacks_nothing(&host).await {
                Ok(()) => self.bake(&host, bake).await,
                Err(why) => failed(why),
            },
            how => how,
        };
        ended(host, Work::Change, how)
    }

    /// Its service was never stopped: the process is the one that was found, and it is healthy.
    async fn is_untouched(&self, host: &str) -> bool {
        let Some(found) = self.moving().processes.get(host).cloned() else {
            return false;
        };
        self.fleet.renew(host).await;
        let Ok(look) = self.dry_run(host).await else {
            return false;
        };
        self.process(host, &look).await == Some(found) && self.probe(host).await.is_ok()
    }

    /// Its number; `None` when none runs. Where the steps do not come to tell it, the way back does.
    async fn process(&self, host: &str, look: &Errand) -> Option<Value> {
        let told = errands::value(look, "process").cloned();
        let told = match told {
            Some(told) => Some(told),
            None => self.way_back_tells(host, "process").await,
        };
        told.filter(|process| !process.is_null())
    }

    /// Seen through, also when the run was asked to stop: a node that is out has to come back.
    async fn drive(&self, host: &str) -> How {
        let Some(mut state) = self.state(host) else {
            return failed(format!("{host} takes no part any more"));
        };
        let reason = Mutex::new(None);
        let count = |host: &str, task: u32, outcome: &Outcome, ignored: bool| {
            (self.count)(host, task, outcome, ignored);
            // A script among its words is told where the step is, not in one line.
            if let (Outcome::Failed(failure), false) = (outcome, ignored)
                && !failure.message.contains('\n')
            {
                let mut reason = reason.lock().unwrap_or_else(PoisonError::into_inner);
                *reason = Some(failure.message.clone());
            }
        };
        let driver = Driver {
            world: self.world,
            fleet: self.fleet,
            teller: self.teller,
            count: &count,
            sees_through: true,
        };
        let driven = driver.drive(&mut state, &self.legs).await;
        let reason = reason.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut moving = self.moving();
        if driven == Driven::Through {
            moving.states.insert(host.to_owned(), state);
            return How::Well;
        }
        let why = match &driven {
            Driven::Lost(lost) => lost.failure().message.clone(),
            _ => reason.unwrap_or_else(|| "a task failed".to_owned()),
        };
        moving.lost.push((host.to_owned(), driven));
        failed(why)
    }

    async fn take_out(&self, host: String) -> Observation {
        self.remember_content(&host).await;
        let began = Instant::now();
        self.working(&host, "taking it out of rotation");
        let is_leased = self.begin_lease(&host);
        let taken = self.drain_everywhere(&host, is_leased).await;
        self.moving().taken = true;
        if taken.is_ok() {
            self.moving().out.insert(host.clone());
        }
        self.moved(&host, Phase::TakenOut, &taken, began);
        ended(host, Work::TakeOut, how(taken))
    }

    async fn put_back(&self, host: String) -> Observation {
        let began = Instant::now();
        self.working(&host, "putting it back into rotation");
        self.moving().leased.remove(&host);
        self.moving().handled.insert(host.clone());
        let back = self.undrain_everywhere(&host).await;
        let how = match back {
            Ok(held) => {
                self.moving().out.remove(&host);
                self.moved(&host, Phase::PutBack, &Ok(()), began);
                held.map_or(How::Well, |by| How::Held { by })
            }
            Err(why) => {
                self.moved(&host, Phase::PutBack, &Err(why.clone()), began);
                // It is asked again at once, and the balancer may need a moment.
                tokio::time::sleep(PROBE_PAUSE).await;
                self.renew_balancers().await;
                How::Failed { why }
            }
        };
        ended(host, Work::PutBack, how)
    }

    /// A connection that is lost must not leave a good node out.
    async fn renew_balancers(&self) {
        let balancers = self.cluster.balancers.iter();
        join_all(balancers.map(|balancer| self.fleet.renew(balancer))).await;
    }

    async fn restore(&self, host: String) -> Observation {
        let began = Instant::now();
        self.working(&host, "bringing the old state back");
        self.fleet.renew(&host).await;
        let is_unseen = self.moving().unseen.contains(&host);
        let restored = match self.touch(&host).await {
            Ok(()) if is_unseen => Err(UNSEEN.to_owned()),
            Ok(()) => self.bring_back(&host).await,
            Err(why) => Err(why),
        };
        self.moved(&host, Phase::Restored, &restored, began);
        ended(host, Work::Restore, how(restored))
    }

    fn working(&self, host: &str, text: &str) {
        self.teller.tell(Event::Progress {
            host: host.to_owned(),
            text: text.to_owned(),
        });
    }

    fn moved(&self, host: &str, phase: Phase, outcome: &Result<(), String>, began: Instant) {
        self.teller.tell(Event::Moved {
            host: host.to_owned(),
            phase,
            failure: outcome.as_ref().err().cloned(),
            took: began.elapsed(),
        });
    }
}

/// All of the play's tasks: what runs once for all hosts has no place among hosts that go one by one.
fn legs<'w>(world: &'w World<'w>) -> Vec<Leg<'w>> {
    let stretches = plan::stretches(world.play).into_iter();
    let each = stretches.filter_map(|stretch| match stretch {
        Stretch::Each(legs) => Some(legs),
        Stretch::Once(_) => None,
    });
    each.flatten().collect()
}

/// Where nobody serves yet there is nobody to protect: gates are enough, and a first deployment need not wait for more.
fn policy_for(policy: &Policy, found: &[Found]) -> Policy {
    let is_first = found.iter().all(|f| !f.installed);
    match is_first {
        true => Policy {
            canary_bake: Duration::ZERO,
            canary_soak: Duration::ZERO,
            min_healthy_time: Duration::ZERO,
            ..policy.clone()
        },
        false => policy.clone(),
    }
}

fn ended(host: String, work: Work, how: How) -> Observation {
    Observation::Ended { host, work, how }
}

fn how(outcome: Result<(), String>) -> How {
    match outcome {
        Ok(()) => How::Well,
        Err(why) => How::Failed { why },
    }
}

/// Why a host does not serve.
fn trouble(sight: &Sight) -> &'static str {
    match sight.healthy {
        false => "is not healthy",
        true => "is not in rotation on every balancer",
    }
}

fn went_well(observation: Observation) -> Result<(), String> {
    match observation {
        Observation::Ended {
            how:
                How::Failed { why }
                | How::Worse { why }
                | How::Untouched { why }
                | How::Held { by: why },
            ..
        } => Err(why),
        _ => Ok(()),
    }
}

fn failed(why: String) -> How {
    How::Failed { why }
}

/// Whether the service was there before: `instance` says so, and a host with another kind of service is taken as
/// installed, so that it is treated as one that serves.
fn is_installed(look: &Errand) -> bool {
    let said = errands::value(look, "installed");
    said.and_then(Value::as_bool).unwrap_or(true)
}
