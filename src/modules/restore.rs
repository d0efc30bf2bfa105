//! `restore`: a service as it was before `instance` changed it last.
//!
//! `instance` keeps files and release of a running service when it stops it. This brings them back, whether the new
//! state starts, hangs or serves wrongly.

use super::shared::generation::{self, Generation};
use super::shared::patience::Patience;
use super::shared::unit::{self, Unit};
use super::shared::words::seconds;
use super::{Kind, Module};
use crate::system::{Result, System};
use crate::wire::Failure;
use serde::Deserialize;
use std::fmt;
use std::time::Duration;

/// Brings a service back to what it was before its last change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// The systemd unit.
    service: String,
    /// In seconds: until all of its processes must be gone.
    #[serde(default = "five_minutes", deserialize_with = "seconds")]
    stop_timeout: Duration,
    /// In seconds: between the end of the last process and the start of the next, as for `instance`.
    #[serde(default, deserialize_with = "seconds")]
    settle: Duration,
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

#[derive(Debug)]
pub struct Change {
    release: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bring the old state back: {}", self.release)
    }
}

impl Module for Restore {
    const NAME: &'static str = "restore";
    const KIND: Kind = Kind::Action;
    const ABOUT: &'static str = "brings a service back to what it was before `instance` changed it";
    const EXAMPLE: &'static str = "\
restore:
  service: wso2-apim
  stop_timeout: 300
  settle: 15
";
    type Change = Change;

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        let release = self.kept(system)?.release();
        Ok(vec![Change { release }])
    }

    fn apply(&self, system: &System, _: Change) -> Result<()> {
        let kept = self.kept(system)?;
        if !Unit::look(system, &self.service)?.is_down() {
            unit::stop(system, &self.service, self.stop_timeout)?;
        }
        kept.put_back(system, &self.service)?;
        unit::daemon_reload(system)?;
        Patience::new(system, self.settle).rest(self.settle);
        unit::start(system, &self.service)
    }
}

impl Restore {
    fn kept(&self, system: &System) -> Result<Generation> {
        generation::read(system, &self.service)?.ok_or_else(|| {
            Failure::new(format!("nothing was kept of {}", self.service)).help(
                "an earlier state is kept when a running service is changed; this one never was",
            )
        })
    }
}
