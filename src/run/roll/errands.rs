//! What a rollout asks of hosts and balancers in the words of the play's roles.

use super::{Cluster, Roll};
use crate::event::{InRotation, NodeStatus};
use crate::plan::{self, HostState, Leg, World};
use crate::rollout::{Drain, Rotation, Sight};
use crate::run::errand::{self, Run};
use crate::source::Problems;
use crate::ssh::Lost;
use crate::vars::{Layer, Variable};
use crate::wire::{Mode, Outcome};
use futures_util::future::join_all;
use serde_json::Value;
use std::collections::HashMap;

pub const HEALTHY: &str = "healthy.yaml";
/// A node's requests to itself.
pub const PROBE: &str = "probe.yaml";
/// A balancer's requests to the cluster.
pub const TRAFFIC: &str = "traffic.yaml";
/// What a node has deployed.
pub const CONTENT: &str = "content.yaml";
const TAKE_OUT: &str = "take_out.yaml";
/// Before a node is stopped that was taken out with `drain_leased`: the drain is to stay, whatever becomes of the run.
const KEEP_OUT: &str = "keep_out.yaml";
const PUT_BACK: &str = "put_back.yaml";
const RESTORE: &str = "restore.yaml";
/// Before anything: whether the node may become what the run wants. `is_peer` where it is no part of the run.
pub const MAY_CHANGE: &str = "may_change.yaml";
/// Of `rollback`: from the release `rollback_from` to the one before.
pub const ROLL_BACK: &str = "roll_back.yaml";

/// The files that a play's roles may offer to its rollout.
const FILES: [&str; 10] = [
    HEALTHY, PROBE, TRAFFIC, CONTENT, TAKE_OUT, KEEP_OUT, PUT_BACK, RESTORE, MAY_CHANGE, ROLL_BACK,
];

/// What is wrong with the errands of a play, as far as that can be known before its hosts are asked.
pub fn check(world: &World<'_>, cluster: &Cluster, hosts: &[HostState]) -> Problems {
    let mut problems = Problems::new();
    for host in hosts.iter().filter(|h| cluster.hosts.contains(&h.name)) {
        for file in FILES {
            problems.extend(rehearse(world, cluster, host, file));
        }
    }
    problems
}

/// The same of a host that leaves: nothing is asked of it but to be taken out.
pub fn check_leaving(world: &World<'_>, cluster: &Cluster, host: &HostState) -> Problems {
    rehearse(world, cluster, host, TAKE_OUT)
}

fn rehearse(world: &World<'_>, cluster: &Cluster, host: &HostState, file: &str) -> Problems {
    let balancer = cluster
        .balancers
        .first()
        .map_or("localhost", String::as_str);
    let vars = Layer::new("rollout").with("balancer", balancer);
    let vars = vars.with("probe_last", false).with("drained_by", who());
    let vars = vars.with("drain_leased", false);
    let vars = vars.with("is_peer", false).with("rollback_from", "");
    match world.play.errand(file, vars) {
        Some(tasks) => plan::rehearse(world, &tasks, host),
        None => Problems::new(),
    }
}

/// The fact by which `healthy.yaml` says that its host leads.
const LEADER: &str = "is_leader";

/// By host where that one is; or why nobody could ask.
type Told = Result<HashMap<String, Place>, String>;

/// Where a host is, in the words of `drain`: `serving`; `returned` (serving, and not by us); `failing` (in rotation, and down
/// by the balancer's own checks); `drained`, `foreign`, `absent`. With `rest`, which is out or down, the word is
/// `held_in_part`, `failing_in_part` or `returned_in_part`.
struct Place {
    word: String,
    rest: Option<String>,
}

impl Place {
    fn is(&self, words: &[&str]) -> bool {
        words.contains(&self.word.as_str())
    }

    /// Requests are sent there, to a part at least.
    fn is_in(&self) -> bool {
        self.rest.is_some() || self.is(&["serving", "returned"])
    }
}

/// What the balancers say of each host.
pub struct Read {
    balancers: Vec<(String, Told)>,
}

