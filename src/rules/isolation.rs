//! What the balancer tells clusters apart by: names and ports. Two that share both would get each other's requests.

use super::site::Host;
use super::values::{port, said, whole};
use super::{Finding, Rule, Severity, Site, Stage};
use crate::source::Span;
use serde_json::Value;

pub const RULES: &[Rule] = &[
    Rule {
        id: "isolation-01",
        title: "portals, APIs and every cluster of MI have a host name of their own",
        severity: Severity::Error,
        stage: Stage::Input,
        why: "the balancer tells them apart by the name alone: one would get the other's requests, a tenant another tenant's",
        fix: "give each a name of its own; upper and lower case are one",
        source: "roles/load_balancer/templates; nginx.org, server_name: of two equal names one is ignored",
        check: shared_names,
    },
    Rule {
        id: "isolation-02",
        title: "a port of the balancer is one cluster's, or one that clusters share by their names",
        severity: Severity::Error,
        stage: Stage::Input,
        why: "the balancer does not start, or sends one cluster's connections to the other",
        fix: "choose another mi_public_port, or an si_public_offset that leads to a free port",
        source: "roles/load_balancer/templates and vars/main.yaml",
        check: shared_ports,
    },
];

/// A name that the balancer answers to, or a port that it listens on.
struct Door<'s, T> {
    at: T,
    owner: String,
    variable: &'static str,
    host: Option<&'s Host>,
    /// Clusters of MI share a port by their names.
    by_name: bool,
}

impl<T> Door<'_, T> {
    fn place(&self) -> Option<&Span> {
        self.host?.places.get(self.variable)
    }

    /// The owner, with the variable and its place where they are known.
    fn told(&self) -> String {
        match (self.host, self.place()) {
            (Some(_), Some(place)) => {
                format!("{} ({}, {})", self.owner, self.variable, place.place())
            }
            (Some(_), None) => format!("{} ({})", self.owner, self.variable),
            (None, _) => self.owner.clone(),
        }
    }
}

/// `mi_acme` is tenant `acme`'s.
fn owner(product: &str, cluster: &str) -> String {
    match cluster.split_once('_') {
        Some((_, tenant)) => format!("{product} of tenant `{tenant}`"),
        None => format!("{product} of no tenant"),
    }
}

/// The second of each two that meet, with both named.
fn meetings<T: PartialEq>(doors: &[Door<T>], what: impl Fn(&T) -> String) -> Vec<Finding> {
    let mut found = Vec::new();
    for (number, second) in doors.iter().enumerate() {
        let meets = |first: &&Door<T>| first.at == second.at && !(first.by_name && second.by_name);
        let Some(first) = doors[..number].iter().find(meets) else {
            continue;
        };
        let text = format!(
            "{} is of {} and of {}",
            what(&second.at),
            first.told(),
            second.told()
        );
        let hosts = [first.host, second.host].into_iter().flatten();
        let mut finding = Finding::among(hosts.map(|host| host.name.as_str()), text);
        finding.at = second.place().or_else(|| first.place()).cloned();
        found.push(finding);
    }
    found
}

fn shared_names(site: &Site) -> Vec<Finding> {
    let named = |host: Option<&'_ Host>, variable: &'static str, owner: String| {
        let name = host?.text(variable)?.trim().to_lowercase();
        (!name.is_empty()).then_some((name, variable, owner))
    };
    let hub = site.members("apim").next();
    let of_apim = [
        (hub, "apim_hostname", "the portals".to_owned()),
        (hub, "api_hostname", "API calls".to_owned()),
    ];
    let of_mi = site.integration("mi").into_iter().map(|(cluster, hosts)| {
        let owner = owner("Micro Integrator", cluster);
        (hosts.first().copied(), "mi_hostname", owner)
    });
    let doors: Vec<_> = of_apim
        .into_iter()
        .chain(of_mi)
        .filter_map(|(host, variable, owner)| {
            let (at, variable, owner) = named(host, variable, owner)?;
            Some(Door {
                at,
                owner,
                variable,
                host,
                by_name: false,
            })
        })
        .collect();
    meetings(&doors, |name| format!("the name {name}"))
}

/// Of every balancer of ours, whatever else it serves. Source: roles/load_balancer/templates.
const FIXED: [(u16, &str); 7] = [
    (80, "portals and APIs"),
    (443, "portals and APIs over TLS"),
    (9099, "WebSocket APIs"),
    (8099, "WebSocket APIs over TLS"),
    (9021, "WebSub"),
    (8021, "WebSub over TLS"),
    (9443, "the inner door to API Manager"),
];

const MI_HTTP: u16 = 8290;

