//! Ports: who listens, who is connected, what the kernel's parameters say.

use super::{Scene, text};
use crate::system::{Result, System};
use crate::wire::Failure;
use crate::wire::survey::{Connection, Listener, Network, Process};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
    let mut all = parse(&text(scene.system, "/proc/net/tcp")?);
    // A host without IPv6 has no such file.
    all.extend(parse(
        &text(scene.system, "/proc/net/tcp6").unwrap_or_default(),
    ));
    let is_asked =
        |s: &Socket| s.state == State::Established && scene.asked.connections.contains(&s.remote.1);
    all.retain(|s| s.state == State::Listening || is_asked(s));
    let inodes = all.iter().map(|s| s.inode).collect();
    let holders = scene.processes.holders(scene.system, inodes);
    let (listening, connected): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|s| s.state == State::Listening);
    let mut listeners: Vec<_> = listening
        .iter()
        .map(|s| s.listener(scene.system, &holders))
        .collect();
    listeners.sort_by(|a, b| (a.port, &a.address).cmp(&(b.port, &b.address)));
    Ok(Sockets {
        listeners,
        connections: connected
            .iter()
            .map(|s| s.connection(scene.system, &holders))
            .collect(),
    })
}

/// A line of `/proc/net/tcp`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Socket {
    local: (IpAddr, u16),
    remote: (IpAddr, u16),
    state: State,
    uid: u32,
    inode: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Established,
    Listening,
    Other,
}

impl Socket {
    /// A name, or the number of a user without one.
    fn user(&self, system: &System) -> String {
        let number = self.uid.to_string();
        let user = system.user(&number).ok().flatten();
        user.map_or(number, |user| user.name)
    }

    fn listener(&self, system: &System, holders: &HashMap<u64, Process>) -> Listener {
        Listener {
            address: self.local.0.to_string(),
            port: self.local.1,
            user: self.user(system),
            process: holders.get(&self.inode).cloned(),
        }
    }

    fn connection(&self, system: &System, holders: &HashMap<u64, Process>) -> Connection {
        Connection {
            address: self.remote.0.to_string(),
            port: self.remote.1,
            user: self.user(system),
            process: holders.get(&self.inode).cloned(),
        }
    }
}

fn parse(text: &str) -> Vec<Socket> {
    text.lines().skip(1).filter_map(socket).collect()
}

fn socket(line: &str) -> Option<Socket> {
    let fields: Vec<_> = line.split_whitespace().collect();
    Some(Socket {
        local: endpoint(fields.get(1)?)?,
        remote: endpoint(fields.get(2)?)?,
        // Source: the kernel's include/net/tcp_states.h
        state: match *fields.get(3)? {
            "01" => State::Established,
            "0A" => State::Listening,
            _ => State::Other,
        },
        uid: fields.get(7)?.parse().ok()?,
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// `0100007F:24E3`
fn endpoint(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    Some((self::address(address)?, u16::from_str_radix(port, 16).ok()?))
}

/// The kernel writes each word of an address as a number in its own byte order.
fn address(hex: &str) -> Option<IpAddr> {
    let words = (0..hex.len()).step_by(8).map(|at| {
        let word = u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    });
    let bytes: Vec<u8> = words.collect::<Option<Vec<_>>>()?.concat();
    if let Ok(four) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen = <[u8; 16]>::try_from(bytes.as_slice()).ok()?;
    // Java listens on `::` and means both: an IPv4 peer shows up as ::ffff:10.0.0.7.
    Some(Ipv6Addr::from(sixteen).to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            \x20  0: 0100007F:24E3 00000000:0000 0A 00000000:00000000 00:00000000 00000000   112        0 1234 1 0 100 0 0 10 0\n\
            \x20  1: 0700000A:D431 0800000A:1628 01 00000000:00000000 00:00000000 00000000   112        0 5678 1 0\n\
            \x20  2: 0700000A:D431 0800000A:1628 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0\n";
        let sockets = parse(text);
        assert_eq!(sockets[0].local, ("127.0.0.1".parse().unwrap(), 9443));
        assert_eq!(
            (sockets[0].state, sockets[0].inode),
            (State::Listening, 1234)
        );
        assert_eq!(sockets[1].remote, ("10.0.0.8".parse().unwrap(), 5672));
        assert_eq!(
            (sockets[1].state, sockets[1].uid),
            (State::Established, 112)
        );
        assert_eq!(sockets[2].state, State::Other);
    }

    #[test]
    fn addresses_of_both_kinds() {
        assert_eq!(
            address("00000000000000000000000000000000"),
            Some("::".parse().unwrap())
        );
        assert_eq!(
            address("0000000000000000FFFF00000800000A"),
            Some("10.0.0.8".parse().unwrap())
        );
        assert_eq!(
            address("000080FE00000000FF005450BE1A00FE"),
            Some("fe80::5054:ff:fe00:1abe".parse().unwrap())
        );
        assert_eq!(address("0100"), None);
    }
}
