//! HAProxy: who is out drains in the running process, and is `disabled` in the cluster's file.
//!
//! The runtime API takes a node out at once and without a reload, and tells when nobody is connected any more. It keeps
//! that in memory only, so the file says it as well: whoever reloads or restarts HAProxy in the middle finds the node out.

mod list;
mod runtime;

pub use list::{kept_disabled, marked};

use super::children;
use super::lists::Lists;
use super::patience::{Patience, spoken};
use super::rotation::{Balancer, Cause, Place};
use super::sockets;
use super::unit;
use crate::system::{Command, Result, System};
use crate::wire::Failure;
use list::Server;
use runtime::Live;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

const PID_FILE: &str = "/run/haproxy.pid";
const CONFIG: &str = "/etc/haproxy/haproxy.cfg";

/// A configuration of hundreds of names takes seconds to read.
const RELOADED_WITHIN: Duration = Duration::from_secs(20);

/// How long nobody must be connected while processes of an earlier configuration still have clients.
const QUIET: Duration = Duration::from_secs(2);

const PAUSE: Duration = Duration::from_millis(250);

/// HAProxy as one that has this node of this cluster.
pub struct Haproxy<'s> {
    pub system: &'s System,
    /// Its file is `CLUSTER.cfg`.
    pub cluster: &'s str,
    pub node: IpAddr,
    pub folder: &'s Path,
    pub socket: &'s Path,
}

impl Haproxy<'_> {
    fn lists(&self) -> Result<Lists> {
        own_lists(self.system, self.folder, self.cluster)
    }

    fn listed(&self) -> Result<Vec<Server>> {
        listed(self.system, self.folder, self.cluster, self.node)
    }

    /// The listed ones as the running process has them; those that it does not know are not among them.
    fn live(&self, listed: &[Server]) -> Result<Vec<Live>> {
        let mut live = runtime::servers(self.system, self.socket)?;
        live.retain(|live| {
            listed
                .iter()
                .any(|s| s.proxy == live.proxy && s.name == live.name)
        });
        Ok(live)
    }

    /// The same, after a process that does not know all of them was made to read its files.
    fn known(&self, listed: &[Server]) -> Result<Vec<Live>> {
        let live = self.live(listed)?;
        if live.len() == listed.len() {
            return Ok(live);
        }
        self.reload()?;
        let live = self.live(listed)?;
        if live.len() == listed.len() {
            return Ok(live);
        }
        let own = self.folder.join(format!("{}.cfg", self.cluster));
        Err(Failure::new(format!(
            "haproxy read its files and does not know all servers of {}",
            own.display()
        ))
        .help("the folder must be among the files that its unit names with -f"))
    }

    fn set(&self, servers: &[Live], state: &str) -> Result<()> {
        let mut servers = servers.iter();
        servers.try_for_each(|server| runtime::set(self.system, self.socket, server, state))
    }

    /// Nothing is changed.
    fn test(&self) -> Result<()> {
        let folder = self.folder.display().to_string();
        self.system
            .expect(&Command::new([
                "haproxy", "-c", "-q", "-f", CONFIG, "-f", &folder,
            ]))
            .map(drop)
    }

    /// Until another process answers.
    fn reload(&self) -> Result<()> {
        let before = runtime::pid(self.system, self.socket)?;
        self.test()?;
        unit::order(self.system, "reload", "haproxy.service")?;
        let patience = Patience::new(self.system, RELOADED_WITHIN);
        // In between nobody may answer.
        while !runtime::pid(self.system, self.socket).is_ok_and(|now| now != before) {
            if patience.is_over() {
                return Err(
                    Failure::new("haproxy was told to read its files and did not")
                        .help("`journalctl -u haproxy` says why"),
                );
            }
            patience.rest(Duration::from_millis(100));
        }
        Ok(())
    }

    fn drain_now(&self) -> Result<()> {
        self.test()?;
        let listed = self.listed()?;
        // A process that was told to read its files has them in maintenance.
        let mut serving = self.known(&listed)?;
        serving.retain(|live| !live.is_out());
        let drained = self.set(&serving, "drain").and_then(|()| {
            match self.live(&listed)?.iter().find(|live| !live.is_out()) {
                None => Ok(()),
                Some(live) => Err(Failure::new(format!(
                    "haproxy was told to drain {} and still sends requests there",
                    live.shown()
                ))),
            }
        });
        drained.map_err(|failure| match self.set(&serving, "ready") {
            Ok(()) => failure,
            Err(e) => failure.detail([format!("it may still be drained: {e}")]),
        })
    }

    /// Checked while nothing is sent there yet, and only then let in.
    fn let_in(&self, within: Duration) -> Result<()> {
        self.test()?;
        let listed = self.listed()?;
        let out = self.known(&listed)?;
        let unchecked: Vec<_> = out
            .iter()
            .filter(|s| s.is_in_maintenance())
            .cloned()
            .collect();
        self.set(&unchecked, "drain")?;
        self.checked(&listed, within)?;
        self.set(&out, "ready")?;
        match self.live(&listed)?.iter().find(|live| live.is_out()) {
            None => Ok(()),
            Some(live) => {
                self.set(&out, "drain")?;
                Err(Failure::new(format!(
                    "haproxy was told to send requests to {} again and does not",
                    live.shown()
                ))
                .help("somebody gave it the weight 0, or what it tracks is out: `show servers state` at its socket"))
            }
        }
    }

    fn checked(&self, listed: &[Server], within: Duration) -> Result<()> {
        let patience = Patience::new(self.system, within);
        loop {
            let live = self.live(listed)?;
            let Some(failing) = live.iter().find(|live| !live.is_proved()) else {
                return Ok(());
            };
            let said = format!("{}: {}", failing.shown(), failing.check);
            if patience.is_over() {
                let long = spoken(within);
                return Err(Failure::new(format!(
                    "its health check at the balancer does not pass within {long}: {said}"
                ))
                .help("what is asked stands in the balancer's configuration (lb_checks): may the balancer reach that port of the node?"));
            }
            self.system
                .progress(&format!("waiting for the balancer's health check: {said}"));
            patience.rest(PAUSE);
        }
    }

    /// Of the process that answers, and of those that finish what they have from before a reload.
    fn connected(&self, listed: &[Server]) -> Result<(usize, bool)> {
        let now = self.live(listed)?.iter().map(|live| live.connections).sum();
        if !self.has_leaving()? {
            return Ok((now, false));
        }
        let ports: Vec<_> = listed.iter().map(|server| server.port).collect();
        let all = sockets::connected(self.system, self.node, &ports)?;
        Ok((all.max(now), true))
    }

    fn has_leaving(&self) -> Result<bool> {
        let master = self.system.read(Path::new(PID_FILE))?.unwrap_or_default();
        // A master that has workers writes its own number alone.
        let master = String::from_utf8_lossy(&master).trim().to_owned();
        let serving = runtime::pid(self.system, self.socket)?;
        let children = children::of(self.system, &master)?;
        let is_leaving = |child: &children::Child| {
            let program = child.title.split('\0').next().unwrap_or_default();
            child.pid != serving && program.ends_with("haproxy")
        };
        Ok(children.iter().any(is_leaving))
    }
}