/// A balancer that is somebody else's listens where its owner wants.
fn shared_ports(site: &Site) -> Vec<Finding> {
    if site.members("load_balancer").next().is_none() {
        return vec![];
    }
    let mut doors: Vec<Door<u16>> = FIXED.iter().map(|(at, what)| fixed(*at, what)).collect();
    for (part, variable) in [
        ("gateway", "lb_gateway_port"),
        ("traffic_manager", "lb_traffic_manager_port"),
    ] {
        let host = site.members(part).next();
        doors.extend(door(
            host,
            variable,
            format!("the management of `{part}`"),
            false,
        ));
    }
    let integrators = site.integration("mi");
    if !integrators.is_empty() {
        doors.push(fixed(MI_HTTP, "Micro Integrator over HTTP"));
    }
    for (cluster, hosts) in integrators {
        let owner = owner("Micro Integrator", cluster);
        doors.extend(door(hosts.first().copied(), "mi_public_port", owner, true));
    }
    for (cluster, hosts) in site.integration("si") {
        doors.extend(sources(cluster, &hosts));
    }
    meetings(&doors, |port| format!("port {port} of the balancer"))
}

fn fixed(at: u16, what: &str) -> Door<'static, u16> {
    Door {
        at,
        owner: what.to_owned(),
        variable: "",
        host: None,
        by_name: false,
    }
}

fn door<'s>(
    host: Option<&'s Host>,
    variable: &'static str,
    owner: String,
    by_name: bool,
) -> Option<Door<'s, u16>> {
    Some(Door {
        at: port(host?.variable(variable)?)?,
        owner,
        variable,
        host,
        by_name,
    })
}

/// Where the balancer listens for a cluster of SI: at its sources, `si_public_offset` further.
fn sources<'s>(cluster: &str, hosts: &[&'s Host]) -> Vec<Door<'s, u16>> {
    let Some(host) = hosts.first().copied() else {
        return vec![];
    };
    let offset = host.variable("si_public_offset").and_then(whole);
    let offset = offset.unwrap_or_default();
    let variable = match host.places.contains_key("si_public_offset") {
        true => "si_public_offset",
        false => "si_source_ports",
    };
    let ports = host.variable("si_source_ports").and_then(Value::as_array);
    let ports = ports.into_iter().flatten().filter_map(whole);
    ports
        .filter_map(|source| {
            Some(Door {
                at: u16::try_from(source.checked_add(offset)?).ok()?,
                owner: owner("Streaming Integrator", cluster),
                variable,
                host: Some(host),
                by_name: false,
            })
        })
        .collect()
}

/// A name of nothing that can be reached.
pub const NAMES: &[Rule] = &[Rule {
    id: "names-01",
    title: "host names are names of hosts",
    severity: Severity::Error,
    stage: Stage::Input,
    why: "no certificate, balancer, resolver or browser takes another one for a host's name",
    fix: "write the bare name: letters, digits and `-` between dots; no scheme, port, path or `_`",
    source: "RFC 1123, section 2.1",
    check: no_names,
}];

fn no_names(site: &Site) -> Vec<Finding> {
    let of_products = ["mi", "si"].into_iter().flat_map(|product| {
        let variable = if product == "mi" {
            "mi_hostname"
        } else {
            "si_hostname"
        };
        let clusters = site.integration(product).into_iter();
        clusters.flat_map(move |(_, hosts)| hosts.into_iter().map(move |host| (host, variable)))
    });
    let of_all = ["apim_hostname", "api_hostname"].into_iter();
    let of_all = of_all.flat_map(|variable| site.staying().map(move |host| (host, variable)));
    let mut found: Vec<Finding> = of_all.chain(of_products).filter_map(no_name).collect();
    for host in site.staying() {
        // Empty leaves it to DNS.
        let is_right = |text: &str| text.is_empty() || is_address(text) || is_name(text);
        let variable = "load_balancer_address";
        if let Some(text) = host.text(variable).filter(|text| !is_right(text)) {
            let what = format!("`{variable}` is `{text}`, neither an address nor a host name");
            found.push(said(host, variable, what));
        }
    }
    found
}

fn no_name((host, variable): (&Host, &str)) -> Option<Finding> {
    let what = match host.variable(variable)? {
        Value::String(text) if is_name(text) => return None,
        Value::String(text) if text.is_empty() => format!("`{variable}` is empty"),
        Value::String(text) => format!("`{variable}` is `{text}`, which is no host name"),
        _ => format!("`{variable}` is no text"),
    };
    Some(said(host, variable, what))
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}

/// As RFC 1123 has it: labels of letters, digits and `-`, none of them at an end.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_legal)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_of_hosts_are_told_from_other_texts() {
        for name in ["apim.example.com", "apim", "APIM-1.Example.com", "3com.com"] {
            assert!(is_name(name), "{name}");
        }
        let long = "a".repeat(64);
        for other in [
            "",
            ".",
            "a..b",
            "a.",
            "-a.b",
            "a-.b",
            "a_b.c",
            "https://a.b",
            "a.b/c",
            "a.b:443",
            "a b",
            "ä.b",
            "*.a.b",
            long.as_str(),
        ] {
            assert!(!is_name(other), "{other}");
        }
    }
}
