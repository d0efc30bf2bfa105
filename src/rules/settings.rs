//! Files that a server reads at its start: whether it can.

use super::node::Node;
use super::{Finding, Rule, Severity, Stage};

pub const RULES: &[Rule] = &[
    Rule {
        id: "apim-51",
        title: "deployment.toml is TOML, its secrets stand last and a table before the tables in it",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "the server stops at its first step, or reads something else than what was meant",
        fix: "mend the template; each table stands once, and `[secrets]` is the last",
        source: "docs-apim install-and-setup/setup/security/logins-and-passwords/working-with-encrypted-passwords.md",
        check: |site| {
            let nodes = || site.nodes.iter().filter(|n| n.component.is_apim());
            let mut found: Vec<Finding> = nodes().filter_map(unreadable).collect();
            found.extend(nodes().flat_map(order));
            found
        },
    },
    Rule {
        id: "integration-18",
        title: "deployment.toml is TOML, and deployment.yaml is YAML",
        severity: Severity::Error,
        stage: Stage::Plan,
        why: "the server stops at its first step, or reads something else than what was meant",
        fix: "mend the template; each table and each key stands once",
        source: "docs-mi reference/config-catalog-mi.md; wso2/carbon-config, ConfigProviderImpl",
        check: |site| {
            let nodes = site.nodes.iter().filter(|n| !n.component.is_apim());
            nodes.filter_map(unreadable).collect()
        },
    },
];

fn unreadable(node: &Node) -> Option<Finding> {
    let problem = node.settings.as_ref().err()?;
    let found = node.finds(problem.message.as_str());
    Some(match &problem.span {
        Some(span) => found.at(span),
        None => found,
    })
}

/// What TOML allows and the server does not.
fn order(node: &Node) -> Vec<Finding> {
    let Ok(settings) = &node.settings else {
        return vec![];
    };
    let mut found = Vec::new();
    let tables = tables(&settings.span.file.text);
    for (at, (name, start)) in tables.iter().enumerate() {
        let inside = format!("{name}.");
        let here = crate::source::Span::new(&settings.span.file, *start..start + name.len());
        if tables[..at].iter().any(|(t, _)| t.starts_with(&inside)) {
            found.push(
                node.finds(format!("`[{name}]` stands behind a table in it"))
                    .at(&here),
            );
        }
        if name == "secrets" && at + 1 < tables.len() {
            found.push(node.finds("`[secrets]` is not the last table").at(&here));
        }
    }
    found
}

/// Every header of a table with its place, `[[...]]` aside: those may stand anywhere.
fn tables(text: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let header = line.trim_start();
        let indent = line.len() - header.len();
        let inner = header.strip_prefix('[').filter(|h| !h.starts_with('['));
        if let Some((name, _)) = inner.and_then(|h| h.split_once(']')) {
            found.push((name.trim().to_owned(), start + indent + 1));
        }
        start += line.len();
    }
    found
}
