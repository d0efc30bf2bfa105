//! Ports: who listens, who is connected, what the kernel's parameters say.

use super::{Scene, text};
use crate::modules::shared::sockets::{self, Socket, State};
use crate::system::{Result, System};
use crate::wire::Failure;
use crate::wire::survey::{Connection, Listener, Network, Process};
use std::collections::{BTreeMap, HashMap};

/// What the tuning pages of the products name, and what may do harm.
/// Source: wso2/docs-apim `en/docs/install-and-setup/setup/deployment-best-practices/tuning-performance.md`.
const SYSCTL: [&str; 12] = [
    "fs.file-max",
    "net.core.rmem_default",
    "net.core.rmem_max",
    "net.core.somaxconn",
    "net.core.wmem_default",
    "net.core.wmem_max",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_tw_recycle",
    "net.ipv4.tcp_tw_reuse",
    "vm.swappiness",
];

pub fn look(scene: &Scene<'_>) -> Network {
    let sysctl: BTreeMap<_, _> = SYSCTL
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), sysctl(scene.system, name).ok()?)))
        .collect();
    let sockets = sockets(scene);
    Network {
        local_ports: local_ports(scene.system).into(),
        reserved_ports: self::sysctl(scene.system, "net.ipv4.ip_local_reserved_ports").into(),
        listeners: sockets.clone().map(|s| s.listeners).into(),
        connections: sockets.map(|s| s.connections).into(),
        sysctl,
    }
}

fn sysctl(system: &System, name: &str) -> Result<String> {
    let value = text(system, &format!("/proc/sys/{}", name.replace('.', "/")))?;
    Ok(value.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn local_ports(system: &System) -> Result<(u16, u16)> {
    let range = sysctl(system, "net.ipv4.ip_local_port_range")?;
    let ends = range
        .split_once(' ')
        .and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    ends.ok_or_else(|| Failure::new(format!("the local port range is `{range}`")))
}

#[derive(Clone)]
struct Sockets {
    listeners: Vec<Listener>,
    connections: Vec<Connection>,
}

fn sockets(scene: &Scene<'_>) -> Result<Sockets> {
    let mut all = sockets::all(scene.system)?;
    let is_asked =
        |s: &Socket| s.state == State::Established && scene.asked.connections.contains(&s.remote.1);
    all.retain(|s| s.state == State::Listening || is_asked(s));
    let inodes = all.iter().map(|s| s.inode).collect();
    let holders = scene.processes.holders(scene.system, inodes);
    let (listening, connected): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|s| s.state == State::Listening);
    let mut listeners: Vec<_> = listening
        .iter()
        .map(|s| listener(s, scene.system, &holders))
        .collect();
    listeners.sort_by(|a, b| (a.port, &a.address).cmp(&(b.port, &b.address)));
    Ok(Sockets {
        listeners,
        connections: connected
            .iter()
            .map(|s| connection(s, scene.system, &holders))
            .collect(),
    })
}

/// A name, or the number of a user without one.
fn user(socket: &Socket, system: &System) -> String {
    let number = socket.uid.to_string();
    let user = system.user(&number).ok().flatten();
    user.map_or(number, |user| user.name)
}

fn listener(socket: &Socket, system: &System, holders: &HashMap<u64, Process>) -> Listener {
    Listener {
        address: socket.local.0.to_string(),
        port: socket.local.1,
        user: user(socket, system),
        process: holders.get(&socket.inode).cloned(),
    }
}

fn connection(socket: &Socket, system: &System, holders: &HashMap<u64, Process>) -> Connection {
    Connection {
        address: socket.remote.0.to_string(),
        port: socket.remote.1,
        user: user(socket, system),
        process: holders.get(&socket.inode).cloned(),
    }
}