impl Read {
    pub fn unread(&self) -> Vec<String> {
        let unread = self.balancers.iter().filter_map(|(name, said)| {
            let why = said.as_ref().err()?;
            Some(format!("{name}: {why}"))
        });
        unread.collect()
    }

    fn places<'r>(&'r self, host: &'r str) -> impl Iterator<Item = (&'r str, &'r Place)> {
        self.balancers
            .iter()
            .filter_map(move |(name, said)| Some((name.as_str(), said.as_ref().ok()?.get(host)?)))
    }

    /// What a balancer's own checks find of the host, where they do not let it serve as a whole.
    pub fn fault(&self, host: &str) -> Option<String> {
        let mut failing = self
            .places(host)
            .filter(|(_, p)| p.is(&["failing_in_part"]));
        let (balancer, place) = failing.next()?;
        Some(format!("{balancer}: {}", place.rest.as_deref()?))
    }

    /// `out` says where a host is that no balancer of ours knows of.
    pub fn sight(&self, host: &str, healthy: bool, out: bool) -> Sight {
        let said: Vec<(&str, &Place)> = self.places(host).collect();
        let serving = said.iter().filter(|(_, place)| place.is_in()).count();
        let has_rest = said.iter().any(|(_, place)| place.rest.is_some());
        let rotation = match (said.len(), serving) {
            (0, _) if out => Rotation::Nowhere,
            (0, _) => Rotation::Everywhere,
            (_, 0) => Rotation::Nowhere,
            (all, serving) if all == serving && !has_rest => Rotation::Everywhere,
            _ => Rotation::Somewhere,
        };
        let mut foreign = said
            .iter()
            .filter(|(_, p)| p.is(&["foreign", "held_in_part"]));
        let is_ours = |(_, p): &(&str, &Place)| p.is(&["drained", "returned", "returned_in_part"]);
        let drain = match foreign.next() {
            Some((balancer, place)) => Drain::Foreign {
                by: format!(
                    "somebody else, at {balancer}{}",
                    shown(place.rest.as_deref())
                ),
            },
            None if said.iter().any(is_ours) => Drain::Ours,
            None => Drain::Nobody,
        };
        Sight {
            host: host.to_owned(),
            healthy,
            rotation,
            drain,
        }
    }
}

fn errand_vars(balancer: Option<&str>) -> Layer {
    let vars = Layer::new("rollout").with("drained_by", who());
    match balancer {
        Some(balancer) => vars.with("balancer", balancer),
        None => vars,
    }
}

