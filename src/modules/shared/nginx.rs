//! The running NGINX: makes it read its files, and proves that it did.
//!
//! That `reload` ends well proves nothing: the master answers before it has read anything, and goes on with what it had
//! when it cannot. Only workers that were not there before are proof.

use super::patience::{Patience, spoken};
use super::sockets::{self, State};
use super::unit;
use crate::system::{Command, Result, System};
use crate::wire::Failure;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PID_FILE: &str = "/run/nginx.pid";

/// A configuration of hundreds of names takes seconds to read.
const RELOADED_WITHIN: Duration = Duration::from_secs(20);

/// How long nobody must be connected while old workers still have clients: one of them may have a request that it is
/// about to pass on.
const QUIET: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Worker {
    pid: u32,
    /// Of an earlier configuration: finishes what it has, takes nothing new.
    is_leaving: bool,
}

/// Has the files judged; nothing is changed.
pub fn test(system: &System) -> Result<()> {
    system
        .expect(&Command::new(["nginx", "-t", "-q"]))
        .map(drop)
}

/// Until workers with the files as they are serve, and those from before take nothing new.
pub fn reload(system: &System) -> Result<()> {
    let before: Vec<u32> = workers(system)?.into_iter().map(|w| w.pid).collect();
    unit::order(system, "reload", "nginx.service")?;
    let patience = Patience::new(system, RELOADED_WITHIN);
    loop {
        let now = workers(system)?;
        let is_new = now
            .iter()
            .any(|w| !w.is_leaving && !before.contains(&w.pid));
        if is_new && now.iter().all(|w| w.is_leaving || !before.contains(&w.pid)) {
            return Ok(());
        }
        if patience.is_over() {
            return Err(Failure::new("nginx was told to read its files and did not")
                .detail(said(system))
                .help("`nginx -t` and /var/log/nginx/error.log say why"));
        }
        patience.rest(Duration::from_millis(100));
    }
}

/// Waits until nobody is connected to the node from here; answers how many still were when the time was over.
pub fn settle(system: &System, node: IpAddr, ports: &[u16], within: Duration) -> Result<usize> {
    let patience = Patience::new(system, within);
    let mut quiet_since = None;
    loop {
        let connected = connections(system, node, ports)?;
        if connected == 0 {
            let since = *quiet_since.get_or_insert(patience.waited());
            let is_quiet = patience.waited().saturating_sub(since) >= QUIET;
            if is_quiet || !workers(system)?.iter().any(|w| w.is_leaving) {
                return Ok(0);
            }
        } else {
            quiet_since = None;
        }
        if patience.is_over() {
            return Ok(connected);
        }
        system.progress(&format!(
            "{connected} connections to {node} left, {} more",
            spoken(within.saturating_sub(patience.waited()))
        ));
        patience.rest(Duration::from_millis(250));
    }
}

fn connections(system: &System, node: IpAddr, ports: &[u16]) -> Result<usize> {
    let sockets = sockets::all(system)?;
    let open = sockets.iter().filter(|s| {
        s.state == State::Established && s.remote.0 == node && ports.contains(&s.remote.1)
    });
    Ok(open.count())
}

fn workers(system: &System) -> Result<Vec<Worker>> {
    let master = system.read(Path::new(PID_FILE))?.unwrap_or_default();
    let master = String::from_utf8_lossy(&master).trim().to_owned();
    if master.is_empty() {
        return Err(Failure::new("nginx does not run: it has no process id")
            .help("`systemctl status nginx` says why"));
    }
    let pids = system.list(Path::new("/proc"))?;
    let numbers = pids.iter().filter_map(|name| name.parse().ok());
    Ok(numbers
        .filter_map(|pid| worker(system, pid, &master))
        .collect())
}

fn worker(system: &System, pid: u32, master: &str) -> Option<Worker> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    // It may have ended since it was listed.
    let read = |name: &str| {
        let bytes = system.read(&folder.join(name)).ok().flatten()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let title = read("cmdline")?;
    if !title.starts_with("nginx: worker process") {
        return None;
    }
    // `pid (name) state parent ...`
    let stat = read("stat")?;
    let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
    (parent == master).then(|| Worker {
        pid,
        is_leaving: title.contains("is shutting down"),
    })
}

fn said(system: &System) -> Vec<String> {
    let path = Path::new("/var/log/nginx/error.log");
    let log = system.read(path).ok().flatten().unwrap_or_default();
    crate::system::tail(&String::from_utf8_lossy(&log), 5)
}
