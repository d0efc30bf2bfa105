//! The processes that a master has, by what they call themselves.

use crate::system::{Result, System};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    pub pid: u32,
    /// Its command line; its words are parted by NUL, where it did not write a title of its own.
    pub title: String,
}

/// Those whose parent is `master`, a process id.
pub fn of(system: &System, master: &str) -> Result<Vec<Child>> {
    let names = system.list(Path::new("/proc"))?;
    let pids = names.iter().filter_map(|name| name.parse().ok());
    Ok(pids.filter_map(|pid| child(system, pid, master)).collect())
}

fn child(system: &System, pid: u32, master: &str) -> Option<Child> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    // It may have ended since it was listed.
    let read = |name: &str| {
        let bytes = system.read(&folder.join(name)).ok().flatten()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let title = read("cmdline")?;
    // `pid (name) state parent ...`
    let stat = read("stat")?;
    let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
    (parent == master).then_some(Child { pid, title })
}
