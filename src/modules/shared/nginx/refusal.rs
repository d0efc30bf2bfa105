//! The endpoints to which this host's kernel opens no new connections: a table of our own in nftables, and the file from
//! which it is made again when NGINX is started after the host was.
//!
//! The table is made as a whole, from what the kernel refuses at that moment: nobody is refused for what a record of an earlier
//! time says. Open connections go on.
//! Source: nftables manual nft(8): `-f` is one transaction; `reject with tcp reset`.

use crate::system::{Command, Result, System, ourselves};
use crate::wire::Failure;
use serde_json::Value;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

/// In the folder of our state; roles/load_balancer has NGINX's unit read it.
const FILE: &str = "refused.nft";
const TABLE: &str = "apim_deploy";

/// Where a node listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    pub node: IpAddr,
    pub port: u16,
}

/// Refuses these too, now and when NGINX is started after the host was; when it failed all is as it was.
pub fn refuse(system: &System, endpoints: &[Endpoint]) -> Result<()> {
    let refused = in_kernel(system)?;
    let all = refused.iter().chain(endpoints).copied().collect();
    make(system, &refused, all)
}

/// Of those that are refused lets all in but these; when it failed all is as it was.
pub fn refuse_only(system: &System, is_out: impl Fn(&Endpoint) -> bool) -> Result<()> {
    let refused = in_kernel(system)?;
    let left = refused.iter().copied().filter(is_out).collect();
    make(system, &refused, left)
}

/// The kernel first: a file alone proves nothing, see [`of`].
fn make(system: &System, before: &[Endpoint], mut wanted: Vec<Endpoint>) -> Result<()> {
    wanted.sort_unstable();
    wanted.dedup();
    let is_same = before.len() == wanted.len() && before.iter().all(|e| wanted.contains(e));
    if !is_same {
        tell(system, &wanted)?;
    }
    let kept = match wanted.is_empty() {
        true => system.remove(&path(system)),
        false => write(system, &script(&wanted)),
    };
    kept.map_err(|failure| match tell(system, before) {
        Ok(()) => failure,
        Err(e) => failure.detail([format!("the kernel's rules could not be restored: {e}")]),
    })
}

fn tell(system: &System, endpoints: &[Endpoint]) -> Result<()> {
    let nft = Command::new(["nft", "-f", "-"]).input(script(endpoints));
    system.expect(&nft).map(drop).map_err(needs_nft)
}

fn needs_nft(failure: Failure) -> Failure {
    failure.help(
        "nodes are taken out of NGINX by nftables: the package nftables and a kernel with nf_tables must be there",
    )
}

/// Which of some endpoints are refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    Nobody,
    /// Not all of them, or not when NGINX is started after the host was. One of them.
    Part(Endpoint),
    /// All, now and when NGINX is started after the host was.
    Whole,
}

pub fn of(system: &System, endpoints: &[Endpoint]) -> Result<Refusal> {
    // Nothing was taken out, perhaps on a host that was never told how.
    let Some(file) = file(system)? else {
        return Ok(Refusal::Nobody);
    };
    let is_written = |endpoint: &Endpoint| file.lines().any(|line| line == element(*endpoint));
    if !endpoints.iter().any(is_written) {
        return Ok(Refusal::Nobody);
    }
    let known = in_kernel(system)?;
    let mut refused = endpoints.iter().filter(|endpoint| known.contains(endpoint));
    Ok(match refused.next() {
        None => Refusal::Nobody,
        Some(_) if endpoints.iter().all(|e| is_written(e) && known.contains(e)) => Refusal::Whole,
        Some(one) => Refusal::Part(*one),
    })
}

fn in_kernel(system: &System) -> Result<Vec<Endpoint>> {
    // In English, whatever the host's language is.
    let list = Command::new(["nft", "-j", "list", "table", "inet", TABLE]).env("LC_ALL", "C");
    let listed = system.run(&list).map_err(needs_nft)?;
    // Somebody emptied the kernel's rules, or the host was started anew.
    if !listed.ok() && listed.stderr.contains("No such file or directory") {
        return Ok(vec![]);
    }
    let unread = || {
        Failure::new(format!(
            "`nft -j list table inet {TABLE}` does not tell who is refused"
        ))
        .detail(crate::system::tail(&listed.stderr, 5))
    };
    if !listed.ok() {
        return Err(unread());
    }
    parse(&listed.stdout).ok_or_else(unread)
}

