//! How integration nodes announce their services in API-M's catalog.

use super::node::{Component, Hidden, Node, Setting};
use super::{Finding, Rule, Severity, Site, Stage};
use serde_json::Value;

pub const RULES: &[Rule] = &[
    Rule {
        id: "integration-25",
        title: "the user of the service catalog is of the cluster's tenant, and API-M lets it read (writing is not tried)",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "an entry belongs to the tenant of whoever wrote it: others would see it, and the tenant would not",
        fix: "name a user of the tenant, user@tenant.example, with the role Internal/creator",
        source: "wso2/carbon-apimgt, BasicAuthenticationInterceptor and ServicesApiServiceImpl",
        check: tenants,
    },
    Rule {
        id: "integration-26",
        title: "MI announces the address of its cluster, the same on all nodes",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "the URL of the entry is that of the node which started last, or one that nobody reaches",
        fix: "set MI_HOST and MI_PORT, or MI_URL, to the address of the balancer",
        source: "wso2/product-integrator-mi v4.4.0, initializer, serviceCatalog",
        check: addresses,
    },
    Rule {
        id: "integration-27",
        title: "there is one [[service_catalog]]",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "MI reads the first and ignores the others",
        fix: "leave one",
        source: "wso2/product-integrator-mi v4.4.0, initializer, ServiceCatalogUtils",
        check: |site| {
            let further = site
                .mi()
                .filter_map(|n| n.list("service_catalog").into_iter().nth(1));
            further
                .map(|second| {
                    second.finds("there is a second [[service_catalog]], which MI ignores")
                })
                .collect()
        },
    },
];

/// Where a node announces its services, if it does.
fn catalog(node: &Node) -> Option<Setting<'_>> {
    let (table, key) = match node.component {
        Component::Mi => (node.list("service_catalog").into_iter().next()?, "enable"),
        Component::Si => (node.get("service.catalog.configs")?, "enabled"),
        _ => return None,
    };
    table.get(key)?.bool()?.then_some(table)
}

/// Of users and clusters that are no tenant's.
const SUPER: &str = "carbon.super";

/// What the catalog said to the node's own login. It may read with roles that may not write: Internal/publisher.
fn refused(site: &Site) -> Vec<Finding> {
    let is_up = site
        .surveyed()
        .any(|(node, i)| node.component.is_apim() && i.jvm.is_some());
    let mut found = Vec::new();
    for (node, instance) in site.surveyed() {
        let Some(asked) = instance.http.iter().find(|h| h.name == QUESTION) else {
            continue;
        };
        match Finding::seen(&node.host, &asked.answer) {
            // Before the first run nobody answers.
            Err(unseen) => found.extend(is_up.then_some(unseen)),
            Ok(answer) if [401, 403].contains(&answer.status) => {
                let what = format!(
                    "the service catalog refuses the user of {} ({})",
                    node.service, answer.status
                );
                found.push(node.finds(what));
            }
            Ok(_) => {}
        }
    }
    found
}

/// By this name the survey asks the catalog.
pub const QUESTION: &str = "catalog";

/// Where a node announces its services, with the user and the password that it does so by: those are asked from there too.
pub fn login(node: &Node) -> Option<(Hidden, Hidden)> {
    let table = catalog(node)?;
    let value = |key: &str| table.get(key)?.resolved();
    Some((value("username")?, value("password")?))
}

fn tenants(site: &Site) -> Vec<Finding> {
    let mut found = site.unanswered(|node| catalog(node).is_some());
    found.extend(refused(site));
    for node in &site.nodes {
        let Some(user) = catalog(node).and_then(|table| table.get("username")) else {
            continue;
        };
        let of_user = user
            .text()
            .and_then(|name| name.rsplit_once('@'))
            .map_or(SUPER, |(_, tenant)| tenant);
        let host = site.hosts.get(&node.host);
        let tenant = host
            .and_then(|h| h.variable("tenant_domain"))
            .and_then(Value::as_str);
        let of_node = tenant.filter(|t| !t.is_empty()).unwrap_or(SUPER);
        if of_user != of_node {
            let what = format!(
                "services of `{}`, which is for {of_node}, are announced in {of_user}",
                node.cluster
            );
            found.push(user.finds(what));
        }
    }
    found
}

const ADDRESS: [&str; 3] = ["MI_HOST", "MI_PORT", "MI_URL"];

fn addresses(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for nodes in site.clusters() {
        let announcing = nodes
            .into_iter()
            .filter(|n| n.component == Component::Mi && catalog(n).is_some());
        let announcing: Vec<&Node> = announcing.collect();
        found.extend(announcing.iter().filter_map(|n| unreachable_address(n)));
        let Some(first) = announcing.first() else {
            continue;
        };
        for name in ADDRESS {
            let value = |n: &Node| n.environment.get(name).cloned();
            if let Some(other) = announcing.iter().find(|n| value(n) != value(first)) {
                let what = format!(
                    "{name} is not the same on {} and {}",
                    first.host, other.host
                );
                found.push(Finding::among([first.host.as_str(), &other.host], what));
            }
        }
    }
    found
}

fn unreachable_address(node: &Node) -> Option<Finding> {
    let value = |name: &str| {
        node.environment
            .get(name)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    };
    let Some(address) = value("MI_URL").or(value("MI_HOST")) else {
        return Some(node.finds("neither MI_URL nor MI_HOST says where the services are"));
    };
    let host = address.split_once("://").map_or(address, |(_, rest)| rest);
    is_own(host).then(|| node.finds("services are announced at an address of the node itself"))
}

/// Whether an address leads nowhere but to whoever uses it; a port or a path may follow.
pub fn is_own(address: &str) -> bool {
    let host = address.split(['/', ':']).next().unwrap_or_default();
    matches!(host, "localhost" | "0.0.0.0")
        || host.starts_with("127.")
        || address.starts_with("::1")
}
