//! `group`: a local group.

use super::{Kind, Module, Review};
use crate::system::{Command, Group as Found, Result, System};
use serde::Deserialize;
use std::fmt;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    name: String,
    gid: Option<u32>,
    /// A number from the range of system groups; only heeded when the group is made.
    #[serde(default)]
    system: bool,
    #[serde(default)]
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    #[default]
    Present,
    Absent,
}

pub enum Change {
    Create,
    Renumber { from: u32, to: u32 },
    Remove,
}

impl Group {
    fn create(&self) -> Command {
        let mut argv = vec!["groupadd".to_owned()];
        if self.system {
            argv.push("--system".into());
        }
        if let Some(gid) = self.gid {
            argv.extend(["--gid".into(), gid.to_string()]);
        }
        argv.push(self.name.clone());
        Command::new(argv)
    }

    fn compare(&self, found: &Found) -> Option<Change> {
        let (from, to) = (found.gid, self.gid?);
        (from != to).then_some(Change::Renumber { from, to })
    }
}

impl Module for Group {
    const NAME: &'static str = "group";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "a local group";
    const EXAMPLE: &'static str = "group:\n  name: wso2\n  system: true\n";
    type Change = Change;

    fn review(&self, review: &mut Review<'_>) {
        review.account("name", self.name.as_str());
    }

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        system.note("name", self.name.clone());
        let change = match (self.state, system.group(&self.name)?) {
            (State::Present, None) => Some(Change::Create),
            (State::Present, Some(found)) => self.compare(&found),
            (State::Absent, None) => None,
            (State::Absent, Some(_)) => Some(Change::Remove),
        };
        Ok(change.into_iter().collect())
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        let name = self.name.as_str();
        let command = match change {
            Change::Create => self.create(),
            Change::Renumber { to, .. } => {
                Command::new(["groupmod", "--gid", to.to_string().as_str(), name])
            }
            Change::Remove => Command::new(["groupdel", name]),
        };
        system.expect(&command).map(drop)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create => f.write_str("create"),
            Self::Renumber { from, to } => write!(f, "gid {from} -> {to}"),
            Self::Remove => f.write_str("remove"),
        }
    }
}
