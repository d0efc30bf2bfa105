//! One worker per host: a file lock, which dies with its holder however the holder dies.

use super::Refusal;
use crate::wire::Failure;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The last holder may be on its way out: its connection has just been closed.
const PATIENCE: Duration = Duration::from_secs(2);
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Held as long as it lives.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Who holds the lock; written inside for the one who finds it taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    /// Milliseconds since the epoch.
    since: u64,
    /// Who asked sudo, when somebody did.
    user: String,
}

/// Takes the lock, or says who has it.
pub fn take(path: &Path) -> Result<Lock, Refusal> {
    let mut file = open(path).map_err(|e| Refusal::Sorry(unusable(path, &e)))?;
    let deadline = Instant::now() + PATIENCE;
    while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        if Instant::now() >= deadline {
            return Err(Refusal::Busy(taken(path, &mut file)));
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
    sign(&mut file).map_err(|e| Refusal::Sorry(unusable(path, &e)))?;
    Ok(Lock(file))
}

fn open(path: &Path) -> std::io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
}

fn sign(file: &mut File) -> std::io::Result<()> {
    let holder = Holder {
        pid: std::process::id(),
        since: now(),
        user: std::env::var("SUDO_USER")
            .or_else(|_| std::env::var("USER"))
            .unwrap_or_default(),
    };
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&serde_json::to_vec(&holder)?)
}

fn unusable(path: &Path, e: &std::io::Error) -> Failure {
    Failure::new(format!("the lock {} cannot be used: {e}", path.display()))
}

fn taken(path: &Path, file: &mut File) -> Failure {
    let mut text = String::new();
    // A holder that has not signed yet is still a holder.
    let _ = file.read_to_string(&mut text);
    let who = serde_json::from_str::<Holder>(&text).map_or_else(
        |_| "an unnamed process".to_owned(),
        |holder| holder.describe(now()),
    );
    Failure::new(format!("another run is at work on this host: {who} holds {}", path.display()))
        .help("wait for it to end (`--wait-lock`); a worker whose controller is gone ends with its current step")
}

impl Holder {
    fn describe(&self, now: u64) -> String {
        let minutes = now.saturating_sub(self.since) / 60_000;
        let seconds = now.saturating_sub(self.since) / 1000 % 60;
        let who = match self.user.as_str() {
            "" => String::new(),
            user => format!(" of {user}"),
        };
        format!(
            "process {}{who}, since {minutes} min {seconds} s,",
            self.pid
        )
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_worker_hears_who_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = take(&path).unwrap();
        let Err(Refusal::Busy(failure)) = take(&path) else {
            panic!("two workers hold one lock")
        };
        let pid = std::process::id();
        assert!(
            failure.message.contains(&format!("process {pid}")),
            "{failure}"
        );
        drop(first);
        assert!(take(&path).is_ok());
    }
}
