//! How events travel between the nodes of API-M: throttling, deployments, revocations.

use super::node::{Component, Node, Setting};
use super::{Finding, Rule, Severity, Site, Stage, ports};

pub const RULES: &[Rule] = &[
    Rule {
        id: "apim-01",
        title: "every node that receives events is in the list of groups",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "a node that is left out never hears of a deployed API",
        fix: "write one group for each node, itself included",
        source: "wso2/api-manager#3389; docs-apim setup/single-node/configuring-an-active-active-deployment",
        check: groups,
    },
    Rule {
        id: "apim-05",
        title: "events go to nodes, never to a load balancer",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "a balancer gives each connection to one node, and the others lose those events",
        fix: "name the address of each node",
        source: "docs-apim install-and-setup/setup/distributed-deployment/deploying-wso2-api-m-in-a-distributed-setup",
        check: through_the_balancer,
    },
];

/// The lists of groups, and the keys of their URLs: the two families are not the same.
const GROUPS: [(&str, &str, &str); 2] = [
    (
        "apim.throttling.url_group",
        "traffic_manager_urls",
        "traffic_manager_auth_urls",
    ),
    ("apim.event_hub.publish.url_group", "urls", "auth_urls"),
];

/// Lists of URLs of brokers.
const BROKERS: [&str; 4] = [
    "apim.throttling.throttle_decision_endpoints",
    "apim.throttling.event_duplicate_url",
    "apim.event_hub.event_listening_endpoints",
    "apim.event_hub.event_duplicate_url",
];

/// Every URL by which a node sends or gets events.
fn urls(node: &Node) -> Vec<Setting<'_>> {
    let groups = GROUPS.iter().flat_map(|(list, urls, logins)| {
        node.list(list).into_iter().flat_map(move |group| {
            [urls, logins]
                .into_iter()
                .filter_map(move |key| group.get(key))
        })
    });
    let brokers = BROKERS.iter().filter_map(|list| node.get(list));
    groups.chain(brokers).flat_map(Setting::list).collect()
}

/// `tcp://10.0.1.11:9611` is 10.0.1.11 and 9611.
pub fn address_of(url: &str) -> Option<(&str, u16)> {
    let (_, rest) = url.split_once("://")?;
    let (host, port) = rest.rsplit_once(':')?;
    Some((host, port.trim_end_matches('/').parse().ok()?))
}

/// Who must be in a list of groups. Calls are counted by the traffic managers, where those are hosts of their own.
fn receivers<'s>(site: &'s Site, list: &str) -> Vec<&'s Node> {
    let managers: Vec<&Node> = site.of(Component::TrafficManager).collect();
    match list.starts_with("apim.throttling.") && !managers.is_empty() {
        true => managers,
        false => site.event_hubs().collect(),
    }
}

fn groups(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in site.apim() {
        for (list, key, _) in GROUPS {
            let Some(written) = node.get(list) else {
                continue;
            };
            let named: Vec<(&str, u16)> = node
                .list(list)
                .into_iter()
                .filter_map(|group| group.get(key))
                .flat_map(Setting::texts)
                .filter_map(address_of)
                .collect();
            for hub in receivers(site, list) {
                let address = site.address(&hub.host);
                let port = u16::try_from(9611 + ports::offset(hub)).unwrap_or_default();
                let wanted = [(address, port), (hub.host.as_str(), port)];
                let times = named.iter().filter(|n| wanted.contains(n)).count();
                if times != 1 {
                    let times = match times {
                        0 => "is missing".to_owned(),
                        times => format!("stands {times} times"),
                    };
                    found.push(
                        written.finds(format!("{address}:{port} ({}) {times} in {list}", hub.host)),
                    );
                }
            }
        }
    }
    found
}

fn through_the_balancer(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in site.apim() {
        for url in urls(node) {
            let Some((host, _)) = url.text().and_then(address_of) else {
                continue;
            };
            if balancers(site).any(|name| name == host) {
                found.push(url.finds(format!("events go through the load balancer, {host}")));
            }
        }
    }
    found
}

/// Names and addresses that stand for several nodes.
fn balancers(site: &Site) -> impl Iterator<Item = &str> {
    site.hosts.values().flat_map(|host| {
        let names = ["load_balancer_address", "apim_hostname", "api_hostname"];
        let named = names
            .into_iter()
            .filter_map(|name| host.variable(name)?.as_str());
        let is_balancer = host.groups.iter().any(|g| g == "load_balancer");
        let own = [host.name.as_str(), host.address.as_str()];
        named.chain(own.into_iter().filter(move |_| is_balancer))
    })
}
