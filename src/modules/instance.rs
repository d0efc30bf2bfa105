//! `instance`: a node as one thing, its files, its release link and its service.
//!
//! A server reads its files when it likes, so those of a running one are never changed under it:
//! whatever differs, it is stopped first, changed, and started again. The order of the changes is
//! the order of `check`'s answer. A run that is killed anywhere in between converges the next time:
//! what was not written still differs, and what was written is newer than the process.

use super::shared::delivered::{Delivered, short};
use super::shared::generation::{self, Before};
use super::shared::identity::{self, Stranger};
use super::shared::log::{self, Boot};
use super::shared::patience::{Patience, spoken};
use super::shared::unit::{self, Unit};
use super::shared::words::seconds;
use super::{Brings, Kind, Module};
use crate::system::{FileKind, Result, System};
use crate::wire::Failure;
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Keeps a node's service running with exactly these files and this release.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// The systemd unit.
    service: String,
    #[serde(default)]
    link: Option<Link>,
    #[serde(default)]
    files: Vec<Delivered>,
    /// Files that must not be there: an application under its old name, a library that another one replaces.
    #[serde(default)]
    absent: Vec<PathBuf>,
    /// In seconds: until all of its processes must be gone.
    #[serde(default = "default_stop_timeout", deserialize_with = "seconds")]
    stop_timeout: Duration,
    /// In seconds: between the end of the last process and the start of the next. A cluster that
    /// still remembers the old one may refuse the new one, or wait for it forever.
    #[serde(default, deserialize_with = "seconds")]
    settle: Duration,
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    state: State,
    /// The server's own log, whose end is shown when it does not start.
    #[serde(default)]
    log: Option<PathBuf>,
    #[serde(default)]
    dead: Option<Dead>,
    /// In milliseconds since the epoch, by the host's clock: a process that is older is started anew. Zero: none is.
    #[serde(default)]
    fresh_since: i64,
}

/// How to tell a process that lives and will never serve: a server may lose its database or a port while
/// booting, say so, and stay. It is started anew; one that listens on all its ports never is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dead {
    ports: Vec<u16>,
    /// What its log says since its start.
    #[serde(default)]
    fatal: Vec<String>,
    /// In seconds: a boot that takes longer is none.
    #[serde(deserialize_with = "seconds")]
    within: Duration,
}

/// The link that says which release runs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    path: PathBuf,
    target: PathBuf,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    #[default]
    Started,
    Stopped,
}

fn default_stop_timeout() -> Duration {
    Duration::from_secs(300)
}

#[derive(Debug)]
pub enum Change {
    Stop {
        why: Option<String>,
        /// It runs, and not only what an earlier stop left of it: what it is now is kept.
        runs: bool,
    },
    /// The number of the file, and its name for people.
    Swap {
        file: usize,
        name: String,
    },
    Remove {
        path: PathBuf,
    },
    Switch {
        link: String,
        target: String,
    },
    DaemonReload,
    Enable,
    Disable,
    Start,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop { why: None, .. } => f.write_str("stop"),
            Self::Stop { why: Some(why), .. } => write!(f, "stop: {why}"),
            Self::Swap { name, .. } => write!(f, "swap {name}"),
            Self::Remove { path } => write!(f, "remove {}", short(path)),
            Self::Switch { link, target } => write!(f, "switch {link} to {target}"),
            Self::DaemonReload => f.write_str("reload systemd's unit files"),
            Self::Enable => f.write_str("enable"),
            Self::Disable => f.write_str("disable"),
            Self::Start => f.write_str("start"),
        }
    }
}

impl Module for Instance {
    const NAME: &'static str = "instance";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str =
        "keeps a node's service running with exactly these files and this release";
    const EXAMPLE: &'static str = "\
instance:
  service: wso2-apim
  link: { path: /opt/wso2/apim/current, target: /opt/wso2/apim/releases/4.5.0 }
  files:
    - template: deployment.toml
      dest: /opt/wso2/apim/releases/4.5.0/repository/conf/deployment.toml
      owner: wso2
      mode: \"0640\"
      secret: true
    - { template: wso2-apim.service, dest: /etc/systemd/system/wso2-apim.service }
  absent: [/opt/wso2/apim/releases/4.5.0/repository/components/dropins/handler_1.0.0.jar]
  stop_timeout: 300
  settle: 15
  enabled: true
  log: /opt/wso2/apim/current/repository/logs/wso2carbon.log
  dead: { ports: [9443], fatal: [Address already in use], within: 600 }
  fresh_since: 0
";
    const BRINGS: Brings = Brings::Files;
    type Change = Change;

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        let unit = Unit::look(system, &self.service)?;
        let stranger = self.stranger(system, &unit);
        // First: whoever looks must learn it also where something below cannot be read.
        self.note_what_runs(system, &unit, stranger.as_ref())?;
        let swaps = self.differing_files(system)?;
        let removals = self.present_files(system)?;
        let switch = self.differing_link(system)?;
        let why = match (swaps.first(), removals.first(), &switch, stranger) {
            (Some((_, why)), ..) => Some(why.clone()),
            (None, Some(path), ..) => Some(format!("{} is there", short(path))),
            (None, None, Some(_), _) => Some("another release".to_owned()),
            (None, None, None, Some(stranger)) => Some(stranger.words()),
            (None, None, None, None) => self.is_not_to_go_on(system, &unit)?,
        };
        let wanted = self.state == State::Started;
        let runs = !unit.is_down();
        let stop = match runs {
            true => !wanted || why.is_some(),
            false => !unit.is_gone(system),
        };
        let start = wanted && (stop || !runs || unit.is_restarting());
        let reload = unit.needs_reload() || swaps.iter().any(|(file, _)| self.is_unit_file(*file));

