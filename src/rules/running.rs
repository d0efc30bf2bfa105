//! What only running nodes can tell.

use super::node::Component;
use super::{Finding, Instance, Rule, Severity, Site, Stage, ports};

pub const RULES: &[Rule] = &[
    Rule {
        id: "apim-15",
        title: "a running server knows the super admin of its settings",
        severity: Severity::Error,
        stage: Stage::Running,
        why: "the settings make the user once, in an empty database; a password that changes there only locks the nodes out",
        fix: "change the password in /carbon first; then deploy it to all nodes",
        source: "docs-apim security/logins-and-passwords/maintaining-logins-and-passwords.md",
        check: |site| {
            answers(
                site,
                "login",
                401,
                "it refuses the super admin of its settings",
            )
        },
    },
    Rule {
        id: "apim-44",
        title: "the gateway of a running node has its APIs",
        severity: Severity::Error,
        stage: Stage::Running,
        why: "a gateway that met no control plane at its start gives up after 8 minutes, and stays empty",
        fix: "see that the control plane is ready, then restart this node",
        source: "wso2/carbon-apimgt, GatewayStartupListener",
        check: |site| {
            answers(
                site,
                "gateway",
                500,
                "its gateway is not ready: the health check says 500",
            )
        },
    },
    Rule {
        id: "apim-62",
        title: "a running gateway is connected to a broker",
        severity: Severity::Error,
        stage: Stage::Running,
        why: "it tries again after up to an hour, and knows of no change until then",
        fix: "restart the gateway",
        source: "wso2/carbon-apimgt, JMSTaskManager",
        check: unconnected,
    },
    Rule {
        id: "apim-63",
        title: "a node with a broker was never killed",
        severity: Severity::Warning,
        stage: Stage::Running,
        why: "gateways may not notice, and hear of no change",
        fix: "raise apim_stop_timeout, and see that the gateways are connected",
        source: "wso2/api-manager#4560",
        check: killed,
    },
    Rule {
        id: "integration-39",
        title: "one Streaming Integrator of a pair is active, the other passive",
        severity: Severity::Error,
        stage: Stage::Running,
        why: "two active ones process every event twice, two passive ones take none in",
        fix: "both need one coordination schema, equal clocks and an open port 9893; then restart the passive one first",
        source: "docs-si setup/deploying-si-as-minimum-ha-cluster.md",
        check: roles,
    },
];

/// Nodes of API-M that gave this answer to a question of the survey. A server that is down gave none.
fn answers(site: &Site, name: &str, status: u16, what: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, instance) in site.surveyed().filter(|(node, _)| node.component.is_apim()) {
        let Some(asked) = instance.http.iter().find(|h| h.name == name) else {
            continue;
        };
        match Finding::seen(&node.host, &asked.answer) {
            Err(unseen) if instance.jvm.is_some() => found.push(unseen),
            Ok(answer) if answer.status == status => found.push(node.finds(what)),
            _ => {}
        }
    }
    found
}

fn unconnected(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, _) in site
        .surveyed()
        .filter(|(node, instance)| node.component == Component::Gateway && instance.jvm.is_some())
    {
        let Some(survey) = site.survey(&node.host) else {
            continue;
        };
        let brokers: Vec<i64> = site
            .event_hubs()
            .map(|hub| 5672 + ports::offset(hub))
            .collect();
        match Finding::seen(&node.host, &survey.network.connections) {
            Err(unseen) => found.push(unseen),
            Ok(all) if all.iter().any(|c| brokers.contains(&i64::from(c.port))) => {}
            Ok(_) => found.push(node.finds("it is connected to no broker")),
        }
    }
    found
}

/// What `Result` of a unit says when systemd or the kernel used SIGKILL.
const KILLED: [&str; 3] = ["timeout", "watchdog", "oom-kill"];

fn killed(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for hub in site.event_hubs() {
        let Some(instance) = site.instance(hub) else {
            continue;
        };
        match Finding::seen(&hub.host, &instance.unit) {
            Err(unseen) => found.push(unseen),
            Ok(unit) => {
                let result = unit.property("Result").filter(|r| KILLED.contains(r));
                found.extend(result.map(|r| hub.finds(format!("systemd killed it ({r})"))));
            }
        }
    }
    found
}

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
