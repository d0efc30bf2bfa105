//! Where a file that a playbook names is looked for.

use crate::source::{self, File, Library, Result};
use std::path::PathBuf;
use std::sync::Arc;

/// A folder of the library, or of the disk for a playbook given by path.
#[derive(Debug, Clone)]
pub enum Folder {
    Library(String),
    Disk(PathBuf),
}

impl Folder {
    /// A file of the folder; `None` when there is none.
    pub fn read(&self, library: &Library, name: &str) -> Result<Option<Arc<File>>> {
        match self {
            Self::Library(folder) => library.text(&format!("{folder}/{name}")),
            Self::Disk(folder) => {
                let path = folder.join(name);
                path.is_file().then(|| source::read(&path)).transpose()
            }
        }
    }

    /// The names in it, for "did you mean".
    pub fn names(&self, library: &Library) -> Vec<String> {
        match self {
            Self::Library(folder) => library.files(folder),
            Self::Disk(folder) => std::fs::read_dir(folder)
                .map(|entries| {
                    entries
                        .flatten()
                        .map(|e| e.file_name().to_string_lossy().into_owned())
                        .collect()
                })
                .unwrap_or_default(),
        }
    }
}
