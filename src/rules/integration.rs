//! What MI and SI write about themselves: names, logins, secrets.

use super::node::{Component, Node};
use super::{Finding, Rule, Severity, Stage, survey};
use crate::source::Span;

pub const RULES: &[Rule] = &[
    Rule {
        id: "integration-20",
        title: "no password is the one that everybody knows",
        severity: Severity::Production,
        stage: Stage::Plan,
        why: "admin/admin and the key of the packs are published: whoever reaches a port manages the node",
        fix: "set mi_admin_password and si_admin_password, and a keystore of your own",
        source: "docs-mi setup/deployment-best-practices/security-guidelines-for-production-deployment.md",
        check: |site| site.nodes.iter().flat_map(published).collect(),
    },
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
        title: "MI is managed over TLS only",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "management is on plain HTTP as shipped, at the port of the probes: logins travel unencrypted",
        fix: "write [management_api] protocols = \"https\"",
        source: "docs-mi setup/security/securing-management-api.md",
        check: |site| site.mi().filter_map(plain_management).collect(),
    },
];

/// Of SI only logins: its launcher names the packs' key and its password itself (integration-42).
fn published(node: &Node) -> Vec<Finding> {
    let mut found = Vec::new();
    let (users, key) = match node.component {
        Component::Mi => (node.list("internal_apis.users"), "user.password"),
        Component::Si => (
            node.list("auth.configs.userManager.userStore.users"),
            "user.password",
        ),
        _ => return found,
    };
    for password in users.into_iter().filter_map(|user| user.get(key)) {
        let Some(value) = password.resolved() else {
            continue;
        };
        let is_admin = |text: &str| text == "admin";
        if is_admin(value.look())
            || survey::decoded(value.look()).is_some_and(|text| is_admin(&text))
        {
            found.push(password.finds("a management user has the password of the packs"));
        }
    }
    let keystore = node.get("keystore.primary.password");
    if let Some(password) =
        keystore.filter(|p| p.resolved().is_some_and(|v| v.look() == "wso2carbon"))
    {
        found.push(password.finds("the key store is that of the packs, or has its password"));
    }
    found
}

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
