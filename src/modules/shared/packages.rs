//! Packages, by apt or dnf: one way of asking and of waiting, two package managers.

use super::patience::{Patience, spoken};
use crate::system::{Command, Output, Result, System};
use crate::wire::Failure;
use serde::Deserialize;
use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    #[default]
    #[serde(alias = "installed")]
    Present,
    #[serde(alias = "removed")]
    Absent,
    Latest,
}

/// What a task wants of the host's packages.
#[derive(Debug)]
pub struct Wanted<'a> {
    pub names: &'a [String],
    pub state: State,
    /// Refresh the lists first.
    pub update_cache: bool,
    /// Lists younger than this are fresh enough.
    pub cache_valid: Duration,
    /// apt's recommendations; `None` leaves it to the host's own settings.
    pub recommends: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    RefreshLists,
    Install(Vec<String>),
    Upgrade(Vec<String>),
    Remove(Vec<String>),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RefreshLists => f.write_str("refresh the package lists"),
            Self::Install(names) => write!(f, "install {}", names.join(", ")),
            Self::Upgrade(names) => write!(f, "upgrade {}", names.join(", ")),
            Self::Remove(names) => write!(f, "remove {}", names.join(", ")),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    Apt,
    Dnf,
    /// dnf's older brother, with the same words.
    Yum,
}

/// How long another package manager may keep its lock.
const LOCK_WAIT: Duration = Duration::from_secs(600);

impl Manager {
    /// The one that this host has.
    pub fn of(system: &System) -> Result<Self> {
        for (program, manager) in [
            ("/usr/bin/apt-get", Self::Apt),
            ("/usr/bin/dnf", Self::Dnf),
            ("/usr/bin/yum", Self::Yum),
        ] {
            if system.meta(Path::new(program))?.is_some() {
                return Ok(manager);
            }
        }
        Err(Failure::new("this host has none of apt-get, dnf and yum")
            .help("install what is needed by a `command` task, with `creates:` as its guard"))
    }

    pub fn check(self, system: &System, wanted: &Wanted) -> Result<Vec<Change>> {
        let mut has = Vec::new();
        let mut lacks = Vec::new();
        let installed = self.installed(system, wanted.names)?;
        for (name, is_there) in wanted.names.iter().zip(installed) {
            if is_there { &mut has } else { &mut lacks }.push(name.clone());
        }
        if wanted.state == State::Absent {
            return Ok(some(Change::Remove, has));
        }
        let mut changes = some(Change::Install, lacks);
        if wanted.state == State::Latest && !has.is_empty() {
            // Refreshing is part of looking: it changes what the host knows, not what it has.
            self.refresh_if_stale(system, wanted)?;
            changes.extend(some(Change::Upgrade, self.outdated(system, &has)?));
        }
        Ok(changes)
    }

    pub fn apply(self, system: &System, wanted: &Wanted, change: &Change) -> Result<()> {
        match change {
            Change::RefreshLists => self.refresh(system),
            Change::Remove(names) => self.must(system, &self.words("remove", names, None)),
            Change::Install(names) | Change::Upgrade(names) => {
                self.refresh_if_stale(system, wanted)?;
                self.install(system, names, wanted.recommends)
            }
        }
    }

    /// A package that is unknown may only be newer than the lists.
    fn install(self, system: &System, names: &[String], recommends: Option<bool>) -> Result<()> {
        let command = self.words("install", names, recommends);
        let output = self.run(system, &command)?;
        if output.ok() {
            return Ok(());
        }
        if !is_unknown(&output) {
            return Err(failed(&command, &output));
        }
        self.refresh(system)?;
        let output = self.run(system, &command)?;
        match output.ok() {
            true => Ok(()),
            false if is_unknown(&output) => Err(failed(&command, &output)
                .help("no package source of this host has it; correct the name or add the source")),
            false => Err(failed(&command, &output)),
        }
    }

