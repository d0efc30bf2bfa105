//! Handlers that are due. On disk before the change that makes them due, so that a host that
//! loses power between the new configuration and the restart still knows that it owes one.

use crate::system::{Result, System};
use crate::wire::{Failure, Mode};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What this host owes.
#[derive(Debug, PartialEq, Eq)]
pub struct Debt {
    path: PathBuf,
    due: BTreeSet<String>,
    /// What it would owe, had the dry run been a real one.
    pretended: BTreeSet<String>,
}

impl Debt {
    /// What earlier workers left unsettled.
    pub fn load(system: &System, path: PathBuf) -> Result<Self> {
        let due = match system.read(&path)? {
            None => BTreeSet::new(),
            Some(text) => serde_json::from_slice(&text).map_err(|e| {
                Failure::new(format!("the list of due handlers {} cannot be read: {e}", path.display()))
                    .help("an earlier run may have left services to be restarted: restart them, then remove the file")
            })?,
        };
        Ok(Self {
            path,
            due,
            pretended: BTreeSet::new(),
        })
    }

    pub fn due(&self) -> Vec<String> {
        self.due.iter().cloned().collect()
    }

    pub fn owes(&self, key: &str) -> bool {
        self.due.contains(key) || self.pretended.contains(key)
    }

    /// These handlers become due by the change that follows; answers those that were not before.
    pub fn owe(&mut self, system: &System, keys: &[String], mode: Mode) -> Result<Vec<String>> {
        let list = match mode {
            Mode::Check => &mut self.pretended,
            Mode::Apply => &mut self.due,
        };
        let new: Vec<String> = keys
            .iter()
            .filter(|key| list.insert((*key).clone()))
            .cloned()
            .collect();
        if mode == Mode::Apply && !new.is_empty() {
            self.save(system)?;
        }
        Ok(new)
    }

    /// This handler ran.
    pub fn settle(&mut self, system: &System, key: &str, mode: Mode) -> Result<()> {
        self.pretended.remove(key);
        if mode == Mode::Apply && self.due.remove(key) {
            return self.save(system);
        }
        Ok(())
    }

    fn save(&self, system: &System) -> Result<()> {
        let text = serde_json::to_vec(&self.due).map_err(|e| {
            Failure::new(format!("the list of due handlers cannot be written: {e}"))
        })?;
        system.write(&self.path, &mut text.as_slice(), Some(0o600), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Vec<String> {
        vec![name.to_owned()]
    }

    #[test]
    fn what_is_owed_survives_the_worker() {
        let dir = tempfile::tempdir().unwrap();
        let system = System::under(dir.path(), vec![]);
        let load = || Debt::load(&system, "/due.json".into()).unwrap();
        let mut debt = load();
        debt.owe(&system, &key("restart apim"), Mode::Apply)
            .unwrap();
        assert!(load().owes("restart apim"));
        debt.settle(&system, "restart apim", Mode::Apply).unwrap();
        assert_eq!(load().due(), Vec::<String>::new());
    }

    #[test]
    fn a_dry_run_owes_nothing_and_settles_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let system = System::under(dir.path(), vec![]);
        let mut debt = Debt::load(&system, "/due.json".into()).unwrap();
        debt.owe(&system, &key("real"), Mode::Apply).unwrap();
        debt.owe(&system, &key("pretended"), Mode::Check).unwrap();
        assert!(debt.owes("pretended"));
        debt.settle(&system, "real", Mode::Check).unwrap();
        let after = Debt::load(&system, "/due.json".into()).unwrap();
        assert_eq!(after.due(), ["real"]);
    }

    #[test]
    fn a_torn_list_is_an_error_with_advice_never_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("due.json"), "[\"rest").unwrap();
        let system = System::under(dir.path(), vec![]);
        let failure = Debt::load(&system, "/due.json".into()).unwrap_err();
        assert!(failure.help.is_some_and(|h| h.contains("restart them")));
    }
}
