//! What may be the address of a host: an IP address, or a name that a resolver may know.

use std::net::{IpAddr, Ipv6Addr};

/// What a name and each part of it may have at most. Source: RFC 1035, 2.3.4.
const NAME: usize = 253;
const LABEL: usize = 63;

/// What is wrong with an address, and how to mend it.
pub fn fault(address: &str) -> Option<(&'static str, String)> {
    if is_ip(address) {
        return None;
    }
    if address.is_empty() {
        let help =
            "write the address, or leave the variable out: the host's name is the address then";
        return Some(("it is empty", help.to_owned()));
    }
    if let Some((_, rest)) = address.split_once("://") {
        let host = rest.split(['/', ':']).next().unwrap_or(rest);
        return Some(("it is a URL", format!("write `{host}` alone")));
    }
    if let Some((_, host)) = address.split_once('@') {
        let help = format!("write `{host}` alone; the user is the variable `ansible_user`");
        return Some(("it names a user", help));
    }
    if let Some((host, port)) = with_port(address) {
        let help = format!("write `{host}` alone; the variable `ansible_port` is `{port}` then");
        return Some(("it names a port", help));
    }
    name_fault(address).map(|reason| (reason, "write an IP address or the name of a host".into()))
}

/// With the zone that a link-local address needs.
fn is_ip(address: &str) -> bool {
    let zoned = address.split_once('%');
    let is_zoned =
        zoned.is_some_and(|(ip, zone)| ip.parse::<Ipv6Addr>().is_ok() && !zone.is_empty());
    is_zoned || address.parse::<IpAddr>().is_ok()
}

fn with_port(address: &str) -> Option<(&str, &str)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None => host,
    };
    let is_host = is_ip(host) || name_fault(host).is_none();
    (is_host && port.parse::<u16>().is_ok()).then_some((host, port))
}

/// `_` is no letter of RFC 1123, but resolvers and hosts files take it.
fn name_fault(name: &str) -> Option<&'static str> {
    let labels = || name.strip_suffix('.').unwrap_or(name).split('.');
    let is_number = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_digit());
    // No name ends in a number: somebody wrote an IPv4 address.
    if labels().next_back().is_some_and(is_number) {
        return Some("an IPv4 address is four numbers from 0 to 255");
    }
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let is_label = |label: &str| {
        (1..=LABEL).contains(&label.len())
            && label.bytes().all(is_letter)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_name = name.len() <= NAME && labels().all(is_label);
    (!is_name).then_some(
        "a host's name is made of letters, digits and `-`, in parts with dots between them",
    )
}

#[cfg(test)]
mod tests {
    use super::fault;

    #[test]
    fn addresses_and_names_are_taken() {
        for address in [
            "10.0.2.31",
            "::1",
            "fe80::1%eth0",
            "db-1",
            "db_1",
            "db-1.ops.example.com.",
            "3com.example.com",
            "localhost",
        ] {
            assert_eq!(fault(address), None, "{address}");
        }
    }

    #[test]
    fn what_is_neither_is_told_from_what_was_meant() {
        for (address, reason, help) in [
            ("", "empty", "leave the variable out"),
            ("10.0.2.311", "from 0 to 255", "IP address"),
            ("10.0.2", "from 0 to 255", "IP address"),
            ("7", "from 0 to 255", "IP address"),
            ("ssh://10.0.2.31:22/", "a URL", "`10.0.2.31` alone"),
            ("root@db-1", "a user", "`db-1` alone"),
            ("db-1:2222", "a port", "`ansible_port` is `2222`"),
            ("[::1]:22", "a port", "`::1` alone"),
            ("[::1]", "letters", "IP address"),
            ("db 1", "letters", "name of a host"),
            ("db..example.com", "letters", "name of a host"),
            ("-db", "letters", "name of a host"),
        ] {
            let (why, mend) = fault(address).unwrap_or_default();
            assert!(why.contains(reason), "{address}: {why}");
            assert!(mend.contains(help), "{address}: {mend}");
        }
    }
}