        let mut changes = Vec::new();
        changes.extend(stop.then_some(Change::Stop { why, runs }));
        changes.extend(swaps.into_iter().map(|(file, _)| self.swap(file)));
        changes.extend(removals.into_iter().map(|path| Change::Remove { path }));
        changes.extend(switch);
        changes.extend(reload.then_some(Change::DaemonReload));
        changes.extend(self.enabling(&unit));
        changes.extend(start.then_some(Change::Start));
        Ok(changes)
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        let name = unit::full_name(&self.service);
        match change {
            Change::Stop { runs, .. } => self.stop(system, runs),
            Change::Swap { file, .. } => self.files.get(file).map_or(Ok(()), |file| {
                generation::keep_too(system, &self.service, &file.dest)?;
                file.put(system)
            }),
            Change::Remove { path } => {
                generation::keep_too(system, &self.service, &path)?;
                system.remove(&path)
            }
            Change::Switch { .. } => self
                .link
                .as_ref()
                .map_or(Ok(()), |link| system.replace_link(&link.path, &link.target)),
            Change::DaemonReload => unit::daemon_reload(system),
            Change::Enable => unit::order(system, "enable", &name),
            Change::Disable => unit::order(system, "disable", &name),
            Change::Start => self.start(system),
        }
    }
}

impl Dead {
    fn closed_port(&self, system: &System) -> Result<Option<u16>> {
        for port in &self.ports {
            if !system.is_open("127.0.0.1", *port, Duration::from_secs(2))? {
                return Ok(Some(*port));
            }
        }
        Ok(None)
    }
}

impl Instance {
    /// The number of each file that differs, and why as people read it.
    fn differing_files(&self, system: &System) -> Result<Vec<(usize, String)>> {
        let mut found = Vec::new();
        for (number, file) in self.files.iter().enumerate() {
            if let Some(difference) = file.difference(system)? {
                found.push((number, format!("{} {difference}", file.name())));
            }
        }
        Ok(found)
    }

