//! Rules that somebody decided to live without: `accepted_rules: { apim-50: "behind a private network" }`.

use super::{Site, all};
use crate::source::{Problem, Problems, Result, nearest};
use serde_json::Value;
use std::collections::BTreeMap;

/// The variable of the inventory.
pub const ACCEPTED: &str = "accepted_rules";

/// By host and rule, the reason that was given.
#[derive(Debug, Default)]
pub struct Accepted(BTreeMap<(String, String), String>);

impl Accepted {
    /// Reads the variable of every host.
    pub fn read(site: &Site) -> Result<Self> {
        let mut accepted = BTreeMap::new();
        let mut problems = Problems::new();
        for host in site.hosts.values() {
            let at = |problem: Problem| match host.places.get(ACCEPTED) {
                Some(span) => problem.at(span),
                None => problem,
            };
            let rules = match host.variable(ACCEPTED) {
                None | Some(Value::Null) => continue,
                Some(Value::Object(rules)) => rules,
                Some(_) => {
                    problems.push(at(Problem::new(format!("`{ACCEPTED}` needs a mapping"))
                        .help(
                            "write the id of each rule with the reason: { apim-50: \"...\" }",
                        )));
                    continue;
                }
            };
            for (id, reason) in rules {
                match reason.as_str().map(str::trim) {
                    _ if !all().any(|rule| rule.id == id) => problems.push(at(unknown(id))),
                    Some(reason) if !reason.is_empty() => {
                        let key = (host.name.clone(), id.clone());
                        accepted.insert(key, reason.to_owned());
                    }
                    _ => problems.push(at(Problem::new(format!(
                        "`{ACCEPTED}` gives no reason for `{id}`"
                    ))
                    .help("say in one sentence why this is right here"))),
                }
            }
        }
        problems.or(Self(accepted))
    }

    /// Why all of these hosts live with what the rule found.
    pub(super) fn reason(&self, rule: &str, hosts: &[String]) -> Option<String> {
        let reasons: Option<Vec<&String>> = hosts
            .iter()
            .map(|host| self.0.get(&(host.clone(), rule.to_owned())))
            .collect();
        reasons?.first().map(|reason| (*reason).clone())
    }
}

fn unknown(id: &str) -> Problem {
    let problem = Problem::new(format!(
        "`{ACCEPTED}` names `{id}`, and there is no such rule"
    ));
    match nearest(id, all().map(|rule| rule.id)) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help("`apim-deploy check --rules` lists them"),
    }
}
