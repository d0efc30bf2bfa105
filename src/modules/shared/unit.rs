//! A systemd unit: what systemd says about it, and the few things we ask systemd to do.

use super::patience::{Patience, spoken};
use crate::system::{Command, Result, System};
use crate::wire::Failure;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Seconds and nanoseconds since the epoch, as in `Meta::modified`.
pub type Stamp = (i64, i64);

const PROPERTIES: &str = "LoadState,ActiveState,SubState,Result,UnitFileState,MainPID,NRestarts,\
ControlGroup,NeedDaemonReload,ExecMainStatus,ExecMainCode,ExecMainStartTimestamp,InactiveEnterTimestamp,TimeoutStopUSec,SendSIGKILL";

/// systemd's own limit, mostly the same as ours, ends a moment later; what it kills then is gone soon after.
const KILL: Duration = Duration::from_secs(5);

/// What systemd said about a unit at one moment.
#[derive(Debug, Clone)]
pub struct Unit {
    /// With its suffix.
    pub name: String,
    said: HashMap<String, String>,
}

/// `nginx` is `nginx.service`; any other suffix stays.
pub fn full_name(name: &str) -> String {
    const SUFFIXES: [&str; 7] = [
        ".service", ".socket", ".timer", ".target", ".mount", ".path", ".slice",
    ];
    match SUFFIXES.iter().any(|s| name.ends_with(s)) {
        true => name.to_owned(),
        false => format!("{name}.service"),
    }
}

impl Unit {
    pub fn look(system: &System, name: &str) -> Result<Self> {
        let name = full_name(name);
        let said = properties(system, &name, PROPERTIES)?;
        Ok(Self {
            said: said.into_iter().collect(),
            name,
        })
    }

    fn say(&self, property: &str) -> &str {
        self.said.get(property).map_or("", String::as_str)
    }

    /// A masked unit exists.
    pub fn exists(&self) -> bool {
        !matches!(self.say("LoadState"), "not-found" | "")
    }

    pub fn is_masked(&self) -> bool {
        self.say("LoadState") == "masked" || self.say("UnitFileState").starts_with("masked")
    }

    /// Also true for units that are started by others and can't be enabled.
    pub fn is_enabled(&self) -> bool {
        !matches!(
            self.say("UnitFileState"),
            "disabled" | "masked" | "masked-runtime" | "linked" | "linked-runtime" | ""
        )
    }

    pub fn can_be_disabled(&self) -> bool {
        matches!(self.say("UnitFileState"), "enabled" | "enabled-runtime")
    }

    /// Nothing of it runs, and systemd will not start it by itself.
    pub fn is_down(&self) -> bool {
        matches!(self.say("ActiveState"), "inactive" | "failed" | "")
    }

    pub fn has_failed(&self) -> bool {
        self.say("ActiveState") == "failed"
    }

    /// Its process ended, and systemd means to try again.
    pub fn is_restarting(&self) -> bool {
        self.say("SubState") == "auto-restart"
    }

    pub fn needs_reload(&self) -> bool {
        self.say("NeedDaemonReload") == "yes"
    }

    pub fn main_pid(&self) -> Option<u32> {
        self.say("MainPID").parse().ok().filter(|pid| *pid > 0)
    }

    /// How often systemd restarted it by itself since somebody started it.
    pub fn restarts(&self) -> u32 {
        self.say("NRestarts").parse().unwrap_or(0)
    }

    /// Asked to stop, and not gone yet.
    pub fn is_stopping(&self) -> bool {
        self.say("ActiveState") == "deactivating"
    }

    /// Down, and nothing is left of it. systemd gives up on a unit that it may not kill, and its processes live on.
    pub fn is_gone(&self, system: &System) -> bool {
        self.is_down() && self.processes(system).is_empty()
    }

    /// Whether systemd kills what does not end within its limit.
    fn is_killed_in_the_end(&self) -> bool {
        self.say("SendSIGKILL") != "no"
    }

