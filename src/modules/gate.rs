//! `gate`: waits until a service is ready to serve, and gives up as soon as it never will be.
//!
//! Ready is a ladder: the process and its release, its own log, its ports, its connections, its answers. A process that ended, came
//! back or wrote a fatal line ends the wait at once: no operator should watch a dead node for ten minutes.

use super::shared::identity;
use super::shared::log::{self, Boot};
use super::shared::patience::{Patience, spoken};
use super::shared::sockets::{self, Socket, State};
use super::shared::unit::{self, Unit};
use super::shared::words::{Statuses, seconds};
use super::{Kind, Module};
use crate::system::{Command, Request, Result, System};
use crate::wire::Failure;
use regex::Regex;
use serde::Deserialize;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// The systemd unit.
    service: String,
    /// In seconds.
    #[serde(default = "default_within", deserialize_with = "seconds")]
    within: Duration,
    /// In seconds: a service that became ready while we watched must stay so. Meanwhile the balancer
    /// forgets that it was refused, before the next node is taken away.
    #[serde(default, deserialize_with = "seconds")]
    min_healthy_time: Duration,
    /// The release that must run: its folder, or the link that leads there.
    #[serde(default)]
    release: Option<PathBuf>,
    #[serde(default)]
    log: Option<Log>,
    #[serde(default)]
    ports: Vec<Port>,
    #[serde(default)]
    established: Vec<Established>,
    #[serde(default)]
    http: Vec<Http>,
}

/// What the server's own log must and must not say since its start.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Log {
    path: PathBuf,
    #[serde(default)]
    started: Option<String>,
    #[serde(default)]
    fatal: Vec<String>,
}

/// `9443`, or `host:9443`; without a host the service's own.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "it takes a port, or `host:port`")]
enum Port {
    Number(u16),
    Elsewhere(String),
}

/// A connection that this host must have to one of several others: what listens there would be missed otherwise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Established {
    /// Addresses, not names.
    to: Vec<IpAddr>,
    port: u16,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Http {
    url: String,
    #[serde(default)]
    status: Statuses,
    /// Text that the body must contain.
    #[serde(default)]
    contains: Option<String>,
    /// A pattern that the body must match.
    #[serde(default)]
    regex: Option<String>,
    /// How often in a row: some servers are ready, then not, then ready.
    #[serde(default = "once")]
    times: u32,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default = "yes")]
    validate_certs: bool,
}

fn default_within() -> Duration {
    Duration::from_secs(600)
}

fn once() -> u32 {
    1
}

fn yes() -> bool {
    true
}

impl Module for Gate {
    const NAME: &'static str = "gate";
    const KIND: Kind = Kind::Probe;
    const ABOUT: &'static str =
        "waits until a service is ready, and fails early when it never will be";
    const EXAMPLE: &'static str = "\
gate:
  service: wso2-apim
  within: 600
  min_healthy_time: 6
  release: /opt/wso2/apim/current
  log:
    path: /opt/wso2/apim/current/repository/logs/wso2carbon.log
    started: 'WSO2 Carbon started in \\d+ sec'
    fatal: ['BindException', 'CARBON is supported only between JDK']
  ports: [9443, 8243]
  established:
    - { to: [10.0.1.11, 10.0.1.12], port: 5672 }
  http:
    - url: https://localhost:9443/api/am/gateway/v2/server-startup-healthcheck
      times: 3
      validate_certs: false
    - { url: 'http://localhost:9763/services/Version', contains: WSO2 API Manager-4.5.0 }
";
    type Change = String;

    fn check(&self, system: &System) -> Result<Vec<String>> {
        Watch::begin(self, system)?.until_ready()?;
        Ok(vec![])
    }

    fn apply(&self, _: &System, _: String) -> Result<()> {
        Ok(())
    }
}

/// The wait itself.
struct Watch<'a> {
    gate: &'a Gate,
    system: &'a System,
    /// How the unit was when the wait began.
    first: Unit,
    log: Option<LogWatch>,
    http: Vec<HttpWatch<'a>>,
}

