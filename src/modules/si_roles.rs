//! `si_roles`: waits until exactly one node of a Streaming Integrator cluster is active and the others stand by.
//!
//! Two active ones process every event twice, none takes any in. Both happen for a while after the database was away or a
//! node was lost, until the nodes agree again; so this asks until they do.
//! Source: wso2/docs-si, minimum high availability; `haStatus` of `/statistics`: wso2/carbon-analytics, StatisticsApi.

use super::shared::patience::{Attempt, insist};
use super::shared::words::seconds;
use super::{Kind, Module};
use crate::system::{Request, Result, System};
use crate::wire::Failure;
use serde::Deserialize;
use std::time::Duration;

/// Waits until one node of a cluster is active.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiRoles {
    nodes: Vec<Node>,
    user: String,
    password: String,
    /// In seconds.
    #[serde(default = "two_minutes", deserialize_with = "seconds")]
    within: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    /// For people.
    host: String,
    /// Of the administrative REST API: `https://10.0.3.11:9443`.
    url: String,
}

fn two_minutes() -> Duration {
    Duration::from_secs(120)
}

/// For one node: all of them must have been asked while a rollout's look is fresh.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of an answer that are read.
const LIMIT: u64 = 64 << 10;

impl Module for SiRoles {
    const NAME: &'static str = "si_roles";
    const KIND: Kind = Kind::Probe;
    const ABOUT: &'static str =
        "waits until exactly one node of a Streaming Integrator cluster is active";
    const EXAMPLE: &'static str = "\
si_roles:
  nodes:
    - { host: si-1, url: \"https://10.0.3.11:9443\" }
    - { host: si-2, url: \"https://10.0.3.12:9443\" }
  user: admin
  password: \"{{ admin_password }}\"
  within: 120
";
    type Change = String;

    fn check(&self, system: &System) -> Result<Vec<String>> {
        insist(system, self.within, || {
            let roles: Vec<_> = self.nodes.iter().map(|n| self.role(system, n)).collect();
            let active = roles.iter().filter(|role| *role == "Active").count();
            let standing_by = roles.iter().filter(|role| *role == "Passive").count();
            if active == 1 && active + standing_by == roles.len() {
                return Ok(Attempt::Done(vec![]));
            }
            Ok(Attempt::NotYet(self.disagreement(&roles)))
        })
    }

    fn apply(&self, _: &System, _: String) -> Result<()> {
        Ok(())
    }
}

impl SiRoles {
    /// `Active`, `Passive`, or why it is not known.
    fn role(&self, system: &System, node: &Node) -> String {
        let mut request = Request::get(format!("{}/statistics", node.url));
        request.login = Some((self.user.clone(), self.password.clone()));
        // This asks the process at this address, whoever signed for its name.
        request.verify = false;
        request.timeout = TIMEOUT;
        let answer = system
            .ask(&request)
            .and_then(|answer| Ok((answer.status, answer.text(LIMIT)?)));
        match answer {
            Err(failure) => failure.message,
            Ok((200, body)) => {
                let body: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
                let role = body.get("haStatus").and_then(|role| role.as_str());
                role.unwrap_or("no role in its answer").to_owned()
            }
            Ok((status, _)) => format!("its answer is {status}"),
        }
    }

    fn disagreement(&self, roles: &[String]) -> Failure {
        let named = self.nodes.iter().zip(roles);
        let said: Vec<_> = named
            .map(|(node, role)| format!("{}: {role}", node.host))
            .collect();
        Failure::new(format!(
            "exactly one node must be active and the others passive ({})",
            said.join(", ")
        ))
        .help("they agree with one database, equal clocks and open port 9893")
    }
}