    /// systemd lost its patience at the last stop and killed what was left.
    pub fn was_killed(&self) -> bool {
        self.say("Result") == "timeout" && self.is_killed_in_the_end()
    }

    /// When its process was started.
    pub fn started(&self) -> Option<Stamp> {
        parse_stamp(self.say("ExecMainStartTimestamp"))
    }

    /// Whether this was written after its process was started. Times in the future say nothing: the clock was set back since.
    pub fn is_older_than(&self, system: &System, path: &Path) -> Result<bool> {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = (
            i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
            i64::from(now.subsec_nanos()),
        );
        let Some(started) = self.started() else {
            return Ok(false);
        };
        Ok(system
            .meta(path)?
            .is_some_and(|m| m.modified > started && m.modified <= now))
    }

    /// When it was last down with all of its processes.
    pub fn ended(&self) -> Option<Stamp> {
        parse_stamp(self.say("InactiveEnterTimestamp"))
    }

    /// The unit's own limit for a stop, as systemd words it: `5min`.
    pub fn stop_limit(&self) -> &str {
        self.say("TimeoutStopUSec")
    }

    /// `failed (exit-code, status 1)`: what `systemctl status` says first.
    pub fn state(&self) -> String {
        let mut words = vec![self.say("SubState").to_owned()];
        if !matches!(self.say("Result"), "success" | "") {
            words.push(self.say("Result").to_owned());
        }
        if !matches!(self.say("ExecMainStatus"), "0" | "") {
            words.push(format!("status {}", self.say("ExecMainStatus")));
        }
        format!("{} ({})", self.say("ActiveState"), words.join(", "))
    }

    /// The processes of its control group, whichever generation of control groups the host has.
    pub fn processes(&self, system: &System) -> Vec<u32> {
        let group = match self.say("ControlGroup").trim_start_matches('/') {
            // Of a unit that is down systemd forgets the group, whoever is still in it.
            "" => format!("system.slice/{}", self.name),
            group => group.to_owned(),
        };
        [
            "/sys/fs/cgroup",
            "/sys/fs/cgroup/systemd",
            "/sys/fs/cgroup/unified",
        ]
        .iter()
        .map(|top| Path::new(top).join(&group).join("cgroup.procs"))
        .find_map(|path| system.read(&path).ok().flatten())
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect()
    }
}

/// What systemd says of these properties, which are joined by commas. `ExecStart` and its like may come
/// several times.
pub fn properties(system: &System, name: &str, wanted: &str) -> Result<Vec<(String, String)>> {
    let mut output = system.run(&show(name, wanted, true))?;
    // systemd before 247 knows no `--timestamp` and then shows whole seconds.
    if !output.ok() && output.stderr.contains("timestamp") {
        output = system.run(&show(name, wanted, false))?;
    }
    if !output.ok() {
        return Err(unavailable(name, &output.stderr));
    }
    let pairs = output.stdout.lines().filter_map(|l| l.split_once('='));
    Ok(pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect())
}

fn show(name: &str, wanted: &str, precise: bool) -> Command {
    let wanted = format!("--property={wanted}");
    let mut argv = vec!["systemctl", "show", name, &wanted];
    if precise {
        argv.push("--timestamp=us");
    }
    // Stamps are shown in the zone of whoever asks; ours must be one we can count in.
    Command::new(argv).env("TZ", "UTC").env("LC_ALL", "C")
}

fn unavailable(name: &str, stderr: &str) -> Failure {
    let failure = Failure::new(format!("systemd says nothing about {name}"))
        .detail(stderr.lines().map(ToOwned::to_owned));
    match stderr.contains("not been booted with systemd") {
        true => failure.help("this host does not run systemd; services need it"),
        false => failure,
    }
}

