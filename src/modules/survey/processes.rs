//! The processes of a host and the sockets that they hold, from `/proc`.

use crate::system::System;
use crate::wire::survey::{InstanceRequest, Process};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// All processes at one moment.
pub struct Processes(Vec<Found>);

pub struct Found {
    pub pid: u32,
    /// As `/proc/<pid>/comm` has it.
    pub name: String,
    pub argv: Vec<String>,
    /// The instance whose home is on its command line.
    pub instance: Option<String>,
}

impl Processes {
    pub fn look(system: &System, instances: &[InstanceRequest]) -> Self {
        let homes: Vec<_> = instances
            .iter()
            .map(|i| (i.name.as_str(), places(system, &i.home)))
            .collect();
        let pids = system.list(Path::new("/proc")).unwrap_or_default();
        let numbers = pids.iter().filter_map(|name| name.parse().ok());
        Self(
            numbers
                .filter_map(|pid| Found::look(system, pid, &homes))
                .collect(),
        )
    }

    pub fn get(&self, pid: u32) -> Option<&Found> {
        self.0.iter().find(|p| p.pid == pid)
    }

    /// Who holds each of these sockets. Looks into every process until all are found.
    pub fn holders(&self, system: &System, mut sockets: HashSet<u64>) -> HashMap<u64, Process> {
        let mut holders = HashMap::new();
        for found in &self.0 {
            if sockets.is_empty() {
                break;
            }
            for socket in found.sockets(system) {
                if sockets.remove(&socket) {
                    holders.insert(socket, found.told());
                }
            }
        }
        holders
    }
}

impl Found {
    fn look(system: &System, pid: u32, homes: &[(&str, Vec<PathBuf>)]) -> Option<Self> {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        // It may have ended since it was listed.
        let read = |name: &str| system.read(&folder.join(name)).ok().flatten();
        let name = String::from_utf8_lossy(&read("comm")?).trim().to_owned();
        let line = read("cmdline").unwrap_or_default();
        let words = line
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty());
        let argv: Vec<_> = words
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        let instance = homes.iter().find(|(_, places)| {
            places
                .iter()
                .any(|place| argv.iter().any(|word| names(word, place)))
        });
        Some(Self {
            pid,
            name,
            instance: instance.map(|(name, _)| (*name).to_owned()),
            argv,
        })
    }

    fn sockets(&self, system: &System) -> Vec<u64> {
        let folder = PathBuf::from(format!("/proc/{}/fd", self.pid));
        let open = system.list(&folder).unwrap_or_default();
        let target = |name: &String| system.read_link(&folder.join(name)).ok().flatten();
        open.iter()
            .filter_map(target)
            .filter_map(|target| socket(&target.to_string_lossy()))
            .collect()
    }

    pub fn told(&self) -> Process {
        Process {
            pid: self.pid,
            name: self.name.clone(),
            instance: self.instance.clone(),
        }
    }
}

/// A home as asked for and, through its link, as the server may have been started with.
fn places(system: &System, home: &Path) -> Vec<PathBuf> {
    let mut places = vec![home.to_owned()];
    places.extend(system.follow(home).ok().filter(|real| real != home));
    places
}

/// Whether a word of a command line has this path or one below it: `/opt/mi` is not in `/opt/mi-2`.
fn names(word: &str, path: &Path) -> bool {
    let path = path.to_string_lossy();
    let continues = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    word.match_indices(path.as_ref())
        .any(|(at, _)| !word[at + path.len()..].starts_with(continues))
}

/// `socket:[12345]`
fn socket(target: &str) -> Option<u64> {
    target
        .strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_found_in_an_option_and_not_in_its_neighbour() {
        let named = |word: &str| names(word, Path::new("/opt/mi"));
        assert!(named("-Dcarbon.home=/opt/mi"));
        assert!(named("/opt/mi/bin/micro-integrator.sh"));
        assert!(named("/opt/mi-2/lib:/opt/mi/lib"));
        assert!(!named("-Dcarbon.home=/opt/mi-2"));
        assert!(!named("/opt/mi.old/bin"));
    }

    #[test]
    fn sockets_are_told_from_files() {
        assert_eq!(socket("socket:[815]"), Some(815));
        assert_eq!(socket("pipe:[815]"), None);
    }
}
