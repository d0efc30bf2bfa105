//! The kernel's table of TCP sockets: who listens, who is connected to whom.

use crate::system::{Result, System};
use crate::wire::Failure;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// A line of `/proc/net/tcp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    pub local: (IpAddr, u16),
    pub remote: (IpAddr, u16),
    pub state: State,
    pub uid: u32,
    pub inode: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Established,
    /// Asked for, and not answered yet.
    Opening,
    Listening,
    Other,
}

/// Those of both kinds; a host without IPv6 has one kind only.
pub fn all(system: &System) -> Result<Vec<Socket>> {
    let four = table(system, "/proc/net/tcp")?;
    let four = four.ok_or_else(|| Failure::new("there is no /proc/net/tcp"))?;
    let six = table(system, "/proc/net/tcp6").ok().flatten();
    Ok(parse(&(four + &six.unwrap_or_default())))
}

/// How many connections to these ports of a host are open from here, or about to be.
pub fn connected(system: &System, host: IpAddr, ports: &[u16]) -> Result<usize> {
    let sockets = all(system)?;
    let open = sockets.iter().filter(|s| {
        matches!(s.state, State::Established | State::Opening)
            && s.remote.0 == host
            && ports.contains(&s.remote.1)
    });
    Ok(open.count())
}

fn table(system: &System, path: &str) -> Result<Option<String>> {
    let bytes = system.read(Path::new(path))?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// A line that is none, such as a table's head, is left out.
fn parse(text: &str) -> Vec<Socket> {
    text.lines().filter_map(socket).collect()
}

fn socket(line: &str) -> Option<Socket> {
    let fields: Vec<_> = line.split_whitespace().collect();
    Some(Socket {
        local: endpoint(fields.get(1)?)?,
        remote: endpoint(fields.get(2)?)?,
        // Source: the kernel's include/net/tcp_states.h
        state: match *fields.get(3)? {
            "01" => State::Established,
            "02" => State::Opening,
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