impl Roll<'_> {
    /// How every node of the cluster is; nothing is changed.
    pub async fn status(&self) -> Vec<NodeStatus> {
        join_all(self.cluster.hosts.iter().map(|host| self.status_of(host))).await
    }

    async fn status_of(&self, host: &str) -> NodeStatus {
        let (look, healthy, leads) =
            tokio::join!(self.dry_run(host), self.probe(host), self.is_leader(host),);
        let look = look.ok().filter(|run| run.failure.is_none());
        let mut rotation = Vec::new();
        for balancer in &self.cluster.balancers {
            let seen = self
                .errand(host, TAKE_OUT, Some(balancer), Mode::Check)
                .await;
            rotation.push((balancer.clone(), in_rotation(seen)));
        }
        NodeStatus {
            cluster: self.cluster.name.clone(),
            host: host.to_owned(),
            release: look.as_ref().and_then(|run| noted(run, "release")),
            fault: healthy.err(),
            leads,
            rotation,
            pending: look.as_ref().map(Run::changes),
        }
    }

    pub(super) async fn dry_run(&self, host: &str) -> Result<Run, String> {
        let state = self.state(host).ok_or("it takes no part any more")?;
        errand::run(self.world, self.fleet, &state, &self.legs, Mode::Check)
            .await
            .map_err(|lost| words(&lost))
    }

    /// Healthy, as its role says; a role that says nothing makes no conditions.
    pub(super) async fn probe(&self, host: &str) -> Result<(), String> {
        self.errand(host, HEALTHY, None, Mode::Apply)
            .await
            .map(drop)
    }

    pub(super) async fn is_leader(&self, host: &str) -> bool {
        let healthy = self.errand(host, HEALTHY, None, Mode::Apply).await;
        let said = healthy.ok().flatten().and_then(|run| {
            let learned = run.host.learned.variables.get(LEADER).cloned();
            match learned? {
                Variable::Data(datum) => datum.as_bool(),
                _ => None,
            }
        });
        said.unwrap_or(false)
    }

    /// Each balancer is asked for all hosts: a dry run of taking one out says where it is.
    pub(super) async fn read_balancers(&self) -> Read {
        let balancers = self.cluster.balancers.iter().map(|balancer| async move {
            let mut said = HashMap::new();
            for host in &self.cluster.hosts {
                if self.state(host).is_none() {
                    continue;
                }
                match self
                    .errand(host, TAKE_OUT, Some(balancer), Mode::Check)
                    .await
                {
                    // A role may take nodes out by a task that says nothing of where they are.
                    Ok(run) => match run.as_ref().and_then(place) {
                        Some(place) => drop(said.insert(host.clone(), place)),
                        None => {
                            if let Some(why) = run.as_ref().and_then(unjudged) {
                                return (balancer.clone(), Err(why));
                            }
                        }
                    },
                    Err(why) => return (balancer.clone(), Err(why)),
                }
            }
            (balancer.clone(), Ok(said))
        });
        Read {
            balancers: join_all(balancers).await,
        }
    }

    /// One balancer after the other: the first that refuses ends it, and the others are not asked. What is `leased` comes back
    /// by itself when this run is gone before [`Roll::keep_out`].
    pub(super) async fn drain_everywhere(&self, host: &str, leased: bool) -> Result<(), String> {
        let leased = leased && self.has(KEEP_OUT);
        for balancer in &self.cluster.balancers {
            let vars = errand_vars(Some(balancer)).with("drain_leased", leased);
            let run = self
                .errand_with(host, &[TAKE_OUT], vars)
                .await
                .map_err(|why| format!("{balancer}: {why}"))?;
            let left = run.as_ref().and_then(connections_left).unwrap_or(0);
            if left > 0 {
                let text = format!("{left} connections of {balancer} did not end in time");
                self.teller.note(Some(host), text);
            }
        }
        Ok(())
    }

    /// It is about to be stopped.
    pub(super) async fn keep_out(&self, host: &str) -> Result<(), String> {
        for balancer in &self.cluster.balancers {
            let vars = errand_vars(Some(balancer)).with("drain_leased", false);
            self.errand_with(host, &[KEEP_OUT], vars)
                .await
                .map_err(|why| format!("{balancer}: {why}"))?;
        }
        Ok(())
    }

    /// All balancers are asked, whatever one of them answers. Answers who else keeps the host out.
    pub(super) async fn undrain_everywhere(&self, host: &str) -> Result<Option<String>, String> {
        let mut held = None;
        let mut refused = Vec::new();
        for balancer in &self.cluster.balancers {
            match self
                .errand(host, PUT_BACK, Some(balancer), Mode::Apply)
                .await
            {
                Err(why) => refused.push(format!("{balancer}: {why}")),
                Ok(run) => {
                    if run.as_ref().and_then(standing).as_deref() == Some("foreign") {
                        held = Some(format!("somebody else, at {balancer}"));
                    }
                }
            }
        }
        match refused.is_empty() {
            true => Ok(held),
            false => Err(refused.join("; ")),
        }
    }

    pub(super) async fn bring_back(&self, host: &str) -> Result<(), String> {
        match self.errand(host, RESTORE, None, Mode::Apply).await? {
            Some(_) => Ok(()),
            None => Err(format!("no role of the play has tasks/{RESTORE}")),
        }
    }

    /// A word of the look at the way back, which changes nothing.
    pub(super) async fn way_back_tells(&self, host: &str, field: &str) -> Option<Value> {
        let vars = Layer::new("rollout").with("rollback_from", "");
        let run = self.walk(host, &[ROLL_BACK], &vars, Mode::Check).await;
        value(run.ok()?.as_ref()?, field).cloned()
    }

    /// `None` when no role of the play has the file.
    async fn errand(
        &self,
        host: &str,
        file: &str,
        balancer: Option<&str>,
        mode: Mode,
    ) -> Result<Option<Run>, String> {
        let vars = errand_vars(balancer).with("drain_leased", false);
        self.walk(host, &[file], &vars, mode).await
    }

    /// Some files in one walk; those that no role of the play has are left out.
    pub(super) async fn errand_with(
        &self,
        host: &str,
        files: &[&str],
        vars: Layer,
    ) -> Result<Option<Run>, String> {
        self.walk(host, files, &vars, Mode::Apply).await
    }

    /// Whether a role of the play has the file.
    pub(super) fn has(&self, file: &str) -> bool {
        self.world
            .play
            .errand(file, Layer::new("rollout"))
            .is_some()
    }

    async fn walk(
        &self,
        host: &str,
        files: &[&str],
        vars: &Layer,
        mode: Mode,
    ) -> Result<Option<Run>, String> {
        let state = self.state(host).ok_or("it takes no part any more")?;
        let tasks = files.iter();
        let tasks = tasks.filter_map(|file| self.world.play.errand(file, vars.clone()));
        let tasks: Vec<_> = tasks.flatten().collect();
        if tasks.is_empty() {
            return Ok(None);
        }
        let legs = [Leg::Tasks(&tasks)];
        let run = errand::run(self.world, self.fleet, &state, &legs, mode)
            .await
            .map_err(|lost| words(&lost))?;
        match &run.failure {
            Some(failure) => Err(failure.message.clone()),
            None => Ok(Some(run)),
        }
    }
}

