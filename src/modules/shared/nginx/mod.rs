//! NGINX: the balancer's own kernel opens no new connections to a node that is out, and NGINX asks the next one at once.
//!
//! Its files stay as they are and it is not told to read them: at a reload NGINX closes the connections of clients that
//! idle, and a client whose POST meets that close may not repeat it. A connection that is refused has carried nothing yet, so
//! NGINX passes every request on, also those that it may not repeat.
//! Source: nginx.org, `ngx_http_upstream_module` (`down`, `max_fails`, `fail_timeout`), `proxy_next_upstream`; the reload:
//! nginx `src/os/unix/ngx_process_cycle.c`, `ngx_close_idle_connections`.

mod list;
mod refusal;

pub use list::kept_down;

use super::lists::Lists;
use super::patience::{Patience, spoken};
use super::rotation::{Balancer, Cause, Drains, Place};
use super::sockets;
use crate::system::{Command, Result, System};
use list::Server;
use refusal::{Endpoint, Refusal};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(250);

/// NGINX counts `fail_timeout` in whole seconds of its clock.
/// Source: nginx `src/http/ngx_http_upstream_round_robin.c`, `now - peer->checked <= peer->fail_timeout`.
const ROUNDED: Duration = Duration::from_secs(1);

/// NGINX as one that has this node of this cluster.
pub struct Nginx<'s> {
    pub system: &'s System,
    /// Its lists are `CLUSTER.*.conf`.
    pub cluster: &'s str,
    pub node: IpAddr,
    pub folder: &'s Path,
}

impl Nginx<'_> {
    fn servers(&self) -> Result<Vec<Server>> {
        servers(self.system, self.folder, self.cluster, self.node)
    }

    fn endpoints(&self) -> Result<Vec<Endpoint>> {
        endpoints(self.system, self.folder, self.cluster, self.node)
    }
}

impl Balancer for Nginx<'_> {
    /// Where a connection could be opened. Each line stands for another service of the node: one that is down, or refused
    /// alone, has only its peers'.
    fn place(&self) -> Result<Place> {
        let servers = self.servers()?;
        Ok(if servers.is_empty() {
            Place::Nowhere
        } else if servers.iter().all(|server| server.is_down) {
            // The word is never ours.
            Place::Held
        } else {
            let down = servers.iter().find(|server| server.is_down);
            match (refusal::of(self.system, &self.endpoints()?)?, down) {
                (Refusal::Whole, _) => Place::Out { lasts: true },
                (_, Some(down)) => Place::Partly {
                    rest: format!("`{}`", down.line),
                    cause: Cause::Held,
                },
                (Refusal::Part(endpoint), None) => Place::Partly {
                    rest: format!("port {} is refused", endpoint.port),
                    cause: Cause::Ours,
                },
                (Refusal::Nobody, None) => Place::In,
            }
        })
    }

    fn part_out(&self) -> Result<Option<String>> {
        let mut servers = self.servers()?.into_iter();
        let down = servers.find(|server| server.is_down);
        Ok(down.map(|server| format!("`{}`", server.line)))
    }

    /// Only with files that NGINX would start with: a rollout does not begin at a balancer that its next restart ends.
    fn take_out(&self) -> Result<()> {
        let test = Command::new(["nginx", "-t", "-q"]);
        self.system.expect(&test)?;
        refusal::refuse(self.system, &self.endpoints()?)
    }

    /// A node that refused is not asked again for its `fail_timeout`. Only after that may another one be taken out.
    fn put_back(&self, _: Duration) -> Result<()> {
        let drains = Drains::read(self.system)?;
        let others = drains.without(self.cluster, &self.node.to_string());
        let others = endpoints_of(self.system, self.folder, &others)?;
        // At whatever ports it was refused: its list may have changed since.
        let is_out = |e: &Endpoint| e.node != self.node || others.contains(e);
        refusal::refuse_only(self.system, is_out)?;
        let servers = self.servers()?;
        let forgotten = servers.iter().map(|server| server.fail_timeout).max();
        let patience = Patience::new(self.system, forgotten.unwrap_or_default() + ROUNDED);
        while !patience.is_over() {
            patience.rest(PAUSE);
        }
        Ok(())
    }

    fn settle(&self, within: Duration) -> Result<Option<usize>> {
        let ports: Vec<_> = self.endpoints()?.iter().map(|e| e.port).collect();
        let patience = Patience::new(self.system, within);
        loop {
            let connected = sockets::connected(self.system, self.node, &ports)?;
            if connected == 0 || patience.is_over() {
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

/// Has the kernel refuse nobody but nodes of these records.
pub fn forget(system: &System, folder: &Path, drains: &Drains) -> Result<()> {
    let known = endpoints_of(system, folder, drains)?;
    refusal::refuse_only(system, |endpoint| known.contains(endpoint))
}

/// Whether a list of the cluster has the node.
pub fn is_listed(system: &System, folder: &Path, cluster: &str, node: IpAddr) -> Result<bool> {
    Ok(!servers(system, folder, cluster, node)?.is_empty())
}

fn endpoints_of(system: &System, folder: &Path, drains: &Drains) -> Result<Vec<Endpoint>> {
    let found = drains.all().map(|(cluster, node, _)| match node.parse() {
        Ok(node) => endpoints(system, folder, cluster, node),
        Err(_) => Ok(vec![]),
    });
    Ok(found.collect::<Result<Vec<_>>>()?.concat())
}

/// The lines of the cluster's lists that are the node's.
fn servers(system: &System, folder: &Path, cluster: &str, node: IpAddr) -> Result<Vec<Server>> {
    let lists = Lists::read(system, folder, |name| {
        let rest = name.strip_prefix(cluster);
        rest.is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".conf"))
    })?;
    let node = node.to_string();
    let found = lists.texts().flat_map(|text| list::servers(text, &node));
    Ok(found.collect())
}

fn endpoints(system: &System, folder: &Path, cluster: &str, node: IpAddr) -> Result<Vec<Endpoint>> {
    let servers = servers(system, folder, cluster, node)?.into_iter();
    let at = |server: Server| Endpoint {
        node,
        port: server.port,
    };
    Ok(servers.map(at).collect())
}
