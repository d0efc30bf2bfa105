//! `drains`: what this balancer keeps of nodes that `drain` took out, once they are no longer its own.
//!
//! Asked for after a balancer has read its lists: as long as it sends requests to a node by the old ones, that node stays out.

use super::shared::lists::Engine;
use super::shared::rotation::Drains as Records;
use super::shared::{haproxy, nginx};
use super::{Kind, Module};
use crate::system::{Result, System};
use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// Forgets drains of nodes that no list of their cluster has any more: who comes back under such an address is a new node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drains {
    #[serde(default)]
    engine: Engine,
    /// Where the lists are.
    folder: Option<PathBuf>,
}

#[derive(Debug)]
pub struct Change {
    cluster: String,
    node: String,
    host: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "forget that {} is out of {}", self.host, self.cluster)
    }
}

impl Drains {
    fn folder(&self) -> &Path {
        self.folder.as_deref().unwrap_or(self.engine.folder())
    }

    fn is_listed(&self, system: &System, cluster: &str, node: &str) -> Result<bool> {
        match (self.engine, node.parse()) {
            (Engine::Nginx, Ok(node)) => nginx::is_listed(system, self.folder(), cluster, node),
            (Engine::Haproxy, Ok(node)) => haproxy::is_listed(system, self.folder(), cluster, node),
            (_, Err(_)) => Ok(false),
        }
    }
}

impl Module for Drains {
    const NAME: &'static str = "drains";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "forgets drains of nodes that a balancer no longer has";
    const EXAMPLE: &'static str = "\
drains:
  engine: nginx
";
    type Change = Change;

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        let records = Records::read(system)?;
        let mut gone = Vec::new();
        for (cluster, node, drain) in records.all() {
            if !self.is_listed(system, cluster, node)? {
                gone.push(Change {
                    cluster: cluster.to_owned(),
                    node: node.to_owned(),
                    host: drain.host.clone(),
                });
            }
        }
        Ok(gone)
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        let mut records = Records::read(system)?;
        let left = records.without(&change.cluster, &change.node);
        if self.engine == Engine::Nginx {
            nginx::forget(system, self.folder(), &left)?;
        }
        records.set(system, &change.cluster, &change.node, None)
    }
}