    /// For each name, whether it is installed.
    fn installed(self, system: &System, names: &[String]) -> Result<Vec<bool>> {
        if self == Self::Apt {
            let known = dpkg(system)?;
            return Ok(names
                .iter()
                .map(|name| known.iter().any(|p| p.satisfies(name)))
                .collect());
        }
        names
            .iter()
            .map(|name| Ok(system.run(&Command::new(["rpm", "--query", "--whatprovides", name]))?.ok()))
            .collect()
    }

    fn outdated(self, system: &System, names: &[String]) -> Result<Vec<String>> {
        if self == Self::Apt {
            let mut argv = vec!["apt-get", "--simulate", "install"];
            argv.extend(names.iter().map(String::as_str));
            let plan = system.expect(&Command::new(argv).env("LC_ALL", "C"))?.stdout;
            return Ok(names.iter().filter(|n| plan.contains(&format!("Inst {n} "))).cloned().collect());
        }
        let mut argv = vec![self.program(), "--quiet", "check-update"];
        argv.extend(names.iter().map(String::as_str));
        // 100 means that there is something newer.
        let output = system.run(&Command::new(argv).env("LC_ALL", "C"))?;
        let newer = |name: &&String| output.stdout.lines().any(|l| l.starts_with(&format!("{name}.")));
        Ok(names.iter().filter(newer).filter(|_| output.code == 100).cloned().collect())
    }

    fn refresh_if_stale(self, system: &System, wanted: &Wanted) -> Result<()> {
        if wanted.update_cache && list_age(system)?.is_none_or(|age| age >= wanted.cache_valid) {
            self.refresh(system)?;
        }
        Ok(())
    }

    pub fn refresh(self, system: &System) -> Result<()> {
        let argv = match self {
            Self::Apt => vec!["apt-get", "-q", "update"],
            _ => vec![self.program(), "--quiet", "makecache"],
        };
        self.must(system, &quiet(Command::new(argv)))?;
        note_refresh(system);
        Ok(())
    }

    fn program(self) -> &'static str {
        match self {
            Self::Apt => "apt-get",
            Self::Dnf => "dnf",
            Self::Yum => "yum",
        }
    }

    fn words(self, verb: &str, names: &[String], recommends: Option<bool>) -> Command {
        let mut argv = vec![self.program(), "-y"];
        if self == Self::Apt {
            // A changed configuration file stays as the administrator left it; nobody can answer questions.
            argv.extend(["-q", "-o", "Dpkg::Options::=--force-confdef"]);
            argv.extend(["-o", "Dpkg::Options::=--force-confold", "-o", "DPkg::Lock::Timeout=30"]);
            match recommends {
                Some(true) => argv.push("--install-recommends"),
                Some(false) => argv.push("--no-install-recommends"),
                None => {}
            }
        }
        argv.push(verb);
        argv.extend(names.iter().map(String::as_str));
        quiet(Command::new(argv))
    }

    fn must(self, system: &System, command: &Command) -> Result<()> {
        let output = self.run(system, command)?;
        match output.ok() {
            true => Ok(()),
            false => Err(failed(command, &output)),
        }
    }

    /// Runs to the end, and again while somebody else holds the lock.
    fn run(self, system: &System, command: &Command) -> Result<Output> {
        let patience = Patience::new(system, LOCK_WAIT);
        loop {
            let output = system.run(command)?;
            match lock_owner(&output) {
                Some(owner) if !patience.is_over() => {
                    system.progress(&format!("{owner} (waiting since {})", spoken(patience.waited())));
                    patience.rest(Duration::from_secs(5));
                }
                _ => return Ok(output),
            }
        }
    }
}

fn some(change: fn(Vec<String>) -> Change, names: Vec<String>) -> Vec<Change> {
    match names.is_empty() {
        true => vec![],
        false => vec![change(names)],
    }
}

fn quiet(command: Command) -> Command {
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Ubuntu's helper asks which services to restart.
        .env("NEEDRESTART_MODE", "l")
        .env("LC_ALL", "C")
}

