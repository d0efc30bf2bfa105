//! `drain`: a node out of a balancer's rotation, or back in it.
//!
//! What that means is the balancer's: `shared/nginx`, `shared/haproxy`, `shared/hooks`. Here is who may: a drain is written
//! down before it is made and forgotten after it is undone, and what somebody else took out is left alone. With a `lease`
//! it is undone when the run is gone before it says that the drain is to stay: whose node was never stopped.

use super::shared::haproxy::Haproxy;
use super::shared::hooks::{External, Hooks};
use super::shared::lists;
use super::shared::nginx::Nginx;
use super::shared::rotation::{self, Balancer, Cause, Drains, Place};
use super::shared::words::seconds;
use super::{Kind, Module};
use crate::system::{Result, System};
use crate::wire::Failure;
use serde::Deserialize;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Keeps a node out of a balancer's rotation, or in it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// What the node belongs to; its lists are NGINX's `CLUSTER.*.conf`, HAProxy's `CLUSTER.cfg`.
    cluster: String,
    /// As the lists name it.
    node: IpAddr,
    /// For people.
    host: String,
    state: State,
    #[serde(default)]
    reason: String,
    /// In seconds: how long requests on their way to the node may take, and how long the balancer's checks of one that
    /// comes back.
    #[serde(default = "default_within", deserialize_with = "seconds")]
    within: Duration,
    /// Of `drained`: it ends with the run unless the same is asked for once more without.
    #[serde(default)]
    lease: bool,
    /// What balances.
    #[serde(default)]
    engine: Engine,
    /// Of NGINX and HAProxy: where the lists are.
    folder: Option<PathBuf>,
    /// Of HAProxy: where it is asked.
    #[serde(default = "default_socket")]
    socket: PathBuf,
    /// Of `hooks`.
    hooks: Option<Hooks>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Drained,
    Serving,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Engine {
    #[default]
    Nginx,
    Haproxy,
    /// Somebody else's balancer, by what was written for it.
    Hooks,
}

fn default_within() -> Duration {
    Duration::from_secs(60)
}

fn default_socket() -> PathBuf {
    "/run/haproxy.sock".into()
}

/// Where the node is, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The balancer does not know it.
    Absent,
    Serving,
    /// As `Serving`, for a part of it: somebody else keeps the rest out.
    HeldInPart,
    /// As `Serving`, for a part of it: the balancer's own checks find the rest down.
    FailingInPart,
    /// In rotation, and the balancer's own checks find it down.
    Failing,
    /// By our hand.
    Drained,
    /// Ours, and not finished: cut off before the balancer is known to have read it, or undone in part.
    Halfway,
    /// Ours, and requests are sent there: cut off before it began, or somebody put it back.
    Returned,
    /// As `Returned`, for a part of it.
    ReturnedInPart,
    /// By somebody else's hand, who will have a reason.
    Foreign,
}

#[derive(Debug)]
pub enum Change {
    TakeOut(String),
    /// Whatever becomes of the run.
    Keep(String),
    PutBack(String),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakeOut(cluster) => write!(f, "take it out of rotation in {cluster}"),
            Self::Keep(cluster) => write!(f, "keep it out of rotation in {cluster}"),
            Self::PutBack(cluster) => write!(f, "put it back into rotation in {cluster}"),
        }
    }
}

impl Module for Drain {
    const NAME: &'static str = "drain";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "keeps a node out of a balancer's rotation, or in it";
    const EXAMPLE: &'static str = "\
drain:
  cluster: apim
  node: 10.0.1.11
  host: apim-1
  state: drained
  reason: a new configuration
  within: 60
";
    type Change = Change;

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        if self.lease && self.state == State::Serving {
            return Err(Failure::new("`lease` goes with `state: drained`"));
        }
        let standing = self.standing(system)?;
        system.note("standing", standing.word());
        if let Some(drain) = Drains::read(system)?.get(&self.cluster, &self.node.to_string()) {
            system.note("reason", drain.reason.as_str());
            system.note("since", drain.since);
        }
        let cluster = self.cluster.clone();
        Ok(match (self.state, standing) {
            (State::Drained, Standing::Drained) if self.is_to_stay(system) => {
                vec![Change::Keep(cluster)]
            }
            // Nobody's but the other's to undo, and nothing is sent there already.
            (_, Standing::Absent | Standing::Foreign)
            | (State::Drained, Standing::Drained)
            | (
                State::Serving,
                Standing::Serving
                | Standing::HeldInPart
                | Standing::FailingInPart
                | Standing::Failing,
            ) => vec![],
            (State::Drained, _) => vec![Change::TakeOut(cluster)],
            (State::Serving, _) => vec![Change::PutBack(cluster)],
        })
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        match change {
            Change::TakeOut(_) => self.take_out(system),
            Change::Keep(_) => {
                system.keep(&self.leased());
                Ok(())
            }
            Change::PutBack(_) => self.put_back(system),
        }
    }
}

impl Standing {
    fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Serving => "serving",
            Self::HeldInPart => "held_in_part",
            Self::FailingInPart => "failing_in_part",
            Self::Failing => "failing",
            Self::Drained | Self::Halfway => "drained",
            Self::Returned => "returned",
            Self::ReturnedInPart => "returned_in_part",
            Self::Foreign => "foreign",
        }
    }
}