/// `Mon 2026-11-23 06:42:48.385400 UTC`. Without a fraction the end of that second is meant, so that
/// a file written just before a start never looks newer than it.
fn parse_stamp(text: &str) -> Option<Stamp> {
    let mut words = text.split_whitespace().skip(1);
    let mut date = words.next()?.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let (whole, fraction) = match words.next()?.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => return parse_stamp(&format!("{text}.").replace(" UTC.", ".999999999 UTC")),
    };
    let mut time = whole.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute, second) = (time.next()?.ok()?, time.next()?.ok()?, time.next()?.ok()?);
    let nanos = format!("{:0<9}", fraction?).get(..9)?.parse().ok()?;
    let days = days_since_epoch(year, month, day);
    Some((((days * 24 + hour) * 60 + minute) * 60 + second, nanos))
}

/// Days from 1970-01-01 in the Gregorian calendar; years begin in March so that leap days come last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Starts a unit and makes sure that it does not fall over at once.
pub fn start(system: &System, name: &str) -> Result<()> {
    change_to_up(system, "start", name)
}

/// Stops and starts as systemd does it in one go.
pub fn restart(system: &System, name: &str) -> Result<()> {
    change_to_up(system, "restart", name)
}

fn change_to_up(system: &System, verb: &str, name: &str) -> Result<()> {
    let name = full_name(name);
    // A unit that failed too often refuses to start until its past is forgotten.
    system.run(&systemctl("reset-failed", &name))?;
    let output = system.run(&systemctl(verb, &name))?;
    if !output.ok() {
        return Err(trouble(system, &name, verb, &output.stderr));
    }
    // `Type=simple` has started as soon as it is forked; a second tells a bad path from a good one.
    Patience::new(system, Duration::from_secs(1)).rest(Duration::from_secs(1));
    let unit = Unit::look(system, &name)?;
    match unit.say("ActiveState") == "failed" || unit.is_restarting() {
        true => Err(trouble(system, &name, verb, "")),
        false => Ok(()),
    }
}

/// Asks a unit to stop and waits until its processes are gone. Nothing is killed by us: the unit's
/// own `TimeoutStopSec` governs that.
pub fn stop(system: &System, name: &str, limit: Duration) -> Result<()> {
    let before = Unit::look(system, name)?;
    let asked = system.run(&Command::new([
        "systemctl",
        "stop",
        "--no-block",
        &before.name,
    ]))?;
    if !asked.ok() {
        return Err(trouble(system, &before.name, "stop", &asked.stderr));
    }
    let patience = match before.is_killed_in_the_end() {
        true => Patience::new(system, limit + KILL),
        false => Patience::new(system, limit),
    };
    loop {
        let unit = Unit::look(system, name)?;
        // systemd forgets the group once the unit is down, so the one from before is asked.
        let left = before.processes(system);
        if unit.is_down() && left.is_empty() {
            note_a_kill(system, &unit);
            return Ok(());
        }
        if patience.is_over() {
            return Err(still_there(system, &unit, &left, limit));
        }
        system.progress(&format!(
            "stopping {} since {}, {} left",
            unit.name,
            spoken(patience.waited()),
            counted(left.len())
        ));
        patience.rest(Duration::from_millis(500));
    }
}

fn counted(processes: usize) -> String {
    match processes {
        1 => "1 process".into(),
        n => format!("{n} processes"),
    }
}

fn note_a_kill(system: &System, unit: &Unit) {
    if unit.was_killed() {
        system.note("killed", true);
        system.progress(&format!(
            "{} did not stop within its TimeoutStopSec ({}); systemd killed it",
            unit.name,
            unit.stop_limit()
        ));
    }
}