fn failed(command: &Command, output: &Output) -> Failure {
    let lines = output.stderr.lines().chain(output.stdout.lines());
    let errors = lines.filter(|l| l.starts_with("E:") || l.to_lowercase().contains("error"));
    Failure::new(format!("`{}` ended with exit code {}", command.shown(), output.code))
        .detail(errors.take(12).map(ToOwned::to_owned))
}

fn is_unknown(output: &Output) -> bool {
    const SIGNS: [&str; 5] = [
        "Unable to locate package",
        "has no installation candidate",
        // The lists name a version that the mirror has replaced since.
        "404  Not Found",
        "No match for argument",
        "Unable to find a match",
    ];
    SIGNS.iter().any(|s| output.stderr.contains(s) || output.stdout.contains(s))
}

/// apt's own sentence on who holds the lock: "It is held by process 812 (unattended-upgr)".
fn lock_owner(output: &Output) -> Option<String> {
    if output.ok() {
        return None;
    }
    let line = output.stderr.lines().find(|l| l.contains("Could not get lock"))?;
    Some(match line.split_once("It is held by ") {
        Some((_, owner)) => format!("the package lock is held by {}", owner.trim_end_matches('.')),
        None => "the package lock is held by another process".to_owned(),
    })
}

const LISTS: &str = "/var/lib/apt/lists";

/// How long ago the lists were refreshed; `None` when they never were.
pub fn list_age(system: &System) -> Result<Option<Duration>> {
    let mut newest = None;
    for path in ["/var/lib/apt/periodic/update-success-stamp", LISTS, "/var/cache/dnf"] {
        let then = system.meta(Path::new(path))?.map(|meta| meta.modified.0);
        newest = newest.max(then);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let then = newest.map(|s| Duration::from_secs(u64::try_from(s).unwrap_or(0)));
    Ok(then.map(|then| now.saturating_sub(then)))
}

/// apt leaves no trace of a refresh that found nothing new, unless the desktop's hook is installed.
fn note_refresh(system: &System) {
    if let Ok(lists) = std::fs::File::open(system.locate(Path::new(LISTS))) {
        // Without it the lists are only refreshed once too often.
        let _ = lists.set_modified(SystemTime::now());
    }
}

/// An installed package of dpkg.
struct Installed {
    name: String,
    architecture: String,
    version: String,
    provides: Vec<String>,
}

impl Installed {
    /// `name`, `name:arch` or `name=version`, where a version may end in `*`.
    fn satisfies(&self, wanted: &str) -> bool {
        let (wanted, version) = match wanted.split_once('=') {
            Some((name, version)) => (name, Some(version)),
            None => (wanted, None),
        };
        let (name, architecture) = match wanted.split_once(':') {
            Some((name, architecture)) => (name, Some(architecture)),
            None => (wanted, None),
        };
        (self.name == name || self.provides.iter().any(|p| p == name))
            && architecture.is_none_or(|a| a == self.architecture)
            && version.is_none_or(|v| match v.strip_suffix('*') {
                Some(start) => self.version.starts_with(start),
                None => self.version == v,
            })
    }
}

fn dpkg(system: &System) -> Result<Vec<Installed>> {
    const FORMAT: &str = "${Package}\\t${Architecture}\\t${Version}\\t${db:Status-Status}\\t${Provides}\\n";
    let output = system.expect(&Command::new(["dpkg-query", "--show", "--showformat", FORMAT]))?;
    Ok(output.stdout.lines().filter_map(parse_installed).collect())
}

/// A line in our format; nothing for a package that is removed and left its configuration.
fn parse_installed(line: &str) -> Option<Installed> {
    let mut fields = line.split('\t').map(ToOwned::to_owned);
    let (name, architecture, version) = (fields.next()?, fields.next()?, fields.next()?);
    (fields.next()? == "installed").then_some(())?;
    let provides = fields.next().unwrap_or_default();
    let names = provides.split(',').filter_map(|p| p.split_whitespace().next());
    Some(Installed {
        name,
        architecture,
        version,
        provides: names.map(ToOwned::to_owned).collect(),
    })
}
