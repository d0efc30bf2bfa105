//! One case: read, set up, run, judged. See `tests/modules.rs`.

use crate::archive::Pack;
use crate::tree::{self, Tree};
use apim_deploy::modules::{self, Found, Kind, Ready};
use apim_deploy::system::{Answer, Notes, Output, Store, System, hex};
use apim_deploy::wire::{Digest, Failure, Mode};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Digest as _;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// As the controller sends them. The text `blob:<name>` becomes that blob's `Content`.
    params: Value,
    /// What is on the host before.
    #[serde(default)]
    given: Tree,
    /// Content that the controller keeps for the host.
    #[serde(default)]
    blobs: BTreeMap<String, Pack>,
    /// Taken in turn by the commands they begin; each must be used.
    #[serde(default)]
    answers: Vec<Said>,
    /// The changes, as phrases.
    #[serde(default)]
    changes: Vec<String>,
    /// Instead of `changes`: what the failure's message must contain.
    failure: Option<String>,
    /// What the failure's advice must contain.
    help: Option<String>,
    /// What `register` sees must include this.
    #[serde(default)]
    notes: Value,
    /// The text after, of the files that `--diff` shows.
    #[serde(default)]
    diffs: BTreeMap<String, String>,
    /// What must be on the host afterwards; other paths are free, `null` must not be there.
    #[serde(default)]
    then: Tree,
    /// A second run must find nothing. Set to false where the answers cannot tell that story.
    #[serde(default = "yes")]
    recheck: bool,
    /// Check mode must find the same changes. Set to false where it cannot judge.
    #[serde(default = "yes")]
    rehearse: bool,
    /// What someone does to the host afterwards, and what the next run makes of it.
    later: Option<Later>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Later {
    /// `null` removes.
    #[serde(default)]
    given: Tree,
    #[serde(default)]
    changes: Vec<String>,
    #[serde(default)]
    then: Tree,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Said {
    /// The first words of the command line.
    run: String,
    #[serde(default)]
    code: i32,
    #[serde(default)]
    stdout: String,
    #[serde(default)]
    stderr: String,
    #[serde(default)]
    again: bool,
    /// Files that the program would have written.
    #[serde(default)]
    writes: BTreeMap<PathBuf, String>,
}

fn yes() -> bool {
    true
}

/// Runs the case in this file; the error says what was wrong with the module.
pub fn run(path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    // By way of JSON, where `{ zip: ... }` is a variant; YAML would want a tag.
    let value: Value = serde_yaml::from_str(&text).map_err(|e| e.to_string())?;
    let case: Case = serde_json::from_value(value).map_err(|e| e.to_string())?;
    let module = path.parent().and_then(Path::file_name).unwrap_or_default();
    Stage::new(case, &module.to_string_lossy())?.play()
}

/// A case set up in a directory of its own.
struct Stage {
    case: Case,
    module: Box<dyn Ready>,
    host: tempfile::TempDir,
    blobs: BTreeMap<String, Vec<u8>>,
}

impl Stage {
    fn new(mut case: Case, module: &str) -> Result<Self, String> {
        let entry = modules::find(module).ok_or("there is no such module")?;
        let host = tempfile::tempdir().map_err(|e| e.to_string())?;
        tree::plant(&case.given, host.path());
        let blobs = packed(std::mem::take(&mut case.blobs), &mut case.params);
        // Parameters that a module refuses are a failure like any other.
        let module = (entry.prepare)(&case.params)
            .unwrap_or_else(|faults| Box::new(Refusing(faults.failure(module))));
        Ok(Self {
            case,
            module,
            host,
            blobs,
        })
    }

    fn play(&self) -> Result<(), String> {
        self.rehearsal()?;
        let system = self.system();
        let outcome = self.module.carry_out(&system, Mode::Apply);
        let notes = system.take_notes();
        self.judge(outcome)?;
        self.judge_notes(&notes)?;
        tree::compare(&self.case.then, self.host.path())?;
        self.second_run(&system)?;
        self.later(&system)?;
        self.leftovers(&system)
    }

    fn system(&self) -> System {
        let answers = self.case.answers.iter().cloned().map(Said::answer);
        System::under(self.host.path(), answers.collect()).with_store(Box::new(Shelf {
            dir: tempfile::tempdir().expect("a folder for blobs"),
            blobs: self.blobs.clone(),
        }))
    }

    /// Check mode finds what the real run will, and leaves no trace.
    fn rehearsal(&self) -> Result<(), String> {
        if self.module.kind() == Kind::Probe {
            return Ok(());
        }
        let before = tree::snapshot(self.host.path());
        let found = self.module.carry_out(&self.system(), Mode::Check);
        if tree::snapshot(self.host.path()) != before {
            return Err("check mode touched the host".into());
        }
        match found {
            Ok(found) if self.case.rehearse && self.case.failure.is_none() => {
                same("check mode found", &found, &self.case.changes)
            }
            Err(e) if self.case.rehearse && self.case.failure.is_none() => {
                Err(format!("check mode failed: {}", told(&e)))
            }
            _ => Ok(()),
        }
    }

    fn judge(&self, outcome: Result<Vec<String>, Failure>) -> Result<(), String> {
        match (outcome, &self.case.failure) {
            (Ok(found), None) => same("it did", &found, &self.case.changes),
            (Ok(found), Some(wanted)) => {
                Err(format!("wanted failure {wanted:?}, it did {found:?}"))
            }
            (Err(e), None) => Err(format!("it failed: {}", told(&e))),
            (Err(e), Some(wanted)) => {
                includes("the failure", &told(&e), wanted)?;
                let help = self.case.help.as_deref().unwrap_or_default();
                includes("the advice", &e.help.unwrap_or_default(), help)
            }
        }
    }

    fn judge_notes(&self, notes: &Notes) -> Result<(), String> {
        let result = Value::Object(notes.result.clone());
        if !within(&self.case.notes, &result) {
            return Err(format!("wanted notes {}, got {result}", self.case.notes));
        }
        for (path, wanted) in &self.case.diffs {
            let shown = notes.diffs.iter().find(|d| &d.path == path);
            same(
                "the difference shows",
                &shown.map(|d| &d.after),
                &Some(wanted),
            )?;
        }
        Ok(())
    }

    fn second_run(&self, system: &System) -> Result<(), String> {
        let settled = self.case.failure.is_none() && self.module.kind() == Kind::State;
        if !settled || !self.case.recheck {
            return Ok(());
        }
        match self.module.carry_out(system, Mode::Apply) {
            Ok(found) => same("the second run did", &found, &Vec::new()),
            Err(e) => Err(format!("the second run failed: {}", told(&e))),
        }
    }

    fn later(&self, system: &System) -> Result<(), String> {
        let Some(later) = &self.case.later else {
            return Ok(());
        };
        tree::plant(&later.given, self.host.path());
        match self.module.carry_out(system, Mode::Apply) {
            Ok(found) => same("later it did", &found, &later.changes)?,
            Err(e) => return Err(format!("later it failed: {}", told(&e))),
        }
        tree::compare(&later.then, self.host.path())?;
        self.second_run(system)
    }

    fn leftovers(&self, system: &System) -> Result<(), String> {
        if let Some(path) = tree::temporary(self.host.path()) {
            return Err(format!("left behind: {}", path.display()));
        }
        let unused = system.unused_answers();
        if !unused.is_empty() && self.case.recheck {
            return Err(format!("never run: {unused:?}"));
        }
        Ok(())
    }
}

impl Said {
    fn answer(self) -> Answer {
        Answer {
            argv: self.run,
            output: Output {
                code: self.code,
                stdout: self.stdout,
                stderr: self.stderr,
            },
            again: self.again,
            writes: self.writes.into_iter().collect(),
        }
    }
}

/// A module whose parameters were refused.
struct Refusing(Failure);

impl Ready for Refusing {
    fn kind(&self) -> Kind {
        Kind::State
    }

    fn look(&self, _: &System) -> Result<Found<'_>, Failure> {
        Err(self.0.clone())
    }
}

