//! `service`: Ansible's other name for `systemd`; every host we run on has systemd.

use super::systemd::{Change, Systemd};
use super::{Kind, Module, Review};
use crate::system::{Result, System};
use serde::Deserialize;

/// The same parameters, the same doing.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Service(Systemd);

impl Module for Service {
    const NAME: &'static str = "service";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "the same as `systemd`";
    const EXAMPLE: &'static str = "service:\n  name: nginx\n  state: reloaded\n";
    type Change = Change;

    fn review(&self, review: &mut Review<'_>) {
        self.0.review(review);
    }

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        self.0.check(system)
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        self.0.apply(system, change)
    }
}
