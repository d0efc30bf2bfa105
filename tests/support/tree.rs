//! A tree of files in YAML: planted before a case, compared after it.
//!
//! `/etc/motd: text` is a file; `{ file: text, mode: "0640" }`, `{ dir: true }`, `{ link: target }`
//! and `null` for a path that must not exist.

use crate::archive::Pack;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

pub type Tree = BTreeMap<String, Option<Thing>>;

#[derive(Deserialize)]
#[serde(untagged)]
pub enum Thing {
    Text(String),
    Full(Full),
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Full {
    file: Option<String>,
    #[serde(default)]
    dir: bool,
    link: Option<PathBuf>,
    /// An archive as a file on the host.
    pack: Option<Pack>,
    /// Four octal digits.
    mode: Option<String>,
    /// Same inode as that path: nobody replaced the file.
    same_as: Option<String>,
}

/// Makes the tree below `root`; `null` removes what is there.
pub fn plant(tree: &Tree, root: &Path) {
    for (path, thing) in tree {
        let real = below(root, path);
        std::fs::create_dir_all(real.parent().expect("a parent")).expect("parents");
        match thing {
            Some(Thing::Text(text)) => std::fs::write(&real, text).expect("a file"),
            Some(Thing::Full(full)) => full.plant(&real),
            None if real.is_dir() => std::fs::remove_dir_all(&real).expect("a folder to remove"),
            None => std::fs::remove_file(&real).expect("a file to remove"),
        }
    }
}

impl Full {
    fn plant(&self, real: &Path) {
        if self.dir {
            std::fs::create_dir_all(real).expect("a folder");
        } else if let Some(target) = &self.link {
            std::os::unix::fs::symlink(target, real).expect("a link");
        } else if let Some(pack) = &self.pack {
            std::fs::write(real, pack.bytes()).expect("an archive");
        } else {
            std::fs::write(real, self.file.as_deref().unwrap_or_default()).expect("a file");
        }
        if let Some(mode) = &self.mode {
            let mode = u32::from_str_radix(mode, 8).expect("an octal mode");
            std::fs::set_permissions(real, std::fs::Permissions::from_mode(mode)).expect("a mode");
        }
    }

    fn compare(&self, path: &str, root: &Path) -> Result<(), String> {
        let real = below(root, path);
        let meta = real
            .symlink_metadata()
            .map_err(|e| format!("{path}: {e}"))?;
        if self.dir && !meta.is_dir() {
            return Err(format!("{path} is no folder"));
        }
        if let Some(wanted) = &self.link {
            let found = std::fs::read_link(&real).map_err(|e| format!("{path}: {e}"))?;
            same(path, &found, wanted)?;
        }
        if let Some(wanted) = &self.file {
            text(path, &real, wanted)?;
        }
        if let Some(wanted) = &self.mode {
            let found = format!("{:04o}", meta.permissions().mode() & 0o7777);
            same(path, &found, wanted)?;
        }
        match &self.same_as {
            Some(other) => {
                let other = below(root, other).symlink_metadata();
                same(path, &other.map(|m| m.ino()).ok(), &Some(meta.ino()))
            }
            None => Ok(()),
        }
    }
}

/// Says where the tree below `root` is not what the case wants.
pub fn compare(wanted: &Tree, root: &Path) -> Result<(), String> {
    for (path, thing) in wanted {
        match thing {
            Some(Thing::Text(wanted)) => text(path, &below(root, path), wanted)?,
            Some(Thing::Full(full)) => full.compare(path, root)?,
            None if below(root, path).symlink_metadata().is_ok() => {
                return Err(format!("{path} is there"));
            }
            None => {}
        }
    }
    Ok(())
}

fn text(path: &str, real: &Path, wanted: &str) -> Result<(), String> {
    let found = std::fs::read(real).map_err(|e| format!("{path}: {e}"))?;
    same(
        path,
        &String::from_utf8_lossy(&found).into_owned(),
        &wanted.to_owned(),
    )
}

fn same<T: PartialEq + std::fmt::Debug>(path: &str, found: &T, wanted: &T) -> Result<(), String> {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{path} has {found:?}, wanted {wanted:?}"))
}

/// Everything about the tree that a look must not change.
pub fn snapshot(root: &Path) -> Vec<(PathBuf, u32, u64, i64, Vec<u8>)> {
    let mut all = Vec::new();
    walk(root, &mut |path, meta| {
        let content = match meta.is_file() {
            true => std::fs::read(path).unwrap_or_default(),
            false => Vec::new(),
        };
        all.push((
            path.to_owned(),
            meta.mode(),
            meta.ino(),
            // Scratch files come and go in /run, in check mode as well; none may stay.
            if path == root.join("run") {
                0
            } else {
                meta.mtime_nsec()
            },
            content,
        ));
    });
    all
}

/// A temporary file that somebody forgot.
pub fn temporary(root: &Path) -> Option<PathBuf> {
    let mut found = None;
    walk(root, &mut |path, _| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(".apim-deploy-") {
            found = Some(path.to_owned());
        }
    });
    found
}

fn walk(folder: &Path, see: &mut dyn FnMut(&Path, &std::fs::Metadata)) {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    for path in paths {
        let meta = path.symlink_metadata().expect("it was just there");
        see(&path, &meta);
        if meta.is_dir() {
            walk(&path, see);
        }
    }
}

/// A star at the end stands for the rest of a name that nobody can know, such as a backup's.
fn below(root: &Path, path: &str) -> PathBuf {
    let real = root.join(path.trim_start_matches('/').trim_end_matches('*'));
    if !path.ends_with('*') {
        return real;
    }
    let begins = |entry: &PathBuf| {
        entry
            .to_string_lossy()
            .starts_with(&*real.to_string_lossy())
    };
    let folder = std::fs::read_dir(real.parent().expect("a parent")).expect("a folder");
    let mut paths = folder.map(|entry| entry.expect("an entry").path());
    paths.find(begins).unwrap_or(real.clone())
}
