//! Which nodes a balancer sends nobody to, because we took them out: the records, and the word `down` in NGINX's lists.
//!
//! A drain has an owner. A node that is `down` without a record of ours was taken out by somebody else, and stays so
//! whatever we do.

use crate::system::{Result, System, ourselves};
use crate::wire::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

const RECORDS: &str = "/var/lib/apim-deploy/drains.json";

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
        let Some(bytes) = system.read(Path::new(RECORDS))? else {
            return Ok(Self::default());
        };
        serde_json::from_slice(&bytes).map_err(|e| {
            Failure::new(format!("{RECORDS} cannot be read: {e}"))
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
        let path = Path::new(RECORDS);
        if let Some(folder) = path.parent() {
            system.make_dir(folder)?;
        }
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Failure::new(format!("{RECORDS} cannot be written: {e}")))?;
        system.write(path, &mut text.as_slice(), Some(0o644), Some(ourselves()))
    }
}

/// What a list of nodes says of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    Nowhere,
    Up,
    /// On every one of its lines.
    Down,
}

/// NGINX's list with a node's lines marked, or their marks taken away.
pub fn marked(text: &str, node: &str, down: bool) -> String {
    let lines = text.split_inclusive('\n').map(|line| {
        if !is_of(line, node) || is_down(line) == down {
            line.to_owned()
        } else if down {
            line.replacen(';', " down;", 1)
        } else {
            line.replacen(" down", "", 1)
        }
    });
    lines.collect()
}

pub fn listed(text: &str, node: &str) -> Listed {
    let mut lines = text.lines().filter(|line| is_of(line, node)).peekable();
    if lines.peek().is_none() {
        Listed::Nowhere
    } else if lines.all(is_down) {
        Listed::Down
    } else {
        Listed::Up
    }
}

/// The ports at which a list has a node.
pub fn ports(text: &str, node: &str) -> Vec<u16> {
    let of_node = text.lines().filter(|line| is_of(line, node));
    let ports = of_node.filter_map(|line| endpoint(line)?.rsplit_once(':')?.1.parse().ok());
    ports.collect()
}

fn is_of(line: &str, node: &str) -> bool {
    let host = endpoint(line).map(|e| e.rsplit_once(':').map_or(e, |(host, _)| host));
    host.is_some_and(|host| host.trim_matches(['[', ']']) == node)
}

/// `10.0.0.7:8243` of `server 10.0.0.7:8243 max_fails=3;`
fn endpoint(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("server ")?;
    let (words, _) = rest.split_once(';')?;
    words.split_whitespace().next()
}

fn is_down(line: &str) -> bool {
    let words = line.split(';').next().unwrap_or_default();
    words.split_whitespace().any(|word| word == "down")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
# server 10.0.0.1:1;
upstream a {
    server 10.0.0.1:8243 max_fails=3;
    server 10.0.0.11:8243 max_fails=3;
}
upstream b {
    server 10.0.0.1:9443;
    server [fe80::1]:9443 down;
}
server { listen 80; }
";

    #[test]
    fn only_the_nodes_lines_are_marked() {
        let down = marked(LIST, "10.0.0.1", true);
        assert!(down.contains("server 10.0.0.1:8243 max_fails=3 down;\n"));
        assert!(down.contains("server 10.0.0.1:9443 down;\n"));
        assert!(down.contains("server 10.0.0.11:8243 max_fails=3;\n"));
        assert_eq!(marked(&down, "10.0.0.1", true), down);
        assert_eq!(marked(&down, "10.0.0.1", false), LIST);
    }

    #[test]
    fn a_node_is_down_when_all_its_lines_are() {
        assert_eq!(listed(LIST, "10.0.0.1"), Listed::Up);
        assert_eq!(listed(LIST, "10.0.0.2"), Listed::Nowhere);
        assert_eq!(listed(LIST, "fe80::1"), Listed::Down);
        let half = LIST.replacen("max_fails=3;", "down;", 1);
        assert_eq!(listed(&half, "10.0.0.1"), Listed::Up);
        assert_eq!(ports(LIST, "10.0.0.1"), [8243, 9443]);
    }
}