/// The controller's side of a fetch.
struct Shelf {
    dir: tempfile::TempDir,
    blobs: BTreeMap<String, Vec<u8>>,
}

impl Store for Shelf {
    fn fetch(&self, digest: &Digest) -> Result<PathBuf, Failure> {
        let bytes = self.blobs.get(&digest.0);
        let bytes = bytes.ok_or_else(|| Failure::new(format!("no blob {digest}")))?;
        let path = self.dir.path().join(&digest.0);
        std::fs::write(&path, bytes).map_err(|e| Failure::new(e.to_string()))?;
        Ok(path)
    }
}

/// Packs the blobs, by digest, and puts their `Content` where `params` name them.
fn packed(packs: BTreeMap<String, Pack>, params: &mut Value) -> BTreeMap<String, Vec<u8>> {
    let mut shelf = BTreeMap::new();
    for (name, pack) in packs {
        let bytes = pack.bytes();
        let digest = hex(&sha2::Sha256::digest(&bytes));
        let content = json!({"blob": {"digest": digest, "size": bytes.len(), "name": name}});
        replace(params, &format!("blob:{name}"), &content);
        shelf.insert(digest, bytes);
    }
    shelf
}

fn replace(within: &mut Value, text: &str, by: &Value) {
    match within {
        Value::String(found) if found == text => *within = by.clone(),
        Value::Array(list) => list.iter_mut().for_each(|v| replace(v, text, by)),
        Value::Object(map) => map.values_mut().for_each(|v| replace(v, text, by)),
        _ => {}
    }
}

/// Whether every field of `wanted` is in `found`, at any depth; lists must be as long.
fn within(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Null, _) => true,
        (Value::Object(wanted), Value::Object(found)) => wanted
            .iter()
            .all(|(key, value)| found.get(key).is_some_and(|f| within(value, f))),
        (Value::Array(wanted), Value::Array(found)) => {
            let mut pairs = wanted.iter().zip(found);
            wanted.len() == found.len() && pairs.all(|(wanted, found)| within(wanted, found))
        }
        _ => wanted == found,
    }
}

fn told(failure: &Failure) -> String {
    let mut lines = vec![failure.message.clone()];
    lines.extend(failure.detail.iter().cloned());
    lines.join("\n")
}

fn includes(what: &str, found: &str, wanted: &str) -> Result<(), String> {
    if found.contains(wanted) {
        return Ok(());
    }
    Err(format!("wanted {what} to say {wanted:?}, got {found:?}"))
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, wanted: &T) -> Result<(), String> {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{what} {found:?}, wanted {wanted:?}"))
}
