//! Names to addresses, through `getent`: in a static binary getaddrinfo would load the machine's
//! name service libraries, and may crash.

use crate::wire::Failure;
use std::net::IpAddr;
use std::process::Stdio;
use tokio::process::Command;

/// Every address of a name, in the order the system prefers. A numeric address needs nobody.
pub async fn resolve(name: &str) -> Result<Vec<IpAddr>, Failure> {
    if let Ok(address) = name.trim_matches(['[', ']']).parse() {
        return Ok(vec![address]);
    }
    let output = Command::new("getent")
        .args(["ahosts", "--", name])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|e| {
            Failure::new(format!(
                "the name `{name}` cannot be looked up: `getent` cannot be started: {e}"
            ))
            .help("install getent (libc-bin), or give the host's address as `ansible_host`")
        })?;
    let addresses = addresses(&String::from_utf8_lossy(&output.stdout));
    if addresses.is_empty() {
        return Err(Failure::new(format!("nobody knows the name `{name}`"))
            .help("correct `ansible_host`, or add the name to DNS or /etc/hosts; `getent ahosts` must print it"));
    }
    Ok(addresses)
}

/// One line per address and socket type; each address counts once.
fn addresses(ahosts: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in ahosts.lines() {
        let address = line
            .split_whitespace()
            .next()
            .and_then(|word| word.parse().ok());
        if let Some(address) = address.filter(|a| !found.contains(a)) {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_counts_once() {
        let ahosts =
            "::1             STREAM localhost\n::1             DGRAM\n127.0.0.1       STREAM\n";
        let expected: Vec<IpAddr> = vec!["::1".parse().unwrap(), "127.0.0.1".parse().unwrap()];
        assert_eq!(addresses(ahosts), expected);
    }
}