impl Drain {
    fn balancer<'s>(
        &'s self,
        system: &'s System,
        ours: Option<&rotation::Drain>,
    ) -> Result<Box<dyn Balancer + 's>> {
        let (cluster, node) = (self.cluster.as_str(), self.node);
        let lists = match self.engine {
            Engine::Haproxy => lists::Engine::Haproxy,
            _ => lists::Engine::Nginx,
        };
        let folder = self.folder.as_deref().unwrap_or(lists.folder());
        Ok(match (self.engine, &self.hooks) {
            (Engine::Nginx, None) => Box::new(Nginx {
                system,
                cluster,
                node,
                folder,
            }),
            (Engine::Haproxy, None) => Box::new(Haproxy {
                system,
                cluster,
                node,
                folder,
                socket: &self.socket,
            }),
            (Engine::Hooks, Some(hooks)) => Box::new(External {
                system,
                hooks,
                is_out: ours.is_some(),
                within: self.within,
            }),
            _ => {
                return Err(Failure::new("`hooks` and `engine: hooks` come together"));
            }
        })
    }

    fn standing(&self, system: &System) -> Result<Standing> {
        let drains = Drains::read(system)?;
        let ours = drains.get(&self.cluster, &self.node.to_string());
        let place = self.balancer(system, ours)?.place()?;
        if let Place::Partly { rest, .. } = &place {
            system.note("rest", rest.as_str());
        }
        Ok(match (place, ours) {
            (Place::Nowhere, _) => Standing::Absent,
            (Place::In, None) => Standing::Serving,
            (Place::Partly { cause, .. }, None) => match cause {
                Cause::Held => Standing::HeldInPart,
                Cause::Down => Standing::FailingInPart,
                Cause::Ours => Standing::ReturnedInPart,
            },
            (Place::Failing, None) => Standing::Failing,
            // The table of the kernel's that refuses it is ours alone, whatever became of the record.
            (Place::Out { .. }, None) if self.engine == Engine::Nginx => Standing::Halfway,
            (Place::Held, _) | (Place::Out { .. }, None) => Standing::Foreign,
            (Place::Out { lasts: true }, Some(drain)) if drain.is_loaded => Standing::Drained,
            (Place::Out { .. } | Place::Failing, Some(_)) => Standing::Halfway,
            (Place::In, Some(_)) => Standing::Returned,
            (Place::Partly { .. }, Some(_)) => Standing::ReturnedInPart,
        })
    }

    /// By the name of what lapses.
    fn leased(&self) -> String {
        format!("{} is out of rotation in {}", self.host, self.cluster)
    }

    fn is_to_stay(&self, system: &System) -> bool {
        !self.lease && system.is_leased(&self.leased())
    }

    /// Before it is taken out: a run may be gone while its connections settle. What an earlier run took out it had a reason for.
    fn begin_lease(&self, system: &System, known: Option<&rotation::Drain>) {
        if !self.lease || known.is_some() {
            return system.keep(&self.leased());
        }
        let back = Self {
            state: State::Serving,
            lease: false,
            ..self.clone()
        };
        let undo = move |system: &System| match back.check(system)?.is_empty() {
            true => Ok(()),
            false => back.put_back(system),
        };
        system.lease(self.leased(), Box::new(undo));
    }

    fn take_out(&self, system: &System) -> Result<()> {
        let node = self.node.to_string();
        let mut drains = Drains::read(system)?;
        let known = drains.get(&self.cluster, &node).cloned();
        let balancer = self.balancer(system, known.as_ref())?;
        if known.is_none()
            && let Some(part) = balancer.part_out()?
        {
            return Err(self.is_held_in_part(&part));
        }
        let mut drain = rotation::Drain {
            host: self.host.clone(),
            reason: self.reason.clone(),
            since: now(),
            is_loaded: false,
        };
        self.begin_lease(system, known.as_ref());
        // The record first: a mark without one would be somebody else's for ever.
        drains.set(system, &self.cluster, &node, Some(drain.clone()))?;
        if let Err(failure) = balancer.take_out() {
            drains.set(system, &self.cluster, &node, known)?;
            return Err(self.told(failure));
        }
        drain.is_loaded = true;
        drains.set(system, &self.cluster, &node, Some(drain))?;
        if let Some(cut) = balancer.settle(self.within)? {
            system.note("connections_left", cut);
        }
        Ok(())
    }

    fn put_back(&self, system: &System) -> Result<()> {
        let node = self.node.to_string();
        let mut drains = Drains::read(system)?;
        let known = drains.get(&self.cluster, &node).cloned();
        let balancer = self.balancer(system, known.as_ref())?;
        let back = balancer.put_back(self.within);
        back.map_err(|failure| self.told(failure))?;
        system.keep(&self.leased());
        drains.set(system, &self.cluster, &node, None)
    }

    fn is_held_in_part(&self, part: &str) -> Failure {
        Failure::new(format!(
            "{} is not drained: a part of it is out by somebody else's hand ({part}), and would come back with the rest",
            self.host
        ))
        .help("take the node out as a whole, or put that part back")
    }

    fn told(&self, failure: Failure) -> Failure {
        let what = match self.state {
            State::Drained => "drained",
            State::Serving => "back in rotation",
        };
        Failure {
            message: format!("{} is not {what}: {}", self.host, failure.message),
            ..failure
        }
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
