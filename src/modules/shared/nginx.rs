//! NGINX: who is out has the word `down` on its lines. The running one is made to read that, and proved to have done so.
//!
//! The lines stay, because other nodes' clients keep theirs by the place in the list. That `reload` ends well proves nothing: the master answers before it has read anything, and goes on with what it had
//! when it cannot. Only workers that were not there before are proof.
//! Source: nginx.org, `ngx_http_upstream_module`, parameter `down`.

use super::children;
use super::lists::Lists;
use super::patience::{Patience, spoken};
use super::rotation::{Balancer, Place};
use super::sockets;
use super::unit;
use crate::system::{Command, Result, System};
use crate::wire::Failure;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

const PID_FILE: &str = "/run/nginx.pid";

/// A configuration of hundreds of names takes seconds to read.
const RELOADED_WITHIN: Duration = Duration::from_secs(20);

/// How long nobody must be connected while old workers still have clients: one of them may have a request that it is
/// about to pass on.
const QUIET: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Worker {
    pid: u32,
    /// Of an earlier configuration: finishes what it has, takes nothing new.
    is_leaving: bool,
}

/// NGINX as one that has this node of this cluster.
pub struct Nginx<'s> {
    pub system: &'s System,
    /// Its lists are `CLUSTER.*.conf`.
    pub cluster: &'s str,
    pub node: IpAddr,
    pub folder: &'s Path,
}

impl Nginx<'_> {
    fn lists(&self) -> Result<Lists> {
        Lists::read(self.system, self.folder, |name| {
            let rest = name.strip_prefix(self.cluster);
            rest.is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".conf"))
        })
    }

    fn listed(&self) -> Result<Vec<Listed>> {
        let node = self.node.to_string();
        let lists = self.lists()?;
        let listed = lists.texts().map(|text| listed(text, &node));
        Ok(listed.filter(|listed| *listed != Listed::Nowhere).collect())
    }

    /// What NGINX refuses or does not read is taken back.
    fn mark(&self, down: bool) -> Result<()> {
        let node = self.node.to_string();
        self.lists()?.rewritten(
            self.system,
            |text| marked(text, &node, down),
            || test(self.system).and_then(|()| reload(self.system)),
        )
    }
}

impl Balancer for Nginx<'_> {
    /// In as long as one list says so.
    fn place(&self) -> Result<Place> {
        let listed = self.listed()?;
        Ok(if listed.is_empty() {
            Place::Nowhere
        } else if listed.iter().all(|l| *l == Listed::Down) {
            Place::Out { lasts: true }
        } else {
            Place::In
        })
    }

    fn part_out(&self) -> Result<Option<String>> {
        let node = self.node.to_string();
        let lists = self.lists()?;
        let mut lines = lists.texts().flat_map(str::lines);
        let down = lines.find(|line| is_of(line, &node) && is_down(line));
        Ok(down.map(|line| format!("`{}`", line.trim())))
    }

    fn take_out(&self) -> Result<()> {
        self.mark(true)
    }

    fn put_back(&self, _: Duration) -> Result<()> {
        self.mark(false)
    }

    fn settle(&self, within: Duration) -> Result<Option<usize>> {
        let node = self.node.to_string();
        let lists = self.lists()?;
        let ports = lists.texts().flat_map(|text| ports(text, &node));
        let ports: Vec<_> = ports.collect();
        settle(self.system, self.node, &ports, within).map(Some)
    }
}

/// Has the files judged; nothing is changed.
fn test(system: &System) -> Result<()> {
    system
        .expect(&Command::new(["nginx", "-t", "-q"]))
        .map(drop)
}

/// Until workers with the files as they are serve, and those from before take nothing new.
fn reload(system: &System) -> Result<()> {
    let before: Vec<u32> = workers(system)?.into_iter().map(|w| w.pid).collect();
    unit::order(system, "reload", "nginx.service")?;
    let patience = Patience::new(system, RELOADED_WITHIN);
    loop {
        let now = workers(system)?;
        let is_new = now
            .iter()
            .any(|w| !w.is_leaving && !before.contains(&w.pid));
        if is_new && now.iter().all(|w| w.is_leaving || !before.contains(&w.pid)) {
            return Ok(());
        }
        if patience.is_over() {
            return Err(Failure::new("nginx was told to read its files and did not")
                .detail(said(system))
                .help("`nginx -t` and /var/log/nginx/error.log say why"));
        }
        patience.rest(Duration::from_millis(100));
    }
}

/// Waits until nobody is connected to the node from here; answers how many still were when the time was over.
fn settle(system: &System, node: IpAddr, ports: &[u16], within: Duration) -> Result<usize> {
    let patience = Patience::new(system, within);
    let mut quiet_since = None;
    loop {
        let connected = sockets::connected(system, node, ports)?;
        if connected == 0 {
            let since = *quiet_since.get_or_insert(patience.waited());
            let is_quiet = patience.waited().saturating_sub(since) >= QUIET;
            if is_quiet || !workers(system)?.iter().any(|w| w.is_leaving) {
                return Ok(0);
            }
        } else {
            quiet_since = None;
        }
        if patience.is_over() {
            return Ok(connected);
        }
        system.progress(&format!(
            "{connected} connections to {node} left, {} more",
            spoken(within.saturating_sub(patience.waited()))
        ));
        patience.rest(Duration::from_millis(250));
    }
}

fn workers(system: &System) -> Result<Vec<Worker>> {
    let master = system.read(Path::new(PID_FILE))?.unwrap_or_default();
    let master = String::from_utf8_lossy(&master).trim().to_owned();
    if master.is_empty() {
        return Err(Failure::new("nginx does not run: it has no process id")
            .help("`systemctl status nginx` says why"));
    }
    let children = children::of(system, &master)?.into_iter();
    let workers = children.filter(|child| child.title.starts_with("nginx: worker process"));
    Ok(workers
        .map(|child| Worker {
            pid: child.pid,
            is_leaving: child.title.contains("is shutting down"),
        })
        .collect())
}

fn said(system: &System) -> Vec<String> {
    let path = Path::new("/var/log/nginx/error.log");
    let log = system.read(path).ok().flatten().unwrap_or_default();
    crate::system::tail(&String::from_utf8_lossy(&log), 5)
}

/// What a list of nodes says of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
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

/// Whether NGINX's list names the node at all.
pub fn has(text: &str, node: &str) -> bool {
    text.lines().any(|line| is_of(line, node))
}

fn listed(text: &str, node: &str) -> Listed {
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
fn ports(text: &str, node: &str) -> Vec<u16> {
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
