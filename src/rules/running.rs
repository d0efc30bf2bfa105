//! What only running nodes can tell.

use super::{Finding, Rule, Severity, Site, Stage};

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
        for node in cluster
            .iter()
            .filter(|n| n.component == super::Component::Si)
        {
            let Some(survey) = site.survey(&node.host) else {
                continue;
            };
            let instance = survey.instances.iter().find(|i| i.name == node.service);
            let Some(answer) =
                instance.and_then(|i| i.http.iter().find(|h| h.name == "statistics"))
            else {
                found.push(Finding::unjudged(
                    &node.host,
                    "it was not asked for its role",
                ));
                continue;
            };
            match (answer.answer.known(), answer.answer.why()) {
                (Some(facts), _) => match role_of(&facts.body) {
                    Some(role) => roles.push((node.host.as_str(), role)),
                    None => found.push(Finding::unjudged(
                        &node.host,
                        format!("/statistics answered {} without a role", facts.status),
                    )),
                },
                (None, why) => found.push(Finding::unjudged(&node.host, why.unwrap_or_default())),
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

fn role_of(body: &str) -> Option<&'static str> {
    let (_, rest) = body.split_once("\"haStatus\"")?;
    let value = rest.trim_start_matches([':', ' ', '"']);
    ["Active", "Passive"]
        .into_iter()
        .find(|role| value.starts_with(role))
}
