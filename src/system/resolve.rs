//! Names to addresses, and knocking at ports, without `getaddrinfo`: a static binary must not load
//! the host's name service libraries. `/etc/hosts` is read here, anything else is asked of `getent`.
//!
//! A rehearsal answers `connect HOST:PORT` from its table: exit code 0 is an open port, and stdout is
//! what the server says first.

use super::{Command, Result, System, together};
use std::collections::HashSet;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The addresses of a host, best first. An address is its own.
pub fn addresses(host: &str) -> std::io::Result<Vec<IpAddr>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse() {
        return Ok(vec![address]);
    }
    let listed = in_hosts_file(
        &std::fs::read_to_string("/etc/hosts").unwrap_or_default(),
        bare,
    );
    if !listed.is_empty() {
        return Ok(listed);
    }
    let output = std::process::Command::new("getent")
        .args(["ahosts", bare])
        .stdin(Stdio::null())
        .output()?;
    match by_getent(&String::from_utf8_lossy(&output.stdout)) {
        found if found.is_empty() => Err(std::io::Error::new(
            std::io::ErrorKind::NotFound,
            format!("this host knows no address of `{bare}`"),
        )),
        found => Ok(found),
    }
}

fn in_hosts_file(text: &str, host: &str) -> Vec<IpAddr> {
    let mut known = HashSet::new();
    let mut found: Vec<_> = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .filter_map(|line| line.split_once(char::is_whitespace))
        .filter(|(_, names)| {
            names
                .split_whitespace()
                .any(|n| n.eq_ignore_ascii_case(host))
        })
        .filter_map(|(address, _)| address.parse::<IpAddr>().ok())
        // Whoever writes the file may do so twice.
        .filter(|address| known.insert(*address))
        .collect();
    // The last one tried words the failure, and a host without IPv6 would word it badly.
    found.sort_by_key(IpAddr::is_ipv4);
    found
}

/// `getent ahosts` says each address once per kind of socket.
fn by_getent(text: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for address in text.lines().filter_map(|l| l.split_whitespace().next()) {
        match address.parse() {
            Ok(address) if !found.contains(&address) => found.push(address),
            _ => {}
        }
    }
    found
}

impl System {
    /// The addresses of each of these names, asked at the same time; `None` where no answer came in time.
    pub fn addresses_of(&self, names: &[String], within: Duration) -> Vec<Option<Vec<IpAddr>>> {
        if self.is_rehearsal() {
            let ask = |name: &String| self.run(&Command::new(["getent", "ahosts", name]));
            return names
                .iter()
                .map(|name| ask(name).ok().map(|output| by_getent(&output.stdout)))
                .collect();
        }
        // To have no address is an answer.
        together::all(names.to_vec(), within, |name| {
            addresses(&name).unwrap_or_default()
        })
    }

    /// Whether something accepts connections there. A name without an address is a closed port:
    /// it may be published while we wait.
    pub fn is_open(&self, host: &str, port: u16, timeout: Duration) -> Result<bool> {
        if self.is_rehearsal() {
            return Ok(self.run(&rehearsed(host, port))?.ok());
        }
        Ok(connect(host, port, timeout).is_ok())
    }

    /// What a server says of its own accord within `patience`; `None` when the port is closed.
    pub fn hear(&self, host: &str, port: u16, patience: Duration) -> Result<Option<Vec<u8>>> {
        if self.is_rehearsal() {
            let output = self.run(&rehearsed(host, port))?;
            return Ok(output.ok().then(|| output.stdout.into_bytes()));
        }
        Ok(connect(host, port, patience)
            .ok()
            .map(|stream| listen(stream, patience)))
    }
}

pub(super) fn rehearsed(host: &str, port: u16) -> Command {
    Command::new(["connect".to_owned(), format!("{host}:{port}")])
}

pub(super) fn connect(host: &str, port: u16, timeout: Duration) -> std::io::Result<TcpStream> {
    let mut last = None;
    for address in addresses(host)? {
        match TcpStream::connect_timeout(&SocketAddr::new(address, port), timeout) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = Some(e),
        }
    }
    Err(last.unwrap_or_else(|| std::io::ErrorKind::AddrNotAvailable.into()))
}

/// Greetings are short; this bounds a server that never stops talking.
const GREETING: usize = 64 << 10;

pub(super) fn listen(mut stream: TcpStream, patience: Duration) -> Vec<u8> {
    let deadline = Instant::now() + patience;
    let mut heard = Vec::new();
    let mut piece = [0; 4096];
    while heard.len() < GREETING {
        let left = deadline.saturating_duration_since(Instant::now());
        // A read timeout of zero is refused by the standard library.
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            break;
        }
        match stream.read(&mut piece) {
            Ok(n) if n > 0 => heard.extend_from_slice(&piece[..n]),
            _ => break,
        }
    }
    heard
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_file_is_read_as_libc_reads_it() {
        let text = "127.0.0.1 localhost\n10.0.0.7\tdb1.example db1 # the database\n# 10.0.0.8 db1\n::1 localhost\n10.0.0.7 db1\n";
        assert_eq!(
            in_hosts_file(text, "DB1"),
            ["10.0.0.7".parse::<IpAddr>().unwrap()]
        );
        assert_eq!(in_hosts_file(text, "localhost").len(), 2);
        assert!(in_hosts_file(text, "database").is_empty());
    }

    #[test]
    fn getent_repeats_itself() {
        let text = "10.0.0.7 STREAM db1\n10.0.0.7 DGRAM\n10.0.0.7 RAW\nfe80::1%eth0 STREAM\n";
        assert_eq!(by_getent(text).len(), 1);
    }
}
