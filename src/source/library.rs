//! Where playbooks and roles are found: the project first, then the set built into the binary.
//!
//! A project overrides any of them, or any single file, by a file of the same path.

use super::{File, Problem, Result, problem::unreadable};
use include_dir::{Dir, include_dir};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Nobody writes more by hand; a file beyond it is a pack or a log, given by mistake.
const MAX_BYTES: u64 = 16 << 20;

static PLAYBOOKS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/playbooks");
static ROLES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/roles");

/// The project's folder over the built-in set. Paths are relative, with `/`: `roles/apim/tasks/main.yaml`.
#[derive(Debug, Clone)]
pub struct Library {
    project: PathBuf,
}

/// Bytes of a library file and where they are, for content that is sent as it is.
#[derive(Debug, Clone)]
pub enum Bytes {
    OnDisk(PathBuf),
    BuiltIn(&'static [u8]),
}

impl Library {
    pub fn new(project: impl Into<PathBuf>) -> Self {
        Self {
            project: project.into(),
        }
    }

    pub fn project(&self) -> &Path {
        &self.project
    }

    /// A text file; `None` when neither place has it.
    pub fn text(&self, path: &str) -> Result<Option<Arc<File>>> {
        match self.bytes(path) {
            None => Ok(None),
            Some(Bytes::OnDisk(real)) => {
                let name = shown(&real);
                let bytes = std::fs::read(&real).map_err(|e| unreadable(&name, &e))?;
                utf8(name, bytes).map(Some)
            }
            Some(Bytes::BuiltIn(bytes)) => {
                utf8(format!("<built-in>/{path}"), bytes.to_vec()).map(Some)
            }
        }
    }

    /// A file of any kind; `None` when neither place has it.
    pub fn bytes(&self, path: &str) -> Option<Bytes> {
        if !is_inside(path) {
            return None;
        }
        let real = self.project.join(path);
        if real.is_file() {
            return Some(Bytes::OnDisk(real));
        }
        built_in(path).map(Bytes::BuiltIn)
    }

    /// The names of the files directly in a folder, of both places, sorted.
    pub fn files(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = built_in_dir(folder)
            .into_iter()
            .flat_map(Dir::files)
            .filter_map(|f| Some(f.path().file_name()?.to_string_lossy().into_owned()))
            .collect();
        if let Ok(entries) = std::fs::read_dir(self.project.join(folder)) {
            for entry in entries.flatten() {
                if entry.path().is_file() {
                    names.push(entry.file_name().to_string_lossy().into_owned());
                }
            }
        }
        names.sort();
        names.dedup();
        names
    }

    /// The names of the folders directly in a folder, of both places, sorted.
    pub fn folders(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = built_in_dir(folder)
            .into_iter()
            .flat_map(Dir::dirs)
            .filter_map(|d| Some(d.path().file_name()?.to_string_lossy().into_owned()))
            .collect();
        if let Ok(entries) = std::fs::read_dir(self.project.join(folder)) {
            for entry in entries.flatten() {
                if entry.path().is_dir() {
                    names.push(entry.file_name().to_string_lossy().into_owned());
                }
            }
        }
        names.sort();
        names.dedup();
        names
    }
}

/// A file outside the library, such as an inventory or a playbook given by path.
pub fn read(path: &Path) -> Result<Arc<File>> {
    let name = shown(path);
    let unreadable = |e| unreadable(&name, &e);
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_BYTES {
        let limit = format!("{name} is larger than {} MiB", MAX_BYTES >> 20);
        return Err(Problem::new(limit).into());
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    utf8(name, bytes)
}

fn utf8(name: String, bytes: Vec<u8>) -> Result<Arc<File>> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(File::new(name, text)),
        Err(e) => {
            let line = e.as_bytes()[..e.utf8_error().valid_up_to()]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
                + 1;
            Err(
                Problem::new(format!("{name}:{line}: the file is not UTF-8"))
                    .help("save it as UTF-8")
                    .into(),
            )
        }
    }
}

/// Names inside the library never leave it.
fn is_inside(path: &str) -> bool {
    Path::new(path)
        .components()
        .all(|c| matches!(c, std::path::Component::Normal(_)))
}

fn built_in(path: &str) -> Option<&'static [u8]> {
    let (top, rest) = path.split_once('/')?;
    match top {
        "playbooks" => PLAYBOOKS.get_file(rest),
        "roles" => ROLES.get_file(rest),
        _ => None,
    }
    .map(include_dir::File::contents)
}

fn built_in_dir(folder: &str) -> Option<&'static Dir<'static>> {
    match folder.split_once('/') {
        None if folder == "playbooks" => Some(&PLAYBOOKS),
        None if folder == "roles" => Some(&ROLES),
        Some(("roles", rest)) => ROLES.get_dir(rest),
        Some(("playbooks", rest)) => PLAYBOOKS.get_dir(rest),
        _ => None,
    }
}

fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    text.strip_prefix("./")
        .map_or(text.clone(), ToOwned::to_owned)
}