    /// The files that must not be there and are. Nothing but a file can be kept for `restore`.
    fn present_files(&self, system: &System) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for path in &self.absent {
            let shown = path.display();
            if self.files.iter().any(|file| file.dest == *path) {
                return Err(Failure::new(format!(
                    "{shown} is to be there by `files` and gone by `absent`"
                ))
                .help("take it out of one of the two lists"));
            }
            let Some(meta) = system.meta(path)? else {
                continue;
            };
            if meta.kind != FileKind::File {
                return Err(Failure::new(format!("{shown} is no file, and `absent` takes files only"))
                    .help("what is removed is kept, so that `restore` brings it back: name files; a `file` task removes anything else"));
            }
            let size = format!("({} bytes that are not shown)\n", meta.size);
            system.note_diff(&path.to_string_lossy(), size.as_bytes(), b"");
            found.push(path.clone());
        }
        Ok(found)
    }

    fn stranger(&self, system: &System, unit: &Unit) -> Option<Stranger> {
        identity::stranger(system, unit, &self.link.as_ref()?.target)
    }

    /// What runs is kept before it is stopped; what never ran leaves nothing to go back to.
    fn note_what_runs(
        &self,
        system: &System,
        unit: &Unit,
        stranger: Option<&Stranger>,
    ) -> Result<()> {
        let has_a_past = !unit.is_down() || generation::is_kept(system, &self.service)?;
        system.note("installed", has_a_past);
        system.note("process", unit.main_pid());
        if let Some(link) = &self.link
            && let Some(target) = system.read_link(&link.path)?
        {
            let release = stranger.map_or_else(|| short(&target), Stranger::release);
            system.note("release", release);
        }
        Ok(())
    }

    /// Why a process whose files and release are the wanted ones is started anew all the same.
    fn is_not_to_go_on(&self, system: &System, unit: &Unit) -> Result<Option<String>> {
        if unit.is_down() {
            let left = unit.processes(system);
            let left = left.first();
            return Ok(left.map(|pid| format!("process {pid} of the last stop is left")));
        }
        let why = match self.newer_than_the_process(system, unit)? {
            None => self.will_never_serve(system, unit)?,
            some => some,
        };
        Ok(why.or_else(|| self.is_too_old(unit)))
    }

    fn differing_link(&self, system: &System) -> Result<Option<Change>> {
        let Some(link) = &self.link else {
            return Ok(None);
        };
        let same = system.read_link(&link.path)?.as_ref() == Some(&link.target);
        Ok((!same).then(|| Change::Switch {
            link: short(&link.path),
            target: short(&link.target),
        }))
    }

    /// What was written after the process was started, so that the process cannot have read it: an
    /// earlier run was stopped before it could restart the service.
    fn newer_than_the_process(&self, system: &System, unit: &Unit) -> Result<Option<String>> {
        let files = self.files.iter().map(|f| f.dest.as_path());
        for path in files.chain(self.link.as_ref().map(|l| l.path.as_path())) {
            if unit.is_older_than(system, path)? {
                return Ok(Some(format!("{} is newer than the process", short(path))));
            }
        }
        Ok(None)
    }

    fn will_never_serve(&self, system: &System, unit: &Unit) -> Result<Option<String>> {
        let (Some(dead), Some((started, _)), false) = (&self.dead, unit.started(), unit.is_down())
        else {
            return Ok(None);
        };
        let Some(port) = dead.closed_port(system)? else {
            return Ok(None);
        };
        if let Some(log) = &self.log {
            let fatal: Vec<_> = dead
                .fatal
                .iter()
                .map(|f| log::pattern(f))
                .collect::<Result<_>>()?;
            let lines = Boot::new(system, log, started)?.news();
            let is_fatal = |line: &String| fatal.iter().any(|f| f.is_match(line));
            if let Some(at) = lines.iter().position(is_fatal) {
                let words = log::report(&lines, at);
                return Ok(Some(format!("port {port} is closed: {words}")));
            }
        }
        let since = Duration::from_secs(u64::try_from(started).unwrap_or(0));
        let up = now().saturating_sub(since);
        Ok((up > dead.within)
            .then(|| format!("port {port} is closed {} after the start", spoken(up))))
    }

    fn is_too_old(&self, unit: &Unit) -> Option<String> {
        let (started, _) = unit.started()?;
        (started < self.fresh_since / 1000).then(|| "a restart was asked for".to_owned())
    }

    fn swap(&self, file: usize) -> Change {
        let name = self
            .files
            .get(file)
            .map(Delivered::name)
            .unwrap_or_default();
        Change::Swap { file, name }
    }

    fn is_unit_file(&self, file: usize) -> bool {
        self.files
            .get(file)
            .is_some_and(|f| f.dest.starts_with("/etc/systemd/system"))
    }

    fn enabling(&self, unit: &Unit) -> Option<Change> {
        match self.enabled? {
            true if !unit.is_enabled() => Some(Change::Enable),
            false if unit.can_be_disabled() => Some(Change::Disable),
            _ => None,
        }
    }

    /// What the stopped time will need is brought first: a node must not be down while a file is on
    /// its way or turns out to have no owner. What runs is kept, for `restore`: also its release, for a way back later.
    fn stop(&self, system: &System, runs: bool) -> Result<()> {
        for file in &self.files {
            file.stage(system)?;
        }
        if runs {
            self.keep(system, Before::Change)?;
        }
        if self.differing_link(system)?.is_some() {
            self.keep(system, Before::Release)?;
        }
        unit::stop(system, &self.service, self.stop_timeout)
    }

    fn keep(&self, system: &System, before: Before) -> Result<()> {
        let files = self.files.iter().map(|f| f.dest.as_path());
        let files = files.chain(self.absent.iter().map(PathBuf::as_path));
        let link = self.link.as_ref();
        let link = link.map(|l| (l.path.as_path(), l.target.as_path()));
        generation::keep(system, (&self.service, before), files, link)
    }

    fn start(&self, system: &System) -> Result<()> {
        self.let_it_settle(system)?;
        unit::start(system, &self.service).map_err(|failure| match &self.log {
            Some(log) => failure.detail(log::tail(system, log, 15)),
            None => failure,
        })?;
        match &self.link {
            Some(link) => {
                let unit = Unit::look(system, &self.service)?;
                identity::confirm(system, &unit, &link.target)
            }
            None => Ok(()),
        }
    }

    /// systemd remembers when the unit went down, so the pause is kept even across runs.
    fn let_it_settle(&self, system: &System) -> Result<()> {
        let Some((ended, _)) = Unit::look(system, &self.service)?.ended() else {
            return Ok(());
        };
        let ended = Duration::from_secs(u64::try_from(ended).unwrap_or(0)) + Duration::from_secs(1);
        let left = (ended + self.settle).saturating_sub(now()).min(self.settle);
        let patience = Patience::new(system, left);
        while !patience.is_over() {
            system.progress(&format!(
                "letting the cluster forget the old process: {} more",
                spoken(left.saturating_sub(patience.waited()) + Duration::from_millis(999))
            ));
            patience.rest(Duration::from_secs(1));
        }
        Ok(())
    }
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}
