//! What the answers of hosts say of a tenant. Pure: answers in, states out.

use crate::event::{Answer, ClusterState, Health, NodeState, RouteState, Standing, TenantState};
use crate::inventory::Tenant;
use crate::wire::survey::Seen;
use crate::wire::{Outcome, Told};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// By host: what it said, or why it said nothing.
pub type Heard = BTreeMap<String, Result<Vec<Said>, String>>;

/// One answer of a host.
#[derive(Debug, Clone)]
pub struct Said {
    /// Which module was asked.
    module: String,
    /// What about: the label of the question, or the service.
    label: String,
    /// Why it failed, if it did.
    failed: Option<String>,
    result: Map<String, Value>,
}

/// Who was asked.
pub struct Asked {
    pub apim: Vec<String>,
    pub balancers: Vec<String>,
    /// By host, where a balancer sends requests to.
    pub addresses: BTreeMap<String, String>,
}

/// A cluster of a tenant.
pub struct Cluster {
    pub name: String,
    /// `mi` or `si`.
    pub product: &'static str,
    pub hosts: Vec<String>,
}

impl Said {
    pub fn new(module: &str, label: String, told: Told) -> Self {
        let failed = match told.outcome {
            Outcome::Failed(failure) => Some(failure.message),
            Outcome::Unchanged | Outcome::Changed(_) | Outcome::Skipped(_) => None,
        };
        Self {
            module: module.to_owned(),
            label,
            failed,
            result: told.result.unwrap_or_default(),
        }
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.result.get(key)?.as_str()
    }

    fn failure(&self) -> String {
        let failed = self.failed.clone();
        failed.unwrap_or_else(|| "the answer says nothing of it".to_owned())
    }
}

pub fn state(tenant: &Tenant, clusters: &[Cluster], asked: &Asked, heard: &Heard) -> TenantState {
    TenantState {
        name: tenant.name.clone(),
        domain: tenant.domain.clone(),
        leaves: tenant.is_absent,
        apim: standing(&tenant.name, asked, heard),
        clusters: clusters
            .iter()
            .map(|cluster| ClusterState {
                name: cluster.name.clone(),
                nodes: cluster
                    .hosts
                    .iter()
                    .map(|h| node(cluster, h, heard))
                    .collect(),
                routes: asked
                    .balancers
                    .iter()
                    .map(|balancer| route(cluster, balancer, asked, heard))
                    .collect(),
            })
            .collect(),
    }
}

fn answer<'h>(heard: &'h Heard, host: &str, module: &str, label: &str) -> Result<&'h Said, String> {
    let said = match heard.get(host) {
        Some(Ok(said)) => said,
        Some(Err(why)) => return Err(why.clone()),
        None => return Err("was not asked".to_owned()),
    };
    let found = said.iter().find(|s| s.module == module && s.label == label);
    found.ok_or_else(|| "gave no answer".to_owned())
}

/// All nodes of API Manager share one database of tenants: the first that can say is enough.
fn standing(tenant: &str, asked: &Asked, heard: &Heard) -> Standing {
    let mut first = None;
    for host in &asked.apim {
        let why = match answer(heard, host, "tenant", tenant) {
            Err(why) => format!("{host} {why}"),
            Ok(said) => match said.text("standing") {
                Some("active") => return Standing::Active,
                Some("inactive") => return Standing::Inactive,
                Some("unknown") => return Standing::Missing,
                _ => format!("{host}: {}", said.failure()),
            },
        };
        first.get_or_insert(why);
    }
    Standing::Unknown(first.unwrap_or_else(|| "there is no group `apim`".to_owned()))
}

fn node(cluster: &Cluster, host: &str, heard: &Heard) -> NodeState {
    let service = format!("wso2-{}", cluster.product);
    let health = match answer(heard, host, "gate", &service) {
        Err(why) => Health::Unknown(why),
        Ok(Said {
            failed: Some(why), ..
        }) => Health::Fails(why.clone()),
        Ok(_) => Health::Serves,
    };
    NodeState {
        host: host.to_owned(),
        health,
    }
}

fn route(cluster: &Cluster, balancer: &str, asked: &Asked, heard: &Heard) -> RouteState {
    let configured = match answer(heard, balancer, "stat", &cluster.name) {
        Err(why) => Seen::unknown(format!("{balancer} {why}")),
        Ok(said) => match said.result.get("stat").and_then(|stat| stat.get("exists")) {
            Some(Value::Bool(exists)) => Seen::Known(*exists),
            _ => Seen::unknown(format!("{balancer}: {}", said.failure())),
        },
    };
    RouteState {
        balancer: balancer.to_owned(),
        configured,
        answer: called(cluster, balancer, asked, heard),
    }
}