/// Who takes nodes out, for whoever finds them so: `alice at build-7`.
fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let user = user.unwrap_or_else(|_| "somebody".to_owned());
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    format!("{user} at {host}")
}

fn in_rotation(seen: Result<Option<Run>, String>) -> InRotation {
    let run = match seen {
        Err(why) => return InRotation::Unknown(why),
        Ok(None) => return unsaid("no role of the play has tasks/take_out.yaml"),
        Ok(Some(run)) => run,
    };
    match standing(&run).as_deref() {
        Some("serving" | "returned") => InRotation::Yes,
        Some("failing") => InRotation::Failing,
        Some("foreign") => InRotation::Foreign,
        Some("held_in_part" | "failing_in_part" | "returned_in_part") => InRotation::Partly {
            rest: noted(&run, "rest").unwrap_or_default(),
        },
        Some("drained") => InRotation::Drained {
            reason: noted(&run, "reason").unwrap_or_default(),
            since: value(&run, "since").and_then(Value::as_u64).unwrap_or(0),
        },
        Some(_) => InRotation::Absent,
        None => unsaid("tasks/take_out.yaml does not tell where a node is"),
    }
}

fn unsaid(why: &str) -> InRotation {
    InRotation::Unknown(why.to_owned())
}

/// A dry run excuses what fails after changes were announced, but `drain` tells where the node is, or nobody knows.
fn unjudged(run: &Run) -> Option<String> {
    let mut heard = run.heard.iter().filter(|(module, _)| module == "drain");
    heard.find_map(|(_, told)| match &told.outcome {
        Outcome::Changed(words) => Some(words.join(", ")),
        _ => None,
    })
}

fn standing(run: &Run) -> Option<String> {
    noted(run, "standing")
}

fn place(run: &Run) -> Option<Place> {
    Some(Place {
        word: standing(run)?,
        rest: noted(run, "rest"),
    })
}

fn shown(rest: Option<&str>) -> String {
    rest.map(|rest| format!(" ({rest})")).unwrap_or_default()
}

fn connections_left(run: &Run) -> Option<u64> {
    value(run, "connections_left")?.as_u64()
}

fn noted(run: &Run, field: &str) -> Option<String> {
    value(run, field)?.as_str().map(ToOwned::to_owned)
}

/// What the latest step that speaks of it says.
pub fn value<'r>(run: &'r Run, field: &str) -> Option<&'r Value> {
    let said = run.heard.iter().rev();
    let mut said = said.filter_map(|(_, told)| told.result.as_ref()?.get(field));
    said.next()
}

fn words(lost: &Lost) -> String {
    lost.failure().message.clone()
}
