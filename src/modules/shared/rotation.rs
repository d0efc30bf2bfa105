//! Which nodes a balancer sends nobody to, because we took them out: the records, and what a balancer must be able to do.
//!
//! A drain has an owner. A node that is out without a record of ours was taken out by somebody else, and stays so
//! whatever we do.

use crate::system::{Result, System, ourselves};
use crate::wire::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

const RECORDS: &str = "drains.json";

/// Where a balancer has a node, whoever put it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// It does not know the node.
    Nowhere,
    In,
    /// Requests are sent to a part of it: what needs the rest cannot count on the node.
    Partly {
        /// What is not in, and why.
        rest: String,
        cause: Cause,
    },
    /// Nobody took it out, and the balancer's own checks find it down.
    Failing,
    Out {
        /// Also after the balancer was started anew, or was told by somebody to read its files.
        lasts: bool,
    },
    /// Out in a way that is not ours, whether we took it out as well or not.
    Held,
}

/// Why requests are sent to a part of a node alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Out in a way that is not ours, unless there is a record of ours.
    Held,
    /// The balancer's own checks.
    Down,
    /// Out in a way that is ours alone.
    Ours,
}

/// A program that balances, seen as one that has one node of one cluster.
pub trait Balancer {
    fn place(&self) -> Result<Place>;

    /// What part of the node is out while the rest is not: somebody's work that must not be undone.
    fn part_out(&self) -> Result<Option<String>>;

    /// When it is done nothing new is sent there; when it failed all is as it was.
    fn take_out(&self) -> Result<()>;

    /// When it is done the node is sent what is its share; when it failed all is as it was.
    fn put_back(&self, within: Duration) -> Result<()>;

    /// Waits for what is on its way to the node; answers how many connections there still were when the time was over,
    /// as far as that can be seen.
    fn settle(&self, within: Duration) -> Result<Option<usize>>;
}

/// Why a node is out, for whoever finds it so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    pub host: String,
    pub reason: String,
    /// In seconds since the epoch, by this host's clock.
    pub since: u64,
    /// Whether the running balancer is known to have read it. Written first and set last, so that a drain which was
    /// cut off in between is made again.
    pub is_loaded: bool,
}

/// By cluster, then by the node's address.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Drains(BTreeMap<String, BTreeMap<String, Drain>>);

impl Drains {
    pub fn read(system: &System) -> Result<Self> {
        let path = system.state().join(RECORDS);
        let Some(bytes) = system.read(&path)? else {
            return Ok(Self::default());
        };
        serde_json::from_slice(&bytes).map_err(|e| {
            Failure::new(format!("{} cannot be read: {e}", path.display()))
                .help("it says which nodes are out of rotation by our hand; remove it when none is")
        })
    }

    pub fn get(&self, cluster: &str, node: &str) -> Option<&Drain> {
        self.0.get(cluster)?.get(node)
    }

    /// The nodes of a cluster that are out.
    pub fn of(&self, cluster: &str) -> impl Iterator<Item = &str> {
        let nodes = self.0.get(cluster).into_iter();
        nodes.flat_map(|nodes| nodes.keys().map(String::as_str))
    }

    /// Cluster, node and why, of every one.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, &Drain)> {
        let clusters = self.0.iter();
        clusters.flat_map(|(cluster, nodes)| {
            let nodes = nodes.iter();
            nodes.map(|(node, drain)| (cluster.as_str(), node.as_str(), drain))
        })
    }

    /// All but one.
    pub fn without(&self, cluster: &str, node: &str) -> Self {
        let mut others = self.0.clone();
        if let Some(nodes) = others.get_mut(cluster) {
            nodes.remove(node);
        }
        Self(others)
    }

    /// Sets or forgets one, on disk too.
    pub fn set(
        &mut self,
        system: &System,
        cluster: &str,
        node: &str,
        drain: Option<Drain>,
    ) -> Result<()> {
        let nodes = self.0.entry(cluster.to_owned()).or_default();
        match drain {
            Some(drain) => nodes.insert(node.to_owned(), drain),
            None => nodes.remove(node),
        };
        self.0.retain(|_, nodes| !nodes.is_empty());
        self.write(system)
    }

    fn write(&self, system: &System) -> Result<()> {
        system.make_dir(system.state())?;
        let path = system.state().join(RECORDS);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Failure::new(format!("{} cannot be written: {e}", path.display())))?;
        system.write(&path, &mut text.as_slice(), Some(0o644), Some(ourselves()))
    }
}
