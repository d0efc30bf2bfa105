//! `restore`: a service as it was before `instance` changed it.
//!
//! `instance` keeps files and release of a running service when it stops it. This brings them back: the state before the
//! last change, whether the new state starts, hangs or serves wrongly; or the state before the last change of release, for
//! as long as that release is the one that runs.

use super::shared::delivered::short;
use super::shared::generation::{self, Before, Generation};
use super::shared::patience::Patience;
use super::shared::unit::{self, Unit};
use super::shared::words::seconds;
use super::{Kind, Module};
use crate::system::{Result, System};
use crate::wire::{Failure, Release};
use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Brings a service back to what it was.
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
    /// Before what: the last change of anything, or of the release that `link` names.
    #[serde(default)]
    before: Before,
    /// The link that says which release runs.
    #[serde(default)]
    link: Option<PathBuf>,
    /// With `before: release`, only from this one: a node that never came to it has nothing to go back from.
    #[serde(default)]
    from: Option<String>,
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

#[derive(Debug)]
pub struct Change {
    kept: Generation,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bring the old state back: {}", self.kept.release())
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
  before: release           # or change, the default: whatever it was
  link: /opt/wso2/apim/current
  from: 4.5.0+12
";
    type Change = Change;

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        let kept = match self.before {
            Before::Change => Some(self.kept(system)?),
            Before::Release => self.earlier(system)?,
        };
        Ok(kept.map(|kept| Change { kept }).into_iter().collect())
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        let kept = change.kept;
        if !Unit::look(system, &self.service)?.is_gone(system) {
            if self.before == Before::Release {
                self.keep_what_runs(system, &kept)?;
            }
            unit::stop(system, &self.service, self.stop_timeout)?;
        }
        if self.before == Before::Release {
            generation::choose(system, &self.service, &kept)?;
        }
        kept.put_back(system, &self.service, self.before)?;
        if self.before == Before::Change {
            generation::never_left(system, &self.service, &kept)?;
        }
        unit::daemon_reload(system)?;
        Patience::new(system, self.settle).rest(self.settle);
        unit::start(system, &self.service)
    }
}

impl Restore {
    fn kept(&self, system: &System) -> Result<Generation> {
        generation::read(system, &self.service, self.before)?.ok_or_else(|| {
            Failure::new(format!("nothing was kept of {}", self.service)).help(
                "an earlier state is kept when a running service is changed; this one never was",
            )
        })
    }

    /// `None` when there is no way back: the release that runs replaced no other one, or not under our eyes.
    fn earlier(&self, system: &System) -> Result<Option<Generation>> {
        let Some(runs) = self.runs(system)? else {
            return Ok(None);
        };
        system.note("release", short(&runs));
        let unit = Unit::look(system, &self.service)?;
        system.note("process", unit.main_pid());
        let is_meant = self.from.as_ref().is_none_or(|from| short(&runs) == *from);
        let aside = generation::set_aside_for(system, &self.service, &runs)?;
        let kept = generation::read(system, &self.service, self.before)?;
        let is_here = |kept: &Generation| kept.target() == Some(runs.as_path());
        let came_back = aside.is_none() && !unit.is_down() && kept.as_ref().is_some_and(is_here);
        system.note("came_back", came_back);
        // A way back that was stopped half-way goes on.
        let is_open = |kept: &Generation| {
            is_meant && kept.was_replaced_by(&runs) || unit.is_down() && is_here(kept)
        };
        let way = aside.filter(|_| is_meant).or(kept.filter(is_open));
        let Some((target, way)) = way.and_then(|way| Some((way.target()?.to_owned(), way))) else {
            return Ok(None);
        };
        self.may_go(system, &runs, &target)?;
        system.note("earlier", short(&target));
        Ok(Some(way))
    }

    fn runs(&self, system: &System) -> Result<Option<PathBuf>> {
        let link = self.link.as_ref().ok_or_else(|| {
            Failure::new("`before: release` needs `link`, which says which release runs")
        })?;
        system.read_link(link)
    }

    /// What a newer line did to the database, no older one can read.
    fn may_go(&self, system: &System, runs: &Path, target: &Path) -> Result<()> {
        let of = |path: &Path| Release::of(&path.to_string_lossy());
        let (now, then) = (of(runs), of(target));
        let line = |release: &Option<Release>| release.as_ref().map(|r| r.line().to_vec());
        if line(&now).is_none() || line(&now) != line(&then) {
            return Err(Failure::new(format!(
                "{} runs here and {} ran before, which is of another line: the database was changed since",
                short(runs),
                short(target)
            ))
            .help("the way back is the old nodes and the database's backup: see playbooks/migrate.yaml"));
        }
        match system.meta(target)? {
            Some(_) => Ok(()),
            None => Err(Failure::new(format!(
                "{} ran before, and {} is gone",
                short(target),
                target.display()
            ))
            .help("name that release in the inventory and run with `-e release_may_be_older=true`: it is unpacked anew")),
        }
    }

    /// What runs may turn out to be better than what ran before.
    fn keep_what_runs(&self, system: &System, kept: &Generation) -> Result<()> {
        let link = self.link.as_deref().zip(kept.target());
        let service = (self.service.as_str(), Before::Change);
        generation::keep(system, service, kept.files(), link)
    }
}
