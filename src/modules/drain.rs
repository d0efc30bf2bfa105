//! `drain`: a node out of a balancer's rotation, or back in it.
//!
//! The node's lines in NGINX's list get the word `down` and stay, because other nodes' clients keep theirs by the place
//! in the list. Then NGINX is made to read it, that is proved, and what is on its way to the node may finish.
//! Source: nginx.org, `ngx_http_upstream_module`, parameter `down`.

use super::shared::nginx;
use super::shared::rotation::{self, Drains, Listed};
use super::shared::words::seconds;
use super::{Kind, Module};
use crate::system::{Result, System};
use crate::wire::Failure;
use serde::Deserialize;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Keeps a node out of a balancer's rotation, or in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// What the node belongs to; its lists are `CLUSTER.*.conf`.
    cluster: String,
    /// As the lists name it.
    node: IpAddr,
    /// For people.
    host: String,
    state: State,
    #[serde(default)]
    reason: String,
    /// In seconds: how long requests on their way to the node may take.
    #[serde(default = "default_within", deserialize_with = "seconds")]
    within: Duration,
    #[serde(default = "default_folder")]
    folder: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Drained,
    Serving,
}

fn default_within() -> Duration {
    Duration::from_secs(60)
}

fn default_folder() -> PathBuf {
    "/etc/nginx/clusters".into()
}

/// Where the node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// No list has it.
    Absent,
    Serving,
    /// By our hand.
    Drained,
    /// Ours, and cut off before the balancer is known to have read it.
    Halfway,
    /// By somebody else's hand, who will have a reason.
    Foreign,
}

#[derive(Debug)]
pub enum Change {
    TakeOut(String),
    PutBack(String),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakeOut(cluster) => write!(f, "take it out of rotation in {cluster}"),
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
        let standing = self.standing(system)?;
        system.note("standing", standing.word());
        if let Some(drain) = Drains::read(system)?.get(&self.cluster, &self.node.to_string()) {
            system.note("reason", drain.reason.as_str());
            system.note("since", drain.since);
        }
        let cluster = self.cluster.clone();
        Ok(match (self.state, standing) {
            // Nobody's but the other's to undo, and nothing is sent there already.
            (_, Standing::Absent | Standing::Foreign) => vec![],
            (State::Drained, Standing::Serving | Standing::Halfway) => {
                vec![Change::TakeOut(cluster)]
            }
            (State::Serving, Standing::Drained | Standing::Halfway) => {
                vec![Change::PutBack(cluster)]
            }
            (State::Drained, Standing::Drained) | (State::Serving, Standing::Serving) => vec![],
        })
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        match change {
            Change::TakeOut(_) => self.take_out(system),
            Change::PutBack(_) => self.put_back(system),
        }
    }
}

impl Standing {
    fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Serving => "serving",
            Self::Drained | Self::Halfway => "drained",
            Self::Foreign => "foreign",
        }
    }
}

impl Drain {
    fn standing(&self, system: &System) -> Result<Standing> {
        let drains = Drains::read(system)?;
        let ours = drains.get(&self.cluster, &self.node.to_string());
        Ok(match (self.listed(system)?, ours) {
            (Listed::Nowhere, _) => Standing::Absent,
            (Listed::Up, None) => Standing::Serving,
            (Listed::Down, None) => Standing::Foreign,
            (Listed::Down, Some(drain)) if drain.is_loaded => Standing::Drained,
            (_, Some(_)) => Standing::Halfway,
        })
    }

    /// Serving as long as one list says so.
    fn listed(&self, system: &System) -> Result<Listed> {
        let mut all = Listed::Nowhere;
        for (_, text) in self.lists(system)? {
            match rotation::listed(&text, &self.node.to_string()) {
                Listed::Up => return Ok(Listed::Up),
                Listed::Down => all = Listed::Down,
                Listed::Nowhere => {}
            }
        }
        Ok(all)
    }

    /// The cluster's lists: path and text.
    fn lists(&self, system: &System) -> Result<Vec<(PathBuf, String)>> {
        if system.meta(&self.folder)?.is_none() {
            return Ok(vec![]);
        }
        let mut lists = Vec::new();
        for name in system.list(&self.folder)? {
            let rest = name.strip_prefix(&self.cluster);
            if rest.is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".conf")) {
                let path = self.folder.join(&name);
                let text = system.read(&path)?.unwrap_or_default();
                lists.push((path, String::from_utf8_lossy(&text).into_owned()));
            }
        }
        Ok(lists)
    }

    fn take_out(&self, system: &System) -> Result<()> {
        let node = self.node.to_string();
        let mut drains = Drains::read(system)?;
        let mut drain = rotation::Drain {
            host: self.host.clone(),
            reason: self.reason.clone(),
            since: now(),
            is_loaded: false,
        };
        let known = drains.get(&self.cluster, &node).cloned();
        // The record first: a mark without one would be somebody else's for ever.
        drains.set(system, &self.cluster, &node, Some(drain.clone()))?;
        if let Err(failure) = self.mark(system, true) {
            drains.set(system, &self.cluster, &node, known)?;
            return Err(failure);
        }
        drain.is_loaded = true;
        drains.set(system, &self.cluster, &node, Some(drain))?;
        let cut = nginx::settle(system, self.node, &self.ports(system)?, self.within)?;
        system.note("connections_left", cut);
        Ok(())
    }

    fn put_back(&self, system: &System) -> Result<()> {
        let node = self.node.to_string();
        self.mark(system, false)?;
        Drains::read(system)?.set(system, &self.cluster, &node, None)
    }

    fn ports(&self, system: &System) -> Result<Vec<u16>> {
        let node = self.node.to_string();
        let lists = self.lists(system)?;
        let ports = lists
            .iter()
            .flat_map(|(_, text)| rotation::ports(text, &node));
        Ok(ports.collect())
    }

    /// All lists, or none of them: what NGINX refuses or does not read is taken back.
    fn mark(&self, system: &System, down: bool) -> Result<()> {
        let node = self.node.to_string();
        let before = self.lists(system)?;
        for (path, text) in &before {
            write(system, path, &rotation::marked(text, &node, down))?;
        }
        nginx::test(system)
            .and_then(|()| nginx::reload(system))
            .map_err(|failure| {
                let undone = before
                    .iter()
                    .try_for_each(|(path, text)| write(system, path, text));
                let told = format!(
                    "{} is not {}: {}",
                    self.host,
                    match self.state {
                        State::Drained => "drained",
                        State::Serving => "back in rotation",
                    },
                    failure.message
                );
                let failure = Failure {
                    message: told,
                    ..failure
                };
                match undone {
                    Ok(()) => failure,
                    Err(e) => failure.detail([format!("its list could not be restored: {e}")]),
                }
            })
    }
}

fn write(system: &System, path: &Path, text: &str) -> Result<()> {
    system.write(path, &mut text.as_bytes(), None, None)
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