struct Missing {
    what: String,
    /// A good answer came, and is wanted several times in a row.
    only_again: bool,
}

impl Missing {
    fn new(what: String) -> Self {
        Self {
            what,
            only_again: false,
        }
    }
}

struct LogWatch {
    boot: RefCell<Boot>,
    started: Option<Regex>,
    has_started: RefCell<bool>,
    fatal: Vec<Regex>,
}

struct HttpWatch<'a> {
    wanted: &'a Http,
    request: Request,
    regex: Option<Regex>,
    in_a_row: RefCell<u32>,
}

impl<'a> Watch<'a> {
    fn begin(gate: &'a Gate, system: &'a System) -> Result<Self> {
        let first = Unit::look(system, &gate.service)?;
        let http = gate
            .http
            .iter()
            .map(HttpWatch::new)
            .collect::<Result<_>>()?;
        let log = gate.log_of_this_boot(system, &first)?;
        Ok(Self {
            gate,
            system,
            first,
            log,
            http,
        })
    }

    fn until_ready(&self) -> Result<()> {
        let patience = Patience::new(self.system, self.gate.within);
        let mut had_to_wait = false;
        loop {
            let Some(missing) = self.look()? else {
                return if had_to_wait {
                    self.stay_ready()
                } else {
                    Ok(())
                };
            };
            had_to_wait |= !missing.only_again;
            if patience.is_over() {
                return Err(self.too_late(&missing.what));
            }
            self.system.progress(&format!(
                "waiting since {} for {}",
                spoken(patience.waited()),
                missing.what
            ));
            patience.rest(Duration::from_secs(1));
        }
    }

    fn stay_ready(&self) -> Result<()> {
        let patience = Patience::new(self.system, self.gate.min_healthy_time);
        while !patience.is_over() {
            self.system
                .progress(&format!("ready since {}", spoken(patience.waited())));
            patience.rest(Duration::from_secs(1));
            if let Some(missing) = self.look()? {
                return Err(self.in_vain(format!(
                    "{} was ready, and {} later it was not: {}",
                    self.first.name,
                    spoken(patience.waited()),
                    missing.what
                )));
            }
        }
        Ok(())
    }

    /// The first thing that is missing; an error when waiting is in vain.
    fn look(&self) -> Result<Option<Missing>> {
        self.process()?;
        if let Some(missing) = self.log_lines()? {
            return Ok(Some(Missing::new(missing)));
        }
        for port in &self.gate.ports {
            let (host, number) = port.parts()?;
            if !self.system.is_open(host, number, Duration::from_secs(2))? {
                return Ok(Some(Missing::new(format!("port {number} of {host}"))));
            }
        }
        if let Some(missing) = self.connections()? {
            return Ok(Some(Missing::new(missing)));
        }
        // All are asked each time, so that their rows grow side by side.
        let missing: Vec<_> = self
            .http
            .iter()
            .filter_map(|h| h.missing(self.system))
            .collect();
        Ok(missing.into_iter().min_by_key(|m| m.only_again))
    }

    fn process(&self) -> Result<()> {
        let unit = Unit::look(self.system, &self.gate.service)?;
        let name = &unit.name;
        if !unit.exists() {
            return Err(unit::no_such_unit(name));
        }
        if unit.is_down() || unit.is_restarting() || unit.is_stopping() {
            return Err(self.in_vain(format!("{name} is not running: {}", unit.state())));
        }
        let moved = unit.main_pid().is_some() && unit.main_pid() != self.first.main_pid();
        if unit.restarts() > self.first.restarts() || (moved && self.first.main_pid().is_some()) {
            return Err(self.in_vain(format!(
                "{name} ended and was started again while we waited for it"
            )));
        }
        match &self.gate.release {
            Some(release) => identity::confirm(self.system, &unit, release),
            None => Ok(()),
        }
    }

