//! `set_fact`: variables for the rest of the run. The controller decides them; the host only hears of it, so
//! that the story has it in its place.

use super::{Kind, Module};
use crate::system::{Result, System};
use serde::Deserialize;

/// Users write `name: value` pairs; the controller keeps them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetFact {}

impl Module for SetFact {
    const NAME: &'static str = "set_fact";
    const KIND: Kind = Kind::Look;
    const ABOUT: &'static str = "sets variables of the host for the rest of the run";
    const EXAMPLE: &'static str = "set_fact:\n  data_disk: \"{{ '/data' if ansible_facts.memtotal_mb > 8000 else '/srv' }}\"\n";
    type Change = String;

    fn check(&self, _: &System) -> Result<Vec<String>> {
        Ok(vec![])
    }

    fn apply(&self, _: &System, _: String) -> Result<()> {
        Ok(())
    }
}
