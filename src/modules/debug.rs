//! `debug`: says something, changes nothing.

use super::{Brings, Fault, Kind, Module, Review};
use crate::system::{Result, System};
use serde::Deserialize;
use serde_json::Value;

/// The controller shows it when the step is told; anything that is no text is shown as JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debug {
    msg: Option<Value>,
    /// A variable's name, or an expression over variables, without braces.
    var: Option<String>,
    /// What `var` gives, put here by the controller.
    #[serde(default)]
    value: Value,
}

impl Module for Debug {
    const NAME: &'static str = "debug";
    const KIND: Kind = Kind::Look;
    const ABOUT: &'static str = "says something, changes nothing";
    const EXAMPLE: &'static str =
        "debug:\n  msg: \"{{ inventory_hostname }} is in {{ group_names }}\"\n";
    const BRINGS: Brings = Brings::Value;
    type Change = String;

    fn review(&self, review: &mut Review<'_>) {
        match (&self.msg, &self.var) {
            (None, None) => review.push(Fault::new("`debug` needs `msg` or `var`")),
            (Some(_), Some(_)) => review.push(
                Fault::new("`debug` takes `msg` or `var`, not both").help("write a task for each"),
            ),
            (None, Some(var)) => review.filled("var", var.as_str()),
            (Some(_), None) => {}
        }
    }

    fn check(&self, system: &System) -> Result<Vec<String>> {
        if let Some(msg) = &self.msg {
            system.note("msg", msg.clone());
        }
        if let Some(var) = &self.var {
            system.note(var, self.value.clone());
        }
        Ok(vec![])
    }

    fn apply(&self, _: &System, _: String) -> Result<()> {
        Ok(())
    }
}
