//! `debug`: says something, changes nothing.

use super::{Kind, Module};
use crate::system::{Result, System};
use serde::Deserialize;
use serde_json::Value;

/// Shows `msg`, which the controller does when the step is told; anything that is no text is shown as JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debug {
    msg: Value,
}

impl Module for Debug {
    const NAME: &'static str = "debug";
    const KIND: Kind = Kind::Look;
    const ABOUT: &'static str = "says something, changes nothing";
    const EXAMPLE: &'static str =
        "debug:\n  msg: \"{{ inventory_hostname }} is in {{ group_names }}\"\n";
    type Change = String;

    fn check(&self, system: &System) -> Result<Vec<String>> {
        system.note("msg", self.msg.clone());
        Ok(vec![])
    }

    fn apply(&self, _: &System, _: String) -> Result<()> {
        Ok(())
    }
}