fn still_there(system: &System, unit: &Unit, left: &[u32], limit: Duration) -> Failure {
    let named = left.iter().map(|pid| {
        let path = PathBuf::from(format!("/proc/{pid}/comm"));
        let name = system.read(&path).ok().flatten().unwrap_or_default();
        match String::from_utf8_lossy(&name).trim() {
            "" => pid.to_string(),
            name => format!("{pid} ({name})"),
        }
    });
    let named: Vec<String> = named.collect();
    let left = match named.as_slice() {
        [] => "it has not stopped".to_owned(),
        [one] => format!("process {one} still runs"),
        _ => format!("processes {} still run", named.join(", ")),
    };
    let (state, limit) = (unit.state(), spoken(limit));
    Failure::new(format!("{} is {state} after {limit}: {left}", unit.name)).help(
        match unit.is_killed_in_the_end() {
            true => format!(
                "it may still be draining: systemd kills it after its TimeoutStopSec ({}), we never do; give a longer `stop_timeout`, or look why it hangs (`jstack`)",
                unit.stop_limit()
            ),
            false => NEVER_KILLED.to_owned(),
        },
    )
}

/// Source: wso2/api-manager#4560.
const NEVER_KILLED: &str = "nobody kills it (SendSIGKILL=no): after a killed broker gateways may hear no events any more \
    (wso2/api-manager#4560). It serves nobody and is left as it is: a rollout keeps it out of rotation. Look why it hangs \
    (`jstack`), wait until it has ended, and run again; who kills it has to restart every gateway afterwards";

/// `systemctl VERB UNIT`, not run yet.
pub fn systemctl(verb: &str, name: &str) -> Command {
    Command::new(["systemctl", verb, name]).env("LC_ALL", "C")
}

/// Runs `systemctl VERB UNIT`, which must succeed.
pub fn order(system: &System, verb: &str, name: &str) -> Result<()> {
    let output = system.run(&systemctl(verb, name))?;
    match output.ok() {
        true => Ok(()),
        false => Err(trouble(system, name, verb, &output.stderr)),
    }
}

pub fn daemon_reload(system: &System) -> Result<()> {
    system
        .expect(&Command::new(["systemctl", "daemon-reload"]))
        .map(|_| ())
}

/// Why a unit did not do what was asked, with the end of its journal.
fn trouble(system: &System, name: &str, verb: &str, stderr: &str) -> Failure {
    let said = stderr
        .lines()
        .filter(|line| !line.starts_with("See \"systemctl"))
        .map(ToOwned::to_owned);
    match Unit::look(system, name) {
        Ok(unit) if !unit.exists() => no_such_unit(name),
        Ok(unit) if unit.is_masked() => {
            Failure::new(format!("{name} is masked, so systemd refuses to {verb} it"))
                .help("say `masked: false` if it is meant to run")
        }
        Ok(unit) => Failure::new(format!("{name} did not {verb}: it is {}", unit.state()))
            .detail(said)
            .detail(journal(system, &unit)),
        Err(_) => Failure::new(format!("{name} did not {verb}")).detail(said),
    }
}

pub fn no_such_unit(name: &str) -> Failure {
    Failure::new(format!("there is no unit {name} on this host"))
        .help("put its unit file to /etc/systemd/system before this task, or correct the name")
}

/// The last 15 lines of a unit's journal since its process was started; none without a journal.
pub fn journal(system: &System, unit: &Unit) -> Vec<String> {
    let mut command = Command::new(["journalctl", "--unit", &unit.name]);
    if let Some((started, _)) = unit.started() {
        command.argv.push(format!("--since=@{started}"));
    }
    command
        .argv
        .extend(["--lines=15", "--no-pager", "--output=short-iso"].map(String::from));
    match system.run(&command.timeout(Duration::from_secs(10))) {
        Ok(output) if output.ok() => output.stdout.lines().map(ToOwned::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_count_from_the_epoch() {
        assert_eq!(
            parse_stamp("Thu 1970-01-01 00:00:01.5 UTC"),
            Some((1, 500_000_000))
        );
        assert_eq!(
            parse_stamp("Mon 2026-11-23 06:42:48.385400 UTC"),
            Some((1_795_416_168, 385_400_000))
        );
        assert_eq!(
            parse_stamp("Thu 2024-02-29 12:00:00 UTC"),
            Some((1_709_208_000, 999_999_999))
        );
        assert_eq!(parse_stamp(""), None);
        assert_eq!(parse_stamp("n/a"), None);
    }
}
