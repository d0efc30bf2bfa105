//! `systemd`: a unit in the state that is asked for.

use super::shared::unit::{self, Unit};
use super::{Fault, Kind, Module, Review};
use crate::system::{Result, System};
use serde::Deserialize;
use std::cell::Cell;
use std::fmt;

/// Keeps a unit running or stopped, enabled or not; all but `restarted` and `reloaded` find
/// nothing to do the second time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Systemd {
    /// May be missing when only `daemon_reload` is asked for.
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    state: Option<State>,
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    masked: Option<bool>,
    /// Reads changed unit files; nothing is done when none changed.
    #[serde(default)]
    daemon_reload: bool,
    #[serde(default)]
    #[expect(
        dead_code,
        reason = "there is one scope: user units are refused when parameters are read"
    )]
    scope: Scope,
    /// A restart leaves no trace that a second look could find, so it is remembered here.
    #[serde(skip)]
    restarted: Cell<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Started,
    Stopped,
    Restarted,
    Reloaded,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Scope {
    #[default]
    System,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    DaemonReload,
    Unmask,
    Enable,
    Disable,
    Start,
    Stop,
    Restart,
    Reload,
    /// Last: a masked unit can be stopped, but not started.
    Mask,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DaemonReload => "reload systemd's unit files",
            Self::Unmask => "unmask",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::Mask => "mask",
        })
    }
}

impl Module for Systemd {
    const NAME: &'static str = "systemd";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "keeps a systemd unit running or stopped, enabled or not";
    const EXAMPLE: &'static str =
        "systemd:\n  name: nginx\n  state: started\n  enabled: true\n  daemon_reload: true\n";
    type Change = Change;

    fn review(&self, review: &mut Review<'_>) {
        match &self.name {
            Some(name) if name.chars().any(char::is_whitespace) || name.is_empty() => {
                review.push(Fault::of("name", name, "it is no name of a unit"));
            }
            Some(_) => {}
            None if self.state.is_some() || self.enabled.is_some() || self.masked.is_some() => {
                review.push(Fault::new("it needs the `name` of a unit for this"));
            }
            None if !self.daemon_reload => review.push(
                Fault::new("it says nothing to do")
                    .help("give the `name` of a unit and its `state`, or `daemon_reload: true`"),
            ),
            None => {}
        }
    }

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        let Some(name) = &self.name else {
            return self.check_without_a_unit(system);
        };
        let unit = Unit::look(system, name)?;
        if !unit.exists() && self.wants_it_gone() {
            return Ok(vec![]);
        }
        let changes = [
            (self.daemon_reload && unit.needs_reload()).then_some(Change::DaemonReload),
            (self.masked == Some(false) && unit.is_masked()).then_some(Change::Unmask),
            self.enabling(&unit),
            self.running(&unit),
            (self.masked == Some(true) && !unit.is_masked()).then_some(Change::Mask),
        ];
        Ok(changes.into_iter().flatten().collect())
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        let name = unit::full_name(self.name.as_deref().unwrap_or_default());
        match change {
            Change::DaemonReload => unit::daemon_reload(system),
            Change::Unmask => unit::order(system, "unmask", &name),
            Change::Mask => unit::order(system, "mask", &name),
            Change::Enable => unit::order(system, "enable", &name),
            Change::Disable => unit::order(system, "disable", &name),
            Change::Start => {
                self.restarted.set(true);
                unit::start(system, &name)
            }
            Change::Stop => unit::order(system, "stop", &name),
            Change::Restart => {
                self.restarted.set(true);
                unit::restart(system, &name)
            }
            Change::Reload => {
                self.restarted.set(true);
                unit::order(system, "reload", &name)
            }
        }
    }
}

impl Systemd {
    /// Stopping or disabling what is not installed is no work, as in Ansible.
    fn wants_it_gone(&self) -> bool {
        self.state.is_none_or(|s| s == State::Stopped)
            && self.enabled != Some(true)
            && self.masked != Some(true)
    }

    fn enabling(&self, unit: &Unit) -> Option<Change> {
        match self.enabled? {
            true if !unit.is_enabled() => Some(Change::Enable),
            false if unit.can_be_disabled() => Some(Change::Disable),
            _ => None,
        }
    }

    fn running(&self, unit: &Unit) -> Option<Change> {
        match self.state? {
            State::Started if unit.is_down() || unit.is_restarting() => Some(Change::Start),
            State::Stopped if !unit.is_down() => Some(Change::Stop),
            // Done just now. A unit that ends by itself, or skips itself on this host, is down and well.
            State::Restarted | State::Reloaded if self.restarted.get() => {
                unit.has_failed().then_some(Change::Start)
            }
            // What is down needs no reload: it reads everything when it starts.
            State::Restarted | State::Reloaded if unit.is_down() => Some(Change::Start),
            State::Restarted => Some(Change::Restart),
            State::Reloaded => Some(Change::Reload),
            _ => None,
        }
    }

    /// A unit that systemd never loaded is read when it is first asked for; only loaded ones go stale.
    fn check_without_a_unit(&self, system: &System) -> Result<Vec<Change>> {
        let every = crate::system::Command::new([
            "systemctl",
            "show",
            "*",
            "--property=Id,NeedDaemonReload",
        ]);
        let stale = system
            .expect(&every)?
            .stdout
            .lines()
            .any(|l| l == "NeedDaemonReload=yes");
        Ok(Vec::from_iter(
            (self.daemon_reload && stale).then_some(Change::DaemonReload),
        ))
    }
}
