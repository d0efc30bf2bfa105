//! What only running nodes can tell.

use super::node::Component;
use super::{Finding, Instance, Rule, Severity, Site, Stage};

pub const RULES: &[Rule] = &[Rule {
    id: "integration-39",
    title: "one Streaming Integrator of a pair is active, the other passive",
    severity: Severity::Error,
    stage: Stage::Running,
    why: "two active ones process every event twice, two passive ones take none in",
    fix: "both need one coordination schema, equal clocks and an open port 9893; then restart the passive one first",
    source: "docs-si setup/deploying-si-as-minimum-ha-cluster.md",
    check: roles,
}];

fn roles(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for cluster in site.clusters() {
        let mut roles = Vec::new();
        for node in cluster.iter().filter(|n| n.component == Component::Si) {
            match site
                .instance(node)
                .map(|instance| role(&node.host, instance))
            {
                Some(Ok(role)) => roles.push((node.host.as_str(), role)),
                Some(Err(unseen)) => found.push(unseen),
                None => {}
            }
        }
        let active = roles.iter().filter(|(_, role)| *role == "Active").count();
        if roles.len() > 1 && active != 1 {
            let told = match active {
                0 => "all nodes are passive".to_owned(),
                n => format!("{n} nodes are active"),
            };
            found.push(Finding::among(roles.iter().map(|(host, _)| *host), told));
        }
    }
    found
}

fn role(host: &str, instance: &Instance) -> Result<&'static str, Finding> {
    let asked = instance.http.iter().find(|h| h.name == "statistics");
    let asked = asked.ok_or_else(|| Finding::unjudged(host, "it was not asked for its role"))?;
    let answer = Finding::seen(host, &asked.answer)?;
    role_of(&answer.body).ok_or_else(|| {
        let what = format!("/statistics answered {} without a role", answer.status);
        Finding::unjudged(host, what)
    })
}

fn role_of(body: &str) -> Option<&'static str> {
    let (_, rest) = body.split_once("\"haStatus\"")?;
    let value = rest.trim_start_matches([':', ' ', '"']);
    ["Active", "Passive"]
        .into_iter()
        .find(|role| value.starts_with(role))
}
