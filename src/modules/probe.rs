//! `probe`: requests at a steady pace that go on after the step, and what they came to so far.
//!
//! The first step of a name begins them; they end with the connection. So a rollout has evidence of what clients meet
//! from before its first node is taken out until the end, and pays one short step for each reading.

use super::shared::words::{Statuses, number, seconds};
use super::{Fault, Kind, Module, Review};
use crate::system::{Question, Request, Result, Steady, System};
use crate::wire::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    name: String,
    /// Asked in turn.
    requests: Vec<Ask>,
    #[serde(default = "five", deserialize_with = "number")]
    per_second: f64,
    /// In seconds: an answer that takes longer is a failure.
    #[serde(default = "five_seconds", deserialize_with = "seconds")]
    timeout: Duration,
    /// Where to ask, whatever the host of a URL resolves to.
    #[serde(default)]
    address: Option<IpAddr>,
    /// By host, the address at which the balancer knows it: tells how the requests of each went, where the balancer says
    /// who answered.
    #[serde(default)]
    nodes: BTreeMap<String, String>,
    /// The last reading: the requests end.
    #[serde(default)]
    last: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    url: String,
    /// Without it, anything below 500 is good.
    #[serde(default)]
    status: Option<Statuses>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

fn five() -> f64 {
    5.0
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

impl Module for Probe {
    const NAME: &'static str = "probe";
    const KIND: Kind = Kind::Probe;
    const ABOUT: &'static str =
        "sends requests at a steady pace from now on, and tells what they came to so far";
    const EXAMPLE: &'static str = "\
probe:
  name: gateway
  requests:
    - { url: \"https://api.example.com/health-check\", status: 200 }
    - { url: \"https://api.example.com/pizzashack/1.0.0/menu\" }
  per_second: 5
  address: 10.0.1.5
  nodes: { gw-1: 10.0.1.11, gw-2: 10.0.1.12 }
";
    type Change = String;

    fn review(&self, review: &mut Review<'_>) {
        if !(self.per_second > 0.0 && self.per_second <= 100.0) {
            let reason = "it is a number above 0, at most 100";
            review.push(Fault::of("per_second", self.per_second, reason));
        }
    }

    fn check(&self, system: &System) -> Result<Vec<String>> {
        let tally = system.steady(&self.name, &self.steady())?;
        if self.last {
            system.unsteady(&self.name);
        }
        let by = self.nodes.iter().filter_map(|(host, address)| {
            let went = tally.by.get(&address.parse().ok()?)?;
            Some((host.as_str(), went))
        });
        system.note("probed", told(&tally.all)?);
        system.note("probed_by", told(&BTreeMap::from_iter(by))?);
        Ok(vec![])
    }

    fn apply(&self, _: &System, _: String) -> Result<()> {
        Ok(())
    }
}

fn told(probed: &impl Serialize) -> Result<Value> {
    serde_json::to_value(probed).map_err(|e| Failure::new(format!("it cannot be told: {e}")))
}

impl Probe {
    fn steady(&self) -> Steady {
        let question = |ask: &Ask| Question {
            request: Request {
                headers: ask.headers.clone().into_iter().collect(),
                // Asked is whether it serves, whoever signed for its name.
                verify: false,
                timeout: self.timeout,
                redirects: 0,
                address: self.address,
                ..Request::get(&ask.url)
            },
            statuses: ask.status.as_ref().map(|s| s.0.clone()).unwrap_or_default(),
        };
        Steady {
            questions: self.requests.iter().map(question).collect(),
            per_second: self.per_second,
        }
    }
}
