//! What MI and SI write about themselves: names, secrets, management.

use super::node::{Component, Node};
use super::{Finding, Rule, Severity, Site, Stage, probes};
use crate::source::Span;

pub const RULES: &[Rule] = &[
    Rule {
        id: "integration-24",
        title: "every alias of a secret is one that the node has",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "the server takes the reference for the password, or stops",
        fix: "add the alias to [secrets] of MI or to conf/server/secrets.properties of SI",
        source: "docs-mi setup/security/encrypting-plain-text.md; docs-si admin/protecting-sensitive-data-via-the-secure-vault.md",
        check: |site| site.nodes.iter().flat_map(unknown_aliases).collect(),
    },
    Rule {
        id: "integration-32",
        title: "the host name of MI is one that others know",
        severity: Severity::Production,
        stage: Stage::Plan,
        why: "it stands in WSDLs and in what is announced: clients would call themselves",
        fix: "set [server] hostname to the name of the cluster (mi_hostname)",
        source: "wso2/product-integrator-mi v4.4.0, distribution/src/conf/deployment.toml",
        check: |site| site.mi().filter_map(nameless).collect(),
    },
    Rule {
        id: "integration-33",
        title: "MI is managed over TLS only, and not through the balancer (a firewall is not judged)",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "as shipped it is on plain HTTP too, at the port of the probes: logins travel unencrypted, or the world may try some",
        fix: "write [management_api] protocols = \"https\", and take its ports out of the balancer",
        source: "docs-mi setup/security/securing-management-api.md",
        check: management,
    },
];

fn unknown_aliases(node: &Node) -> Vec<Finding> {
    let Ok(settings) = &node.settings else {
        return vec![];
    };
    let (mark, vault) = match node.component {
        Component::Mi => ("$secret{", "[secrets]"),
        Component::Si => ("${sec:", "secrets.properties"),
        _ => return vec![],
    };
    let file = &settings.span.file;
    let mut found = Vec::new();
    for (at, _) in file.text.match_indices(mark) {
        let line = file.text[..at].rsplit('\n').next().unwrap_or_default();
        let Some((alias, _)) = file.text[at + mark.len()..].split_once('}') else {
            continue;
        };
        if !line.trim_start().starts_with('#') && !has_alias(node, alias) {
            let here = Span::new(file, at..at + mark.len() + alias.len() + 1);
            found.push(node.finds(format!("{vault} has no `{alias}`")).at(&here));
        }
    }
    found
}

fn has_alias(node: &Node, alias: &str) -> bool {
    if node.component == Component::Mi {
        return node.get(&format!("secrets.{alias}")).is_some();
    }
    let written = node
        .file("/conf/server/secrets.properties")
        .and_then(|f| f.text.as_ref());
    let mut lines = written.iter().flat_map(|file| file.text.lines());
    lines.any(|line| line.split('=').next().map(str::trim) == Some(alias))
}

fn nameless(node: &Node) -> Option<Finding> {
    let told = "MI calls itself localhost";
    match node.get("server.hostname") {
        Some(name) => name
            .text()
            .is_some_and(super::catalog::is_own)
            .then(|| name.finds(told)),
        None => node.settings.is_ok().then(|| node.finds(told)),
    }
}

fn management(site: &Site) -> Vec<Finding> {
    let mut found = site.unanswered(|node| node.component == Component::Mi);
    found.extend(site.mi().filter_map(plain_management));
    found.extend(probes::managed(site));
    for (node, instance) in site.surveyed() {
        let asked = instance.http.iter().find(|h| h.name == "plain management");
        // Closed, the probes' port knows no such path.
        let answer = asked.and_then(|asked| asked.answer.known());
        let is_open = answer.is_some_and(|answer| [200, 401].contains(&answer.status));
        if is_open {
            found.push(node.finds(format!(
                "the management API of {} answers on plain HTTP",
                node.service
            )));
        }
    }
    found
}

fn plain_management(node: &Node) -> Option<Finding> {
    let told = "the management API answers on plain HTTP";
    match node.get("management_api.protocols") {
        Some(names) => {
            let mut each = names.text()?.split([' ', ',']);
            each.any(|name| name == "http").then(|| names.finds(told))
        }
        None => node.settings.is_ok().then(|| node.finds(told)),
    }
}