    fn log_lines(&self) -> Result<Option<String>> {
        let Some(log) = &self.log else {
            return Ok(None);
        };
        let news = log.boot.borrow_mut().news();
        for (at, line) in news.iter().enumerate() {
            if log.started.as_ref().is_some_and(|s| s.is_match(line)) {
                log.has_started.replace(true);
            }
            if log.fatal.iter().any(|f| f.is_match(line)) {
                return Err(self.in_vain_by(&log::report(&news, at)));
            }
        }
        let waits = log.started.is_some() && !*log.has_started.borrow();
        Ok(waits.then(|| "the log to say that it has started".to_owned()))
    }

    fn connections(&self) -> Result<Option<String>> {
        if self.gate.established.is_empty() {
            return Ok(None);
        }
        let mut sockets = sockets::all(self.system)?;
        sockets.retain(|s| s.state == State::Established);
        let missing = self.gate.established.iter().find(|e| !e.is_among(&sockets));
        Ok(missing.map(ToString::to_string))
    }

    fn in_vain_by(&self, words: &str) -> Failure {
        self.in_vain(format!("{} will not get ready: {words}", self.first.name))
    }

    /// Why waiting makes no sense any more, with what the log and the journal say.
    fn in_vain(&self, message: String) -> Failure {
        let tail = self.tail();
        let clash = tail
            .iter()
            .chain([&message])
            .any(|l| l.contains("BindException") || l.contains("Address already in use"));
        let failure = Failure::new(message).detail(tail);
        match clash {
            true => {
                let holders = self.holders();
                let advice = match holders.is_empty() {
                    true => {
                        "another process holds one of its ports: `ss -ltnp` says which".to_owned()
                    }
                    false => format!(
                        "{}: stop that process, or give this one another offset",
                        holders.join(", ")
                    ),
                };
                failure.detail(holders).help(advice)
            }
            false => failure.detail(unit::journal(self.system, &self.first)),
        }
    }

    fn too_late(&self, missing: &str) -> Failure {
        Failure::new(format!(
            "{} was not ready within {}: still waiting for {missing}",
            self.first.name,
            spoken(self.gate.within)
        ))
        .detail(self.tail())
        .help("it runs, so it may only be slow: read the end of its log, and give more time with `within`")
    }

    fn tail(&self) -> Vec<String> {
        let Some(log) = &self.log else {
            return Vec::new();
        };
        let mut boot = log.boot.borrow_mut();
        // What came since the last look is the most telling.
        boot.news();
        boot.tail(15)
    }

    /// Who listens on the gate's ports and is not the service itself.
    fn holders(&self) -> Vec<String> {
        let command = Command::new(["ss", "--listening", "--tcp", "--numeric", "--processes"]);
        let Ok(output) = self.system.run(&command) else {
            return Vec::new();
        };
        let own = self.first.processes(self.system);
        let numbers = self
            .gate
            .ports
            .iter()
            .filter_map(|p| p.parts().ok())
            .map(|(_, n)| n);
        numbers
            .filter_map(|port| holder(&output.stdout, port, &own))
            .collect()
    }
}

/// `port 9443 is held by java (pid 812)`, out of what `ss` prints.
fn holder(listeners: &str, port: u16, own: &[u32]) -> Option<String> {
    let suffix = format!(":{port}");
    let line = listeners.lines().find(|l| {
        l.split_whitespace()
            .nth(3)
            .is_some_and(|local| local.ends_with(&suffix))
    })?;
    let process = line.split_once("users:((\"")?.1;
    let (name, rest) = process.split_once('"')?;
    let pid: u32 = rest.split_once("pid=")?.1.split(',').next()?.parse().ok()?;
    (!own.contains(&pid)).then(|| format!("port {port} is held by {name} (pid {pid})"))
}

