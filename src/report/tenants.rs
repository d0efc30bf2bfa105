//! `tenant list` as one table, a row a tenant; below it why something is as it should not be.

use super::words;
use crate::event::{Answer, ClusterState, Health, RouteState, Standing, TenantState};
use crate::wire::survey::Seen;
use console::style;

const HEAD: [&str; 5] = ["tenant", "domain", "API Manager", "clusters", "route"];

/// The table, and a line for everything that a cell cannot hold.
pub fn table(tenants: &[TenantState]) -> Vec<String> {
    if tenants.is_empty() {
        return vec!["the inventory declares no tenant".to_owned()];
    }
    let rows: Vec<[String; 5]> = tenants.iter().map(row).collect();
    let mut lines = words::columns(&HEAD, &rows);
    lines[0] = style(&lines[0]).bold().to_string();
    lines.extend(tenants.iter().flat_map(reasons));
    lines
}

fn row(tenant: &TenantState) -> [String; 5] {
    let leaves = if tenant.leaves { " (leaves)" } else { "" };
    let cells = |of: fn(&ClusterState) -> String| {
        let all: Vec<String> = tenant
            .clusters
            .iter()
            .map(|cluster| format!("{} {}", product(cluster), of(cluster)))
            .collect();
        match all.is_empty() {
            true => "-".to_owned(),
            false => all.join(", "),
        }
    };
    [
        format!("{}{leaves}", tenant.name),
        tenant.domain.clone(),
        standing(&tenant.apim).to_owned(),
        cells(serving),
        cells(routes),
    ]
}

/// `mi` of `mi_acme`.
fn product(cluster: &ClusterState) -> &str {
    cluster.name.split('_').next().unwrap_or_default()
}

pub fn standing(standing: &Standing) -> &'static str {
    match standing {
        Standing::Active => "active",
        Standing::Inactive => "inactive",
        Standing::Missing => "not there",
        Standing::Unknown(_) => "not known",
    }
}

fn serving(cluster: &ClusterState) -> String {
    let count = |of: fn(&Health) -> bool| cluster.nodes.iter().filter(|n| of(&n.health)).count();
    let serving = count(|health| *health == Health::Serves);
    let unknown = match count(|health| matches!(health, Health::Unknown(_))) {
        0 => String::new(),
        number => format!(" ({number} not known)"),
    };
    format!("{serving} of {} serve{unknown}", cluster.nodes.len())
}

/// One word where all balancers agree.
fn routes(cluster: &ClusterState) -> String {
    let mut words: Vec<&str> = cluster.routes.iter().map(route).collect();
    words.dedup();
    match words.as_slice() {
        [] => "with another balancer".to_owned(),
        [word] => (*word).to_owned(),
        _ => {
            let each = cluster.routes.iter();
            let each = each.map(|r| format!("{}: {}", r.balancer, route(r)));
            each.collect::<Vec<_>>().join("; ")
        }
    }
}

pub fn route(route: &RouteState) -> &'static str {
    match (&route.configured, &route.answer) {
        (_, Answer::Foreign(_)) => "answered by another cluster",
        (Seen::Known(false), _) => "none",
        (Seen::Unknown { .. }, _) | (_, Answer::Unknown(_)) => "not known",
        (Seen::Known(true), Answer::Own(_)) => "answers",
        (Seen::Known(true), Answer::Nobody(_)) => "nobody answers",
        (Seen::Known(true), Answer::NotAsked) => "configured",
    }
}

fn reasons(tenant: &TenantState) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |what: &str, why: &str| {
        let why = words::tame(why).replace('\n', " ");
        lines.push(format!("{}: {what}: {why}", tenant.name));
    };
    if let Standing::Unknown(why) = &tenant.apim {
        say("API Manager", why);
    }
    for cluster in &tenant.clusters {
        for node in &cluster.nodes {
            match &node.health {
                // A tenant that left serves no more.
                Health::Fails(_) if tenant.leaves => {}
                Health::Fails(why) | Health::Unknown(why) => say(&node.host, why),
                Health::Serves => {}
            }
        }
        for route in &cluster.routes {
            let what = format!("route of {} at {}", cluster.name, route.balancer);
            if let Some(why) = route.configured.why() {
                say(&what, why);
            }
            match &route.answer {
                Answer::Foreign(by) => say(&what, &format!("answered by {by}")),
                Answer::Nobody(why) if route.configured == Seen::Known(true) => say(&what, why),
                Answer::Unknown(why) => say(&what, why),
                Answer::Nobody(_) | Answer::NotAsked | Answer::Own(_) => {}
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: &str, health: Health) -> crate::event::NodeState {
        crate::event::NodeState {
            host: host.to_owned(),
            health,
        }
    }

    fn cluster(name: &str, health: [Health; 2], routes: Vec<RouteState>) -> ClusterState {
        let [one, other] = health;
        ClusterState {
            name: name.to_owned(),
            nodes: vec![node("n-1", one), node("n-2", other)],
            routes,
        }
    }

    fn at(balancer: &str, configured: Seen<bool>, answer: Answer) -> RouteState {
        RouteState {
            balancer: balancer.to_owned(),
            configured,
            answer,
        }
    }

    #[test]
    fn a_row_a_tenant_and_the_reasons_below() {
        let away = || Health::Unknown("could not be reached".to_owned());
        let own = || Answer::Own("n-1".to_owned());
        let tenant = |name: &str, leaves, apim, clusters| TenantState {
            name: name.to_owned(),
            domain: format!("{name}.example.com"),
            leaves,
            apim,
            clusters,
        };
        let acme = tenant(
            "acme",
            false,
            Standing::Active,
            vec![
                cluster(
                    "mi_acme",
                    [Health::Serves, away()],
                    vec![
                        at("lb-1", Seen::Known(true), own()),
                        at("lb-2", Seen::Known(false), Answer::Nobody("421".to_owned())),
                    ],
                ),
                cluster(
                    "si_acme",
                    [Health::Serves, Health::Serves],
                    vec![at("lb-1", Seen::Known(true), Answer::NotAsked)],
                ),
            ],
        );
        let gone = tenant(
            "gone",
            true,
            Standing::Inactive,
            vec![cluster(
                "mi_gone",
                [Health::Fails("down".into()), Health::Fails("down".into())],
                vec![at("lb-1", Seen::Known(false), Answer::NotAsked)],
            )],
        );
        let dim = tenant("dim", false, Standing::Unknown("no login".into()), vec![]);
        let text = table(&[acme, gone, dim]).join("\n");
        let plain = console::strip_ansi_codes(&text);
        assert_eq!(
            plain,
            "\
tenant         domain            API Manager  clusters                                        route
acme           acme.example.com  active       mi 1 of 2 serve (1 not known), si 2 of 2 serve  mi lb-1: answers; lb-2: none, si configured
gone (leaves)  gone.example.com  inactive     mi 0 of 2 serve                                 mi none
dim            dim.example.com   not known    -                                               -
acme: n-2: could not be reached
dim: API Manager: no login"
        );
    }
}
