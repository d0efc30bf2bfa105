//! What the nodes of a cluster must have in common, and what only one of them may have.

use super::node::{Component, Node, Setting};
use super::{Finding, Rule, Severity, Site, Stage};
use indexmap::IndexMap;

pub const RULES: &[Rule] = &[
    Rule {
        id: "apim-47",
        title: "each gateway has a gateway_id of its own",
        severity: Severity::Warning,
        stage: Stage::Plan,
        why: "the publisher shows two gateways as one, and where an API is deployed cannot be told",
        fix: "make apim.gateway_notification.gateway_id the host's name",
        source: "wso2/product-apim v4.6.0, gateway/.../conf/default.json",
        check: gateway_ids,
    },
    Rule {
        id: "integration-05",
        title: "each node of MI and SI has an id of its own, also across clusters",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "a cluster takes the second node for the first: it cannot join, or both lose what they hold",
        fix: "make the id the host's name",
        source: "docs-mi setup/deployment/deploying-wso2-mi.md; docs-si setup/deploying-si-as-minimum-ha-cluster.md",
        check: node_ids,
    },
];

/// Whether those of the nodes that have a value have different ones.
pub fn disagree<T: PartialEq>(nodes: &[&Node], value: impl Fn(&Node) -> Option<T>) -> bool {
    let mut values = nodes.iter().filter_map(|node| value(node));
    let first = values.next();
    values.any(|value| Some(&value) != first.as_ref())
}

fn gateway_ids(site: &Site) -> Vec<Finding> {
    let ids = site.of(Component::Gateway).filter_map(|node| {
        let id = node.get("apim.gateway_notification.gateway_id")?;
        Some((id.text()?.to_owned(), node, id.span()))
    });
    twice(ids, "gateway_id")
}

fn node_ids(site: &Site) -> Vec<Finding> {
    let ids = site.nodes.iter().filter_map(|node| {
        let span = match written_id(node) {
            Some(written) => written.span(),
            None => &node.settings.as_ref().ok()?.span,
        };
        Some((node_id(node)?.to_owned(), node, span))
    });
    twice(ids, "node id")
}

/// By which the others of its cluster know a node of MI or SI.
pub fn node_id(node: &Node) -> Option<&str> {
    let stronger = match node.component {
        Component::Mi => node.property("nodeId"),
        _ => None,
    };
    stronger.or_else(|| written_id(node)?.text())
}

fn written_id(node: &Node) -> Option<Setting<'_>> {
    match node.component {
        Component::Mi => node.get("cluster_config.node_id"),
        Component::Si => node.get("wso2.carbon.id"),
        _ => None,
    }
}

fn twice<'s>(
    ids: impl Iterator<Item = (String, &'s Node, &'s crate::source::Span)>,
    what: &str,
) -> Vec<Finding> {
    let mut holders: IndexMap<String, Vec<(&Node, &crate::source::Span)>> = IndexMap::new();
    for (id, node, span) in ids {
        holders.entry(id).or_default().push((node, span));
    }
    holders
        .into_iter()
        .filter(|(_, who)| who.len() > 1)
        .map(|(id, who)| {
            let hosts = who.iter().map(|(node, _)| node.host.as_str());
            Finding::among(
                hosts,
                format!("the {what} `{id}` stands on {} nodes", who.len()),
            )
            .at(who[1].1)
        })
        .collect()
}
