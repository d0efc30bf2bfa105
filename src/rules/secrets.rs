//! Users and passwords: whether all nodes mean the same, and whether values arrive unharmed.

use super::cluster::disagree;
use super::node::{Node, Setting};
use super::{Finding, Rule, Severity, Site, Stage};

pub const RULES: &[Rule] = &[
    Rule {
        id: "apim-14",
        title: "all nodes of API-M have one super admin",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "nodes log in to each other with it: events, artifacts and policies are refused",
        fix: "say wso2_admin_user and wso2_admin_password once, for the whole environment",
        source: "docs-apim install-and-setup/setup/distributed-deployment/deploying-wso2-api-m-in-a-distributed-setup",
        check: super_admins,
    },
    Rule {
        id: "apim-16",
        title: "passwords have A-Z a-z 0-9 _ . ~ - only",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "they are put into XML and AMQP URLs as they are, and others break these",
        fix: "choose a longer password of these characters",
        source: "wso2/product-apim#2677, #2148",
        check: characters,
    },
    Rule {
        id: "apim-53",
        title: "what the settings refer to is there",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "a reference to nothing is taken literally, as a password for example",
        fix: "define it: in the environment file for `$env`, in [secrets] for `$secret`, in the settings for `$ref`",
        source: "docs-apim security/logins-and-passwords/set-passwords-using-environment-variables-and-system-properties.md",
        check: references,
    },
];

fn super_admins(site: &Site) -> Vec<Finding> {
    let nodes: Vec<&Node> = site.apim().collect();
    let mut found = Vec::new();
    for key in ["username", "password"] {
        let path = format!("super_admin.{key}");
        if disagree(&nodes, |node| node.get(&path).and_then(Setting::resolved)) {
            let hosts = nodes.iter().map(|n| n.host.as_str());
            found.push(Finding::among(
                hosts,
                format!("{path} is not the same on all nodes"),
            ));
        }
    }
    found
}

/// Tables with a password.
fn passwords(node: &Node) -> Vec<Setting<'_>> {
    let tables = [
        "super_admin",
        "truststore",
        "apim.event_hub",
        "apim.throttling",
    ];
    let tables = tables.into_iter().filter_map(|table| node.get(table));
    let below = ["database", "keystore"].into_iter();
    let below = below
        .filter_map(|t| node.get(t))
        .flat_map(Setting::children);
    let all = tables.chain(below);
    all.flat_map(|table| ["password", "key_password"].map(|key| table.get(key)))
        .flatten()
        .collect()
}

fn characters(site: &Site) -> Vec<Finding> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.~-".contains(c);
    let mut found = Vec::new();
    for node in site.apim() {
        for password in passwords(node) {
            let Some(value) = password.resolved() else {
                continue;
            };
            // What is resolved elsewhere is not known here.
            let is_known = !value.look().starts_with('$');
            if is_known && !value.look().chars().all(is_plain) {
                // The name of a variable is no secret; the value may stand in its place.
                let written = password.text().filter(|text| text.starts_with("$env{"));
                let which = written.unwrap_or("a password");
                found.push(password.finds(format!("{which} has other characters")));
            }
        }
    }
    found
}

fn references(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in site.apim() {
        for setting in node.texts() {
            for (kind, name) in references_in(setting.text().unwrap_or_default()) {
                if !is_there(node, kind, name) {
                    found.push(setting.finds(format!("nothing defines ${kind}{{{name}}}")));
                }
            }
        }
    }
    found
}

fn is_there(node: &Node, kind: &str, name: &str) -> bool {
    match kind {
        "env" => node.environment.contains_key(name),
        "secret" => node.get(&format!("secrets.{name}")).is_some(),
        _ => node.get(name).is_some(),
    }
}

/// `$env{A}/$ref{b.c}` is (env, A) and (ref, b.c).
fn references_in(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split('$').skip(1);
    parts
        .filter_map(|part| {
            let (kind, rest) = part.split_once('{')?;
            let (name, _) = rest.split_once('}')?;
            ["env", "secret", "ref"]
                .contains(&kind)
                .then_some((kind, name))
        })
        .collect()
}