impl Balancer for Haproxy<'_> {
    /// What the running process does. Each of its servers stands for another service of the node: one that is out or down has
    /// only its peers', so the node is in as a whole or in part.
    fn place(&self) -> Result<Place> {
        let listed = self.listed()?;
        // Before the first deployment nobody answers.
        if listed.is_empty() {
            return Ok(Place::Nowhere);
        }
        let live = self.live(&listed)?;
        // Listed, and the running process never read that.
        if live.is_empty() {
            return Ok(Place::Nowhere);
        }
        let (out, serving): (Vec<_>, Vec<_>) = live.into_iter().partition(Live::is_out);
        let down = serving.iter().find(|live| !live.is_up());
        Ok(if serving.iter().any(Live::is_up) {
            match (out.first(), down) {
                (Some(out), _) => Place::Partly {
                    rest: format!("{} is out", out.shown()),
                    cause: Cause::Held,
                },
                (None, Some(down)) => Place::Partly {
                    rest: format!("{} fails its check: {}", down.shown(), down.check),
                    cause: Cause::Down,
                },
                (None, None) => Place::In,
            }
        } else if !serving.is_empty() {
            Place::Failing
        } else if out.iter().any(Live::is_held) {
            Place::Held
        } else {
            let lasts = listed.iter().all(|server| server.is_disabled);
            Place::Out {
                lasts: lasts && out.len() == listed.len(),
            }
        })
    }

    fn part_out(&self) -> Result<Option<String>> {
        let listed = self.listed()?;
        let live = self.live(&listed)?;
        let by_hand = live.iter().find(|live| live.is_out());
        let in_file = listed.iter().find(|server| server.is_disabled);
        Ok(by_hand
            .map(Live::shown)
            .or(in_file.map(|server| format!("{}/{}", server.proxy, server.name))))
    }

    fn take_out(&self) -> Result<()> {
        let node = self.node.to_string();
        self.lists()?.rewritten(
            self.system,
            |text| marked(text, &node, true),
            || self.drain_now(),
        )
    }

    fn put_back(&self, within: Duration) -> Result<()> {
        let node = self.node.to_string();
        self.lists()?.rewritten(
            self.system,
            |text| marked(text, &node, false),
            || self.let_in(within),
        )
    }

    fn settle(&self, within: Duration) -> Result<Option<usize>> {
        let listed = self.listed()?;
        let patience = Patience::new(self.system, within);
        let mut quiet_since = None;
        loop {
            let (connected, has_leaving) = self.connected(&listed)?;
            if connected == 0 {
                let since = *quiet_since.get_or_insert(patience.waited());
                if !has_leaving || patience.waited().saturating_sub(since) >= QUIET {
                    return Ok(Some(0));
                }
            } else {
                quiet_since = None;
            }
            if patience.is_over() {
                return Ok(Some(connected));
            }
            self.system.progress(&format!(
                "{connected} connections to {} left, {} more",
                self.node,
                spoken(within.saturating_sub(patience.waited()))
            ));
            patience.rest(PAUSE);
        }
    }
}

/// Whether the cluster's list has the node.
pub fn is_listed(system: &System, folder: &Path, cluster: &str, node: IpAddr) -> Result<bool> {
    Ok(!listed(system, folder, cluster, node)?.is_empty())
}

fn own_lists(system: &System, folder: &Path, cluster: &str) -> Result<Lists> {
    let own = format!("{cluster}.cfg");
    Lists::read(system, folder, |name| name == own)
}

fn listed(system: &System, folder: &Path, cluster: &str, node: IpAddr) -> Result<Vec<Server>> {
    let lists = own_lists(system, folder, cluster)?;
    let node = node.to_string();
    let listed = lists.texts().flat_map(|text| list::servers(text, &node));
    Ok(listed.collect())
}
