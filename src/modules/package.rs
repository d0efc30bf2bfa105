//! `package`: packages by whatever package manager the host has.

use super::shared::packages::{Change, Manager, State, Wanted};
use super::shared::words::Words;
use super::{Kind, Module};
use crate::system::{Result, System};
use serde::Deserialize;
use std::time::Duration;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    name: Words,
    #[serde(default)]
    state: State,
    /// Refresh the lists first, when something has to be installed.
    #[serde(default)]
    update_cache: bool,
}

impl Module for Package {
    const NAME: &'static str = "package";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str =
        "keeps packages installed or absent with the package manager of the host";
    const EXAMPLE: &'static str = "package:\n  name: rsync\n  state: present\n";
    type Change = Change;

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        Manager::of(system)?.check(system, &self.wanted())
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        Manager::of(system)?.apply(system, &self.wanted(), &change)
    }
}

impl Package {
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
