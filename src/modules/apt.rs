//! `apt`: packages of Debian and Ubuntu.

use super::shared::packages::{Change, Manager, State, Wanted, list_age};
use super::shared::words::Words;
use super::{Fault, Kind, Module, Review};
use crate::system::{Result, System};
use serde::Deserialize;
use std::cell::Cell;
use std::time::Duration;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apt {
    #[serde(default, alias = "pkg", alias = "package")]
    name: Words,
    #[serde(default)]
    state: State,
    /// Refresh the lists first. With names, only when something has to be installed.
    #[serde(default)]
    update_cache: bool,
    /// In seconds; younger lists are not refreshed.
    #[serde(default)]
    cache_valid_time: u64,
    #[serde(default)]
    install_recommends: Option<bool>,
    /// Lists that may never be old enough would be refreshed forever.
    #[serde(skip)]
    refreshed: Cell<bool>,
}

impl Module for Apt {
    const NAME: &'static str = "apt";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "keeps packages of Debian and Ubuntu installed or absent";
    const EXAMPLE: &'static str = "apt:\n  name: [openjdk-17-jre-headless, unzip]\n  state: present\n  update_cache: true\n  cache_valid_time: 3600\n";
    const ALIASES: &'static [(&'static str, &'static str)] =
        &[("pkg", "name"), ("package", "name")];
    type Change = Change;

    fn review(&self, review: &mut Review<'_>) {
        if !review.is_given("name") && !self.update_cache {
            review.push(Fault::new("`apt` needs `name` or `update_cache: true`"));
        }
    }

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        if !self.name.0.is_empty() {
            return Manager::Apt.check(system, &self.wanted());
        }
        let valid = Duration::from_secs(self.cache_valid_time);
        let stale = list_age(system)?.is_none_or(|age| age >= valid);
        let due = self.update_cache && stale && !self.refreshed.get();
        Ok(Vec::from_iter(due.then_some(Change::RefreshLists)))
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        self.refreshed.set(true);
        Manager::Apt.apply(system, &self.wanted(), &change)
    }
}

impl Apt {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            names: &self.name.0,
            state: self.state,
            // A validity without the order to refresh means one, as in Ansible.
            update_cache: self.update_cache || self.cache_valid_time > 0,
            cache_valid: Duration::from_secs(self.cache_valid_time),
            recommends: self.install_recommends,
        }
    }
}