/// `{"nftables": [{"set": {"elem": [{"concat": ["10.0.0.1", 8243]}]}}]}`; a set without elements has no `elem`.
/// Source: libnftables-json(5).
fn parse(json: &str) -> Option<Vec<Endpoint>> {
    let listed: Value = serde_json::from_str(json).ok()?;
    let objects = listed.get("nftables")?.as_array()?.iter();
    let elements = objects.filter_map(|object| object.get("set")?.get("elem")?.as_array());
    elements.flatten().map(endpoint).collect()
}

fn endpoint(element: &Value) -> Option<Endpoint> {
    let parts = element.get("concat")?;
    Some(Endpoint {
        node: parts.get(0)?.as_str()?.parse().ok()?,
        port: u16::try_from(parts.get(1)?.as_u64()?).ok()?,
    })
}

fn path(system: &System) -> PathBuf {
    system.state().join(FILE)
}

fn file(system: &System) -> Result<Option<String>> {
    let bytes = system.read(&path(system))?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn write(system: &System, text: &str) -> Result<()> {
    system.make_dir(system.state())?;
    let path = path(system);
    system.write(&path, &mut text.as_bytes(), Some(0o644), Some(ourselves()))
}

/// Removes the table, which need not be there, and makes it anew when somebody is refused.
fn script(endpoints: &[Endpoint]) -> String {
    let mut text = format!(
        "# Written by apim-deploy: nodes that are out of NGINX's rotation; this host opens no new connections to them.\n\
         table inet {TABLE}\ndelete table inet {TABLE}\n"
    );
    if endpoints.is_empty() {
        return text;
    }
    let (four, six): (Vec<_>, Vec<_>) = endpoints.iter().partition(|e| e.node.is_ipv4());
    let _ = writeln!(text, "table inet {TABLE} {{");
    for (set, kind, endpoints) in [("out_4", "ipv4_addr", four), ("out_6", "ipv6_addr", six)] {
        let _ = write!(text, "set {set} {{\ntype {kind} . inet_service\n");
        if !endpoints.is_empty() {
            let lines: String = endpoints.iter().map(|e| element(*e) + "\n").collect();
            let _ = write!(text, "elements = {{\n{lines}}}\n");
        }
        text.push_str("}\n");
    }
    text.push_str("chain output {\ntype filter hook output priority filter; policy accept;\n");
    for (words, set) in [("ip daddr", "out_4"), ("ip6 daddr", "out_6")] {
        let _ = writeln!(
            text,
            "tcp flags & (fin | syn | rst | ack) == syn {words} . tcp dport @{set} counter reject with tcp reset"
        );
    }
    text.push_str("}\n}\n");
    text
}

/// A line of the script.
fn element(endpoint: Endpoint) -> String {
    format!("{} . {},", endpoint.node, endpoint.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(node: &str, port: u16) -> Endpoint {
        Endpoint {
            node: node.parse().unwrap(),
            port,
        }
    }

    #[test]
    fn the_kernels_answer_is_read() {
        let said = r#"{"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
            {"table": {"family": "inet", "name": "apim_deploy", "handle": 5}},
            {"set": {"name": "out_4", "type": ["ipv4_addr", "inet_service"], "handle": 2,
                     "elem": [{"concat": ["10.0.0.1", 8243]}, {"concat": ["10.0.0.1", 9443]}]}},
            {"set": {"name": "out_6", "type": ["ipv6_addr", "inet_service"], "handle": 3}},
            {"chain": {"name": "output", "hook": "output", "prio": 0}}]}"#;
        assert_eq!(
            parse(said),
            Some(vec![at("10.0.0.1", 8243), at("10.0.0.1", 9443)])
        );
        assert_eq!(parse("{}"), None);
        assert_eq!(parse(&said.replace("8243", "\"x\"")), None);
    }

    #[test]
    fn nobody_refused_is_no_table() {
        let text = script(&[]);
        assert!(text.ends_with("table inet apim_deploy\ndelete table inet apim_deploy\n"));
        let text = script(&[at("10.0.0.1", 8243), at("fe80::1", 9443)]);
        assert!(
            text.contains("elements = {\n10.0.0.1 . 8243,\n}\n"),
            "{text}"
        );
        assert!(
            text.contains("elements = {\nfe80::1 . 9443,\n}\n"),
            "{text}"
        );
    }
}
