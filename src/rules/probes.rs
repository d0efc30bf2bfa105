//! Where balancers and probes look for the integration products.

use super::node::{Component, Node};
use super::site::{Host, Written};
use super::{Finding, Rule, Severity, Site, Stage, events, ports};
use crate::source::Span;

pub const RULES: &[Rule] = &[
    Rule {
        id: "integration-16",
        title: "the balancer of ours and the gates use ports that MI's settings open (those of inbound endpoints are not known)",
        severity: Severity::Warning,
        stage: Stage::Plan,
        why: "ports are base plus offset, 10 unless it is set: 8290 and 8253, not 8280 and 8243",
        fix: "let ports follow [server] offset; accept this rule where an inbound endpoint has a port of its own",
        source: "docs-mi setup/deployment-best-practices/changing-the-default-ports-with-offset.md",
        check: wrong_ports,
    },
    Rule {
        id: "integration-41",
        title: "the balancer finds the active node of SI by the ports of its sources",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "/health and the administration answer on the passive node too, which takes no events in",
        fix: "balance the ports of sources only, with max_fails of 1 or more (HAProxy: with checks), so that a refused connection moves on",
        source: "docs-si setup/deploying-si-as-minimum-ha-cluster.md",
        check: passive_node,
    },
];

/// A server of an upstream of NGINX, or of a backend of HAProxy.
struct Target<'s> {
    balancer: &'s Host,
    line: &'s str,
    host: &'s Host,
    port: u16,
    at: Span,
}

impl Target<'_> {
    fn finds(&self, what: String) -> Finding {
        Finding::on(&self.balancer.name, what).at(&self.at)
    }
}

fn targets(site: &Site) -> Vec<Target<'_>> {
    let written = site.hosts.values().flat_map(|balancer| {
        let is_balancers = |f: &&Written| {
            ["/nginx/", "/haproxy/"]
                .iter()
                .any(|part| f.dest.contains(part))
        };
        let files = balancer.files.iter().filter(is_balancers);
        files.map(move |file| (balancer, file))
    });
    written
        .flat_map(|(balancer, file)| targets_in(site, balancer, file))
        .collect()
}

fn targets_in<'s>(site: &'s Site, balancer: &'s Host, file: &'s Written) -> Vec<Target<'s>> {
    let Some(text) = &file.text else {
        return vec![];
    };
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.text.split_inclusive('\n') {
        let from = start + line.len() - line.trim_start().len();
        start += line.len();
        let line = line.trim();
        let target = line.strip_prefix("server ").and_then(|rest| {
            // HAProxy's servers have a name first.
            let mut words = rest.split([' ', ';']);
            match file.dest.contains("/haproxy/") {
                true => words.nth(1),
                false => words.next(),
            }
        });
        let Some((address, port)) = target.and_then(|t| t.rsplit_once(':')) else {
            continue;
        };
        let host = site
            .hosts
            .values()
            .find(|h| h.address == address || h.name == address);
        if let (Some(host), Ok(port)) = (host, port.parse()) {
            let at = Span::new(text, from..from + line.len());
            found.push(Target {
                balancer,
                line,
                host,
                port,
                at,
            });
        }
    }
    found
}

fn nodes_of<'s>(site: &'s Site, host: &Host) -> Vec<&'s Node> {
    site.nodes.iter().filter(|n| n.host == host.name).collect()
}

fn listens(node: &Node, port: u16) -> bool {
    ports::of(node).iter().any(|p| p.number == port)
}

/// Ports of management that the balancer hands out.
pub fn managed(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for target in targets(site) {
        let nodes = nodes_of(site, target.host);
        let ports = nodes
            .into_iter()
            .filter(|n| n.component == Component::Mi)
            .flat_map(ports::of);
        let inner = ports.filter(|p| ["management", "probes"].contains(&p.what));
        let open: Vec<_> = inner.filter(|p| p.number == target.port).collect();
        found.extend(open.iter().map(|port| {
            let host = &target.host.name;
            target.finds(format!(
                "port {} of {host} ({}) is offered to everybody",
                port.number, port.what
            ))
        }));
    }
    found
}

fn wrong_ports(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for target in targets(site) {
        let nodes = nodes_of(site, target.host);
        // What Siddhi apps open stands in no settings.
        let is_mi = |n: &&Node| n.component == Component::Mi;
        if nodes.iter().any(is_mi)
            && !nodes.iter().any(|n| n.component == Component::Si)
            && !nodes.iter().any(|n| listens(n, target.port))
        {
            let what = format!("{} has nothing on port {}", target.host.name, target.port);
            found.push(target.finds(what));
        }
    }
    for node in site.mi().filter(|n| n.settings.is_ok()) {
        for port in probed(site, node)
            .into_iter()
            .filter(|port| !listens(node, *port))
        {
            found.push(node.finds(format!(
                "{} is probed at port {port} and does not listen there",
                node.service
            )));
        }
    }
    found
}

/// The ports at which the run waits for a node.
fn probed(site: &Site, node: &Node) -> Vec<u16> {
    let calls = site
        .hosts
        .get(&node.host)
        .into_iter()
        .flat_map(|host| host.calls("gate"));
    let own = calls.filter(|call| call["service"].as_str() == Some(&node.service));
    own.flat_map(|call| {
        let entries = |key: &str| call[key].as_array().into_iter().flatten();
        let ports = entries("ports").filter_map(|p| u16::try_from(p.as_u64()?).ok());
        let urls = entries("http").filter_map(|probe| port_of(probe["url"].as_str()?));
        ports.chain(urls).collect::<Vec<_>>()
    })
    .collect()
}

fn port_of(url: &str) -> Option<u16> {
    let (scheme, rest) = url.split_once("://")?;
    let address = rest.split('/').next()?;
    Some(events::address_of(&format!("{scheme}://{address}"))?.1)
}

/// Open on both nodes of SI.
const OF_BOTH: [&str; 2] = ["administration", "events from the other node"];

fn passive_node(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for target in targets(site) {
        for node in nodes_of(site, target.host)
            .into_iter()
            .filter(|n| n.component == Component::Si)
        {
            let ports = ports::of(node);
            let open = ports
                .iter()
                .find(|p| p.number == target.port && OF_BOTH.contains(&p.what));
            if let Some(port) = open {
                let what = format!(
                    "port {} of {} ({}) answers on the passive node too",
                    port.number, node.host, port.what
                );
                found.push(target.finds(what));
            } else if ["max_fails=0", "no-check"]
                .iter()
                .any(|word| target.line.contains(word))
            {
                found.push(target.finds(format!(
                    "{} keeps getting connections while it is passive",
                    node.host
                )));
            }
        }
    }
    found
}