impl Gate {
    /// A process that has been up for longer than `within` is not booting: its log may have
    /// rotated away long ago, and its ports and answers tell whether it is ready.
    fn log_of_this_boot(&self, system: &System, unit: &Unit) -> Result<Option<LogWatch>> {
        let (Some(wanted), Some((started, _))) = (&self.log, unit.started()) else {
            return Ok(None);
        };
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let since = Duration::from_secs(u64::try_from(started).unwrap_or(0));
        if now.saturating_sub(since) > self.within {
            return Ok(None);
        }
        Ok(Some(LogWatch {
            boot: RefCell::new(Boot::new(system, &wanted.path, started)?),
            started: wanted.started.as_deref().map(log::pattern).transpose()?,
            has_started: RefCell::new(false),
            fatal: wanted
                .fatal
                .iter()
                .map(|f| log::pattern(f))
                .collect::<Result<_>>()?,
        }))
    }
}

impl Established {
    fn is_among(&self, sockets: &[Socket]) -> bool {
        let is_it = |s: &Socket| s.remote.1 == self.port && self.to.contains(&s.remote.0);
        sockets.iter().any(is_it)
    }
}

impl fmt::Display for Established {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to: Vec<String> = self.to.iter().map(ToString::to_string).collect();
        write!(
            f,
            "a connection to port {} of {}",
            self.port,
            to.join(" or ")
        )
    }
}

impl Port {
    fn parts(&self) -> Result<(&str, u16)> {
        match self {
            Self::Number(number) => Ok(("127.0.0.1", *number)),
            Self::Elsewhere(text) => text
                .rsplit_once(':')
                .and_then(|(host, port)| Some((host, port.parse().ok()?)))
                .or_else(|| Some(("127.0.0.1", text.parse().ok()?)))
                .ok_or_else(|| Failure::new(format!("`{text}` is neither a port nor `host:port`"))),
        }
    }
}

impl<'a> HttpWatch<'a> {
    fn new(wanted: &'a Http) -> Result<Self> {
        let login = wanted
            .user
            .clone()
            .map(|user| (user, wanted.password.clone().unwrap_or_default()));
        Ok(Self {
            wanted,
            request: Request {
                login,
                headers: wanted.headers.clone().into_iter().collect(),
                verify: wanted.validate_certs,
                // A hanging answer must not hide a process that ends meanwhile.
                timeout: Duration::from_secs(5),
                ..Request::get(&wanted.url)
            },
            regex: wanted.regex.as_deref().map(log::pattern).transpose()?,
            in_a_row: RefCell::new(0),
        })
    }

    /// Asks once more; says what is still missing.
    fn missing(&self, system: &System) -> Option<Missing> {
        match self.complaint(system) {
            Some(complaint) => {
                self.in_a_row.replace(0);
                Some(Missing::new(format!("{} ({complaint})", self.wanted.url)))
            }
            None => {
                let row = self
                    .in_a_row
                    .replace_with(|row| row.saturating_add(1))
                    .saturating_add(1);
                (row < self.wanted.times).then(|| Missing {
                    what: format!(
                        "{} (good {row} of {} times in a row)",
                        self.wanted.url, self.wanted.times
                    ),
                    only_again: true,
                })
            }
        }
    }

    fn complaint(&self, system: &System) -> Option<String> {
        let response = match system.ask(&self.request) {
            Ok(response) => response,
            Err(failure) => return Some(failure.message),
        };
        if !self.wanted.status.0.contains(&response.status) {
            return Some(format!(
                "answers {}, not {}",
                response.status, self.wanted.status
            ));
        }
        if self.wanted.contains.is_none() && self.regex.is_none() {
            return None;
        }
        let body = match response.text(1 << 20) {
            Ok(body) => body,
            Err(failure) => return Some(failure.message),
        };
        match (&self.wanted.contains, &self.regex) {
            (Some(text), _) if !body.contains(text) => Some(format!("its answer lacks `{text}`")),
            (_, Some(regex)) if !regex.is_match(&body) => {
                Some(format!("its answer does not match `{regex}`"))
            }
            _ => None,
        }
    }
}