/// Who answered, asked from the first node of API Manager that can say. What was not planned was not to be asked.
fn called(cluster: &Cluster, balancer: &str, asked: &Asked, heard: &Heard) -> Answer {
    let label = format!("{} {balancer}", cluster.name);
    let mut unheard = None;
    for host in &asked.apim {
        match heard.get(host) {
            Some(Ok(said)) => {
                let found = said.iter().find(|s| s.module == "uri" && s.label == label);
                return match found {
                    None => Answer::NotAsked,
                    Some(said) => who(said, cluster, asked),
                };
            }
            Some(Err(why)) => unheard.get_or_insert_with(|| format!("{host} {why}")),
            None => continue,
        };
    }
    match (cluster.product, unheard) {
        ("mi", Some(why)) => Answer::Unknown(why),
        _ => Answer::NotAsked,
    }
}

/// `X-Served-By` names every node that was tried, the one that answered last.
fn who(said: &Said, cluster: &Cluster, asked: &Asked) -> Answer {
    let Some(status) = said.result.get("status").and_then(Value::as_u64) else {
        return Answer::Nobody(said.failure());
    };
    let headers = said.result.get("headers");
    let served_by = headers.and_then(|h| h.get("x_served_by")?.as_str());
    let last = served_by.and_then(|by| by.rsplit(", ").next());
    let address = last.and_then(|by| Some(by.rsplit_once(':')?.0));
    match address {
        // The balancer's own words for it.
        _ if (502..=504).contains(&status) => Answer::Nobody(format!("status {status}")),
        None => Answer::Nobody(format!("status {status} from the balancer itself")),
        Some(address) => {
            let mut hosts = asked.addresses.iter().filter(|(_, a)| *a == address);
            match hosts.find(|(host, _)| cluster.hosts.contains(host)) {
                Some((host, _)) => Answer::Own(host.clone()),
                None => Answer::Foreign(address.to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Failure;
    use serde_json::json;

    fn said(module: &str, label: &str, failed: Option<&str>, result: Value) -> Said {
        let outcome = match failed {
            Some(why) => Outcome::Failed(Failure::new(why)),
            None => Outcome::Unchanged,
        };
        let told = Told {
            step: 1,
            outcome,
            diffs: vec![],
            result: result.as_object().cloned(),
            owed: vec![],
            millis: 1,
        };
        Said::new(module, label.to_owned(), told)
    }

    fn served(by: &str, status: u16) -> Said {
        let result = json!({ "status": status, "headers": { "x_served_by": by } });
        said("uri", "mi_acme lb-1", None, result)
    }

    fn acme() -> (Tenant, Vec<Cluster>, Asked) {
        let hosts = vec!["a-1".to_owned(), "a-2".to_owned()];
        let tenant = Tenant {
            name: "acme".into(),
            domain: "acme.example.com".into(),
            mi: hosts.clone(),
            si: vec![],
            is_absent: false,
        };
        let cluster = Cluster {
            name: "mi_acme".into(),
            product: "mi",
            hosts,
        };
        let addresses = [
            ("a-1", "10.0.0.1"),
            ("a-2", "10.0.0.2"),
            ("b-1", "10.0.0.9"),
        ];
        let asked = Asked {
            apim: vec!["apim-1".into(), "apim-2".into()],
            balancers: vec!["lb-1".into()],
            addresses: addresses.map(|(h, a)| (h.to_owned(), a.to_owned())).into(),
        };
        (tenant, vec![cluster], asked)
    }

    /// All well, but for what `change` does to it.
    fn judged(change: impl FnOnce(&mut Heard)) -> TenantState {
        let (tenant, clusters, asked) = acme();
        let standing = said("tenant", "acme", None, json!({ "standing": "active" }));
        let mut heard: Heard = [
            (
                "apim-1",
                vec![standing.clone(), served("10.0.0.1:8290", 404)],
            ),
            ("apim-2", vec![standing, served("10.0.0.2:8290", 404)]),
            ("a-1", vec![said("gate", "wso2-mi", None, json!({}))]),
            ("a-2", vec![said("gate", "wso2-mi", None, json!({}))]),
            (
                "lb-1",
                vec![said(
                    "stat",
                    "mi_acme",
                    None,
                    json!({ "stat": { "exists": true } }),
                )],
            ),
        ]
        .map(|(host, said)| (host.to_owned(), Ok(said)))
        .into();
        change(&mut heard);
        state(&tenant, &clusters, &asked, &heard)
    }

    fn put(heard: &mut Heard, host: &str, said: Vec<Said>) {
        heard.insert(host.to_owned(), Ok(said));
    }

    fn lose(heard: &mut Heard, host: &str) {
        heard.insert(host.to_owned(), Err("could not be reached".to_owned()));
    }

    #[test]
    fn all_is_well() {
        let acme = judged(|_| {});
        assert_eq!(acme.apim, Standing::Active);
        let cluster = &acme.clusters[0];
        assert!(cluster.nodes.iter().all(|n| n.health == Health::Serves));
        assert_eq!(cluster.routes[0].configured, Seen::Known(true));
        assert_eq!(cluster.routes[0].answer, Answer::Own("a-1".into()));
        assert!(acme.is_known());
    }

    #[test]
    fn a_node_that_fails_is_known_and_one_that_is_away_is_not() {
        let acme = judged(|heard| {
            let down = said("gate", "wso2-mi", Some("wso2-mi is not running"), json!({}));
            put(heard, "a-1", vec![down]);
        });
        let health = |acme: &TenantState, at: usize| acme.clusters[0].nodes[at].health.clone();
        assert_eq!(
            health(&acme, 0),
            Health::Fails("wso2-mi is not running".into())
        );
        assert_eq!(health(&acme, 1), Health::Serves);
        assert!(acme.is_known());
        let acme = judged(|heard| lose(heard, "a-2"));
        assert_eq!(
            health(&acme, 1),
            Health::Unknown("could not be reached".into())
        );
        assert!(!acme.is_known());
    }

    #[test]
    fn any_node_of_api_manager_may_say() {
        for (word, standing) in [
            ("active", Standing::Active),
            ("inactive", Standing::Inactive),
            ("unknown", Standing::Missing),
        ] {
            let acme = judged(|heard| {
                lose(heard, "apim-1");
                let told = said("tenant", "acme", None, json!({ "standing": word }));
                put(heard, "apim-2", vec![told, served("10.0.0.2:8290", 200)]);
            });
            assert_eq!(acme.apim, standing);
            let answer = &acme.clusters[0].routes[0].answer;
            assert_eq!(answer, &Answer::Own("a-2".into()));
            assert!(acme.is_known());
        }
        let acme = judged(|heard| {
            lose(heard, "apim-1");
            let down = said("tenant", "acme", Some("connection refused"), json!({}));
            put(heard, "apim-2", vec![down]);
        });
        let why = "apim-1 could not be reached".to_owned();
        assert_eq!(acme.apim, Standing::Unknown(why));
    }

    #[test]
    fn who_answers_for_the_name() {
        for (by, status, expected) in [
            ("10.0.0.2:8290", 200, Answer::Own("a-2".into())),
            // The first one did not answer.
            (
                "10.0.0.1:8290, 10.0.0.2:8290",
                404,
                Answer::Own("a-2".into()),
            ),
            ("10.0.0.9:8290", 200, Answer::Foreign("10.0.0.9".into())),
            (
                "10.0.0.1:8290, 10.0.0.2:8290",
                502,
                Answer::Nobody("status 502".into()),
            ),
            (
                "",
                421,
                Answer::Nobody("status 421 from the balancer itself".into()),
            ),
        ] {
            let acme = judged(|heard| {
                let standing = said("tenant", "acme", None, json!({ "standing": "active" }));
                put(heard, "apim-1", vec![standing, served(by, status)]);
            });
            assert_eq!(acme.clusters[0].routes[0].answer, expected, "{by} {status}");
        }
        let acme = judged(|heard| {
            let silent = said("uri", "mi_acme lb-1", Some("nobody listens"), json!({}));
            put(heard, "apim-1", vec![silent]);
        });
        let answer = &acme.clusters[0].routes[0].answer;
        assert_eq!(answer, &Answer::Nobody("nobody listens".into()));
    }

    #[test]
    fn a_route_that_nobody_was_asked_for_is_no_gap() {
        let acme = judged(|heard| put(heard, "apim-1", vec![]));
        assert_eq!(acme.clusters[0].routes[0].answer, Answer::NotAsked);
        let acme = judged(|heard| {
            lose(heard, "apim-1");
            lose(heard, "apim-2");
        });
        let why = "apim-1 could not be reached".to_owned();
        assert_eq!(acme.clusters[0].routes[0].answer, Answer::Unknown(why));
        let acme = judged(|heard| lose(heard, "lb-1"));
        let configured = &acme.clusters[0].routes[0].configured;
        assert_eq!(configured.why(), Some("lb-1 could not be reached"));
        assert!(!acme.is_known());
    }
}
