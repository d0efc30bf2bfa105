//! `assert`: stops the host where something it relies on does not hold.

use super::{Kind, Module};
use crate::system::{Result, System};
use crate::wire::Failure;
use serde::Deserialize;

/// People write `that:` with conditions; the controller decides them and sends `checks`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assert {
    checks: Vec<Check>,
    #[serde(alias = "msg")]
    fail_msg: Option<String>,
    success_msg: Option<String>,
    /// Taken because tasks written for Ansible say so; we are always quiet.
    #[serde(default, rename = "quiet")]
    _quiet: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    /// As written.
    condition: String,
    holds: bool,
}

impl Module for Assert {
    const NAME: &'static str = "assert";
    const KIND: Kind = Kind::Look;
    const ABOUT: &'static str = "stops the host where something it relies on does not hold";
    const EXAMPLE: &'static str = r#"assert:
  that:
    - ansible_facts.memtotal_mb >= 4096
    - groups.gateway | length > 1
  fail_msg: a gateway needs 4 GiB of memory and a second gateway beside it
"#;
    type Change = String;

    fn check(&self, system: &System) -> Result<Vec<String>> {
        let broken: Vec<_> = self.checks.iter().filter(|c| !c.holds).collect();
        let Some(first) = broken.first() else {
            system.note(
                "msg",
                self.success_msg.as_deref().unwrap_or("all assertions hold"),
            );
            return Ok(vec![]);
        };
        system.note("assertion", first.condition.clone());
        let otherwise = format!("`{}` does not hold", first.condition);
        let told = broken
            .iter()
            .map(|c| format!("does not hold: {}", c.condition));
        Err(match &self.fail_msg {
            Some(message) => Failure::new(message.clone()).detail(told),
            None => Failure::new(otherwise).detail(told.skip(1)),
        })
    }

    fn apply(&self, _: &System, _: String) -> Result<()> {
        Ok(())
    }
}
