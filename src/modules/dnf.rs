//! `dnf`: packages of Red Hat and its relatives.

use super::shared::packages::{Change, Manager, State, Wanted};
use super::shared::words::Words;
use super::{Kind, Module};
use crate::system::{Result, System};
use serde::Deserialize;
use std::time::Duration;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dnf {
    name: Words,
    #[serde(default)]
    state: State,
    /// Refresh the lists first, when something has to be installed.
    #[serde(default)]
    update_cache: bool,
}

impl Module for Dnf {
    const NAME: &'static str = "dnf";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "keeps packages of Red Hat and its relatives installed or absent";
    const EXAMPLE: &'static str =
        "dnf:\n  name: [java-17-openjdk-headless, unzip]\n  state: present\n";
    type Change = Change;

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        Manager::Dnf.check(system, &self.wanted())
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        Manager::Dnf.apply(system, &self.wanted(), &change)
    }
}

impl Dnf {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            names: &self.name.0,
            state: self.state,
            update_cache: self.update_cache,
            cache_valid: Duration::ZERO,
            recommends: None,
        }
    }
}
