//! What only running nodes can tell.

use super::node::{Component, Node};
use super::{Finding, Instance, Rule, Severity, Site, Stage, ports};
use crate::wire::survey::Connection;

pub const RULES: &[Rule] = &[
    Rule {
        id: "apim-15",
        title: "a running server lets the super admin of its settings in (a server that is down is not asked)",
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
        title: "a running gateway or traffic manager is connected to a control plane's broker, a gateway to a traffic manager's too",
        severity: Severity::Error,
        stage: Stage::Running,
        why: "it tries again after up to an hour, and knows of no change until then",
        fix: "restart it",
        source: "wso2/carbon-apimgt, JMSTaskManager",
        check: unconnected,
    },
    Rule {
        id: "apim-63",
        title: "a node with a broker was not killed at its last end, nor within a day",
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

/// Whom a node hears, each tier by its name: one of its brokers is enough.
fn tiers<'s>(site: &'s Site, node: &Node) -> Vec<(&'static str, Vec<&'s Node>)> {
    let hubs = ("control plane", site.event_hubs().collect::<Vec<_>>());
    let managers = (
        "traffic manager",
        site.of(Component::TrafficManager).collect::<Vec<_>>(),
    );
    let tiers = match node.component {
        Component::Gateway => vec![hubs, managers],
        Component::TrafficManager => vec![hubs],
        _ => vec![],
    };
    tiers
        .into_iter()
        .filter(|(_, brokers)| !brokers.is_empty())
        .collect()
}

fn unconnected(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, _) in site
        .surveyed()
        .filter(|(_, instance)| instance.jvm.is_some())
    {
        let Some(survey) = site.survey(&node.host) else {
            continue;
        };
        for (tier, brokers) in tiers(site, node) {
            match Finding::seen(&node.host, &survey.network.connections) {
                Err(unseen) => found.push(unseen),
                Ok(all) if all.iter().any(|c| leads_to(site, c, &brokers)) => {}
                Ok(_) => {
                    found.push(node.finds(format!("it is connected to no broker of a {tier}")))
                }
            }
        }
    }
    found
}

/// A host that the inventory has by its name may have any address.
fn leads_to(site: &Site, connection: &Connection, brokers: &[&Node]) -> bool {
    brokers.iter().any(|broker| {
        let address = site.address(&broker.host);
        let is_there =
            address == connection.address || address.parse::<std::net::IpAddr>().is_err();
        is_there && i64::from(connection.port) == 5672 + ports::offset(broker)
    })
}

/// What `Result` of a unit says when systemd or the kernel used SIGKILL.
const KILLED: [&str; 3] = ["timeout", "watchdog", "oom-kill"];

/// Not of a unit with SendSIGKILL=no, which is given up and goes on.
const OUT_OF_TIME: &str = "timeout";

/// What the journal says of it, whatever came since. Source: systemd, src/core/service.c and unit.c.
pub const JOURNAL: &str = r"Killing process \d+ .* with signal SIGKILL|Failed with result '(timeout|watchdog|oom-kill)'|killed by the OOM killer";

fn killed(site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    let managers = site.of(Component::TrafficManager);
    for hub in site.event_hubs().chain(managers) {
        let Some(instance) = site.instance(hub) else {
            continue;
        };
        let mut is_killed_in_the_end = true;
        match Finding::seen(&hub.host, &instance.unit) {
            Err(unseen) => found.push(unseen),
            Ok(unit) => {
                is_killed_in_the_end = unit.property("SendSIGKILL") != Some("no");
                let is_kill =
                    |r: &&str| KILLED.contains(r) && (is_killed_in_the_end || *r != OUT_OF_TIME);
                let result = unit.property("Result").filter(is_kill);
                found.extend(result.map(|r| hub.finds(format!("systemd killed it ({r})"))));
            }
        }
        match Finding::seen(&hub.host, &instance.journal) {
            Err(unseen) => found.push(unseen),
            Ok(lines) => {
                let is_kill = |line: &&String| {
                    is_killed_in_the_end || !line.contains(&format!("'{OUT_OF_TIME}'"))
                };
                let last = lines
                    .iter()
                    .rfind(is_kill)
                    .map(|line| hub.finds(format!("it was killed: {line}")));
                found.extend(last);
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
