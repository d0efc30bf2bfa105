//! What a server's log and its unit's journal say.

use super::Scene;
use crate::modules::shared::log::{self, Boot};
use crate::modules::shared::unit::{self, Stamp, Unit};
use crate::system::{Command, Result, System};
use crate::wire::Failure;
use crate::wire::survey::{InstanceRequest, LogFacts, LogRequest, Matches};
use regex::{Regex, RegexSet};
use std::collections::BTreeMap;
use std::path::Path;

pub fn look(scene: &Scene<'_>, home: &Path, asked: &LogRequest, unit: &Unit) -> Result<LogFacts> {
    let path = home.join(&asked.path);
    let started = unit
        .started()
        .ok_or_else(|| Failure::new(format!("{} was not started yet", unit.name)))?;
    let mut boot = Boot::new(scene.system, &path, started.0)?;
    let lines = boot.news();
    let mut matches = BTreeMap::new();
    for (name, pattern) in &asked.patterns {
        let pattern = log::pattern(pattern)?;
        matches.insert(name.clone(), found(scene, &lines, &pattern));
    }
    Ok(LogFacts {
        complete: boot
            .is_whole()
            .unwrap_or_else(|| !has_rotated(scene.system, &path, started)),
        path,
        matches,
    })
}

fn found(scene: &Scene<'_>, lines: &[String], pattern: &Regex) -> Matches {
    let hits: Vec<_> = lines.iter().filter(|line| pattern.is_match(line)).collect();
    Matches {
        count: hits.len() as u64,
        first: hits.first().map(|line| scene.mask.line(line)),
        last: hits.last().map(|line| scene.mask.line(line)),
    }
}

/// Whether a part of the log was put aside since the start: `wso2carbon-2026-11-23.log`,
/// `wso2carbon.log.1`. A log that is not there at all was not rotated, it is missing.
fn has_rotated(system: &System, path: &Path, started: Stamp) -> bool {
    let (Some(folder), Some(stem)) = (path.parent(), path.file_stem()) else {
        return false;
    };
    let (stem, own) = (stem.to_string_lossy(), path.file_name().unwrap_or_default());
    let names = system.list(folder).unwrap_or_default();
    names
        .iter()
        .filter(|name| name.starts_with(stem.as_ref()) && name.as_str() != own)
        .filter_map(|name| system.meta(&folder.join(name)).ok().flatten())
        .any(|meta| meta.modified >= started)
}

pub fn journal(scene: &Scene<'_>, asked: &InstanceRequest) -> Result<Vec<String>> {
    const KEPT: usize = 20;
    if asked.journal.is_empty() {
        return Ok(Vec::new());
    }
    let patterns = RegexSet::new(&asked.journal)
        .map_err(|e| Failure::new(format!("a pattern for the journal: {e}")))?;
    let name = unit::full_name(&asked.service);
    let output = scene.system.expect(&Command::new([
        "journalctl",
        "--unit",
        &name,
        "--since=-1day",
        "--lines=5000",
        "--no-pager",
        "--output=short-iso",
    ]))?;
    let hits: Vec<_> = output
        .stdout
        .lines()
        .filter(|line| patterns.is_match(line))
        .collect();
    let last = &hits[hits.len().saturating_sub(KEPT)..];
    Ok(last.iter().map(|line| scene.mask.line(line)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn only_a_part_put_aside_since_the_start_hides_lines() {
        let dir = tempfile::tempdir().unwrap();
        let system = System::under(dir.path(), vec![]);
        let put = |name: &str, seconds: u64| {
            let file = std::fs::File::create(dir.path().join(name)).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            file.set_modified(time).unwrap();
        };
        let rotated = || has_rotated(&system, Path::new("/carbon.log"), (1000, 0));
        put("carbon.log", 2000);
        put("carbon-2026-11-22.log", 900);
        put("audit.log.1", 2000);
        assert!(!rotated());
        put("carbon-2026-11-23.log", 1500);
        assert!(rotated());
    }
}
