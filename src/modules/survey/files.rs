//! Files: owners, modes, digests, and a bounded walk for what is wrong with them.

use super::in_time;
use crate::system::{FileKind, Meta, Result, System, failed};
use crate::wire::survey::{Folder, FolderEntry, Offenders, PathFacts, PathKind};
use crate::wire::{Capp, Failure};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Files, as the user of a service has them.
pub struct Files<'a> {
    pub system: &'a System,
    /// The number and groups of the user, if one was named and is known here.
    user: Option<(u32, Vec<u32>)>,
}

impl<'a> Files<'a> {
    pub fn of(system: &'a System, user: Option<&str>) -> Self {
        Self {
            system,
            user: user.and_then(|name| identity(system, name)),
        }
    }

    pub fn path(&self, path: &Path) -> PathFacts {
        let facts = match self.system.meta(path) {
            Ok(Some(meta)) => self.facts(path, &meta).ok(),
            Ok(None) => Some(nothing(path, PathKind::Missing)),
            Err(_) => None,
        };
        facts.unwrap_or_else(|| nothing(path, PathKind::Unreadable))
    }

    fn facts(&self, path: &Path, meta: &Meta) -> Result<PathFacts> {
        let (uid, gid) = (meta.uid.to_string(), meta.gid.to_string());
        Ok(PathFacts {
            path: path.to_owned(),
            kind: kind(meta.kind),
            owner: self.system.user(&uid)?.map_or(uid, |user| user.name),
            group: self.system.group(&gid)?.map_or(gid, |group| group.name),
            mode: meta.mode,
            size: meta.size,
            writable: self
                .user
                .as_ref()
                .map(|(uid, gids)| may_write(meta, *uid, gids)),
        })
    }

    /// The direct children of a folder.
    pub fn folder(&self, path: &Path) -> Folder {
        const MOST: usize = 500;
        let entry = |name: String| {
            in_time(self.system)?;
            self.entry(path, name)
        };
        let entries = self
            .system
            .list(path)
            .and_then(|names| names.into_iter().take(MOST).map(entry).collect());
        Folder {
            path: path.to_owned(),
            entries: Result::into(entries),
        }
    }

    fn entry(&self, folder: &Path, name: String) -> Result<FolderEntry> {
        const LARGEST: u64 = 64 << 20;
        let path = folder.join(&name);
        let meta = self.system.meta(&path)?;
        let sha256 = match &meta {
            Some(meta) if meta.kind == FileKind::File && meta.size <= LARGEST => {
                self.system.digest(&path)?
            }
            _ => None,
        };
        let is_capp = path.extension().is_some_and(|end| end == "car");
        Ok(FolderEntry {
            capp: sha256
                .as_ref()
                .filter(|_| is_capp)
                .map(|_| self.capp(&path).into()),
            name,
            kind: meta.as_ref().map_or(PathKind::Missing, |m| kind(m.kind)),
            size: meta.map_or(0, |m| m.size),
            sha256,
        })
    }

    fn capp(&self, path: &Path) -> Result<Capp> {
        let file = File::open(self.system.locate(path)).map_err(|e| failed("read", path, &e))?;
        Capp::read(file).map_err(|why| Failure::new(format!("{}: {why}", path.display())))
    }

    /// The direct children whose name begins so.
    pub fn beginning(&self, folder: &Path, beginning: &str) -> Result<Vec<PathFacts>> {
        let names = self.system.list(folder)?;
        let chosen = names.iter().filter(|name| name.starts_with(beginning));
        Ok(chosen.map(|name| self.path(&folder.join(name))).collect())
    }

    /// What the service's user does not own, and what everybody may write.
    pub fn offenders(&self, home: &Path, folders: &[PathBuf]) -> Result<Offenders> {
        let mut walk = Walk {
            files: self,
            found: Offenders {
                seen: 0,
                complete: true,
                foreign: 0,
                foreign_paths: Vec::new(),
                open: 0,
                open_paths: Vec::new(),
            },
        };
        for folder in folders {
            // A home is often a link to a release; below it none is followed.
            walk.visit(&self.system.follow(&home.join(folder))?, 0)?;
        }
        Ok(walk.found)
    }
}

struct Walk<'a> {
    files: &'a Files<'a>,
    found: Offenders,
}

impl Walk<'_> {
    fn visit(&mut self, path: &Path, depth: u32) -> Result<()> {
        const DEEPEST: u32 = 10;
        const MOST: u64 = 20_000;
        // It may be gone by now; servers write while we walk.
        let Some(meta) = self.files.system.meta(path)? else {
            return Ok(());
        };
        if depth > DEEPEST || self.found.seen >= MOST || in_time(self.files.system).is_err() {
            self.found.complete = false;
            return Ok(());
        }
        self.found.seen += 1;
        self.judge(path, &meta)?;
        if meta.kind == FileKind::Directory {
            for name in self.files.system.list(path)? {
                self.visit(&path.join(name), depth + 1)?;
            }
        }
        Ok(())
    }

    fn judge(&mut self, path: &Path, meta: &Meta) -> Result<()> {
        const TOLD: usize = 10;
        // Neither owner nor mode of a link decides anything.
        if meta.kind == FileKind::Link {
            return Ok(());
        }
        let owner = self.files.user.as_ref().map(|(uid, _)| *uid);
        if owner != Some(meta.uid) {
            self.found.foreign += 1;
            if self.found.foreign_paths.len() < TOLD {
                self.found.foreign_paths.push(self.files.facts(path, meta)?);
            }
        }
        // In a sticky folder everybody keeps to their own.
        let is_open = meta.mode & 0o1002 == 0o0002;
        if is_open {
            self.found.open += 1;
            if self.found.open_paths.len() < TOLD {
                self.found.open_paths.push(self.files.facts(path, meta)?);
            }
        }
        Ok(())
    }
}

fn identity(system: &System, name: &str) -> Option<(u32, Vec<u32>)> {
    let user = system.user(name).ok()??;
    let names = system.groups_with(&user.name).unwrap_or_default();
    let others = names.iter().filter_map(|name| system.gid_of(name).ok());
    Some((user.uid, std::iter::once(user.gid).chain(others).collect()))
}

/// By the bits alone; a file system that is mounted read-only shows among the mounts.
fn may_write(meta: &Meta, uid: u32, gids: &[u32]) -> bool {
    let bit = match () {
        () if uid == 0 => return true,
        () if meta.uid == uid => 0o200,
        () if gids.contains(&meta.gid) => 0o020,
        () => 0o002,
    };
    meta.mode & bit != 0
}

fn nothing(path: &Path, kind: PathKind) -> PathFacts {
    PathFacts {
        path: path.to_owned(),
        kind,
        owner: String::new(),
        group: String::new(),
        mode: 0,
        size: 0,
        writable: None,
    }
}

fn kind(kind: FileKind) -> PathKind {
    match kind {
        FileKind::File => PathKind::File,
        FileKind::Directory => PathKind::Folder,
        FileKind::Link => PathKind::Link,
        FileKind::Other => PathKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_begins_behind_the_link_and_follows_no_other() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("release/conf")).unwrap();
        std::fs::create_dir(dir.path().join("elsewhere")).unwrap();
        std::fs::write(dir.path().join("elsewhere/file"), "").unwrap();
        for (link, target) in [("home", "release"), ("release/conf/out", "../../elsewhere")] {
            std::os::unix::fs::symlink(target, dir.path().join(link)).unwrap();
        }
        let system = System::under(dir.path(), vec![]);
        let walk = |folder: &str| {
            let files = Files::of(&system, None);
            files
                .offenders(Path::new("/home"), &[folder.into()])
                .unwrap()
        };
        let all = walk(".");
        assert_eq!(all.seen, 3, "the release, conf and the link in it");
        assert_eq!((all.foreign, all.open), (2, 0), "a link is nobody's");
        assert_eq!(walk("conf").seen, 2);
        assert_eq!(walk("none").seen, 0);
    }

    #[test]
    fn an_archive_of_mi_says_what_it_brings() {
        const STOCK: &[u8] = include_bytes!("../../../tests/fixtures/capps/stock_1.0.0.car");
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            ("stock.car", STOCK),
            ("half.car", &STOCK[..99]),
            ("x.zip", STOCK),
        ] {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let system = System::under(dir.path(), vec![]);
        let folder = Files::of(&system, None).folder(Path::new("/"));
        let entries = folder.entries.known().unwrap();
        let capp = |name: &str| {
            entries
                .iter()
                .find(|e| e.name == name)
                .unwrap()
                .capp
                .as_ref()
        };
        let stock = capp("stock.car").unwrap().known().unwrap();
        assert_eq!((&*stock.name, &*stock.artifacts[0]), ("Stock", "StockAPI"));
        assert!(
            capp("half.car")
                .unwrap()
                .why()
                .unwrap()
                .contains("no archive")
        );
        assert_eq!(capp("x.zip"), None);
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        let meta = |mode| Meta {
            kind: FileKind::File,
            size: 0,
            mode,
            uid: 5,
            gid: 50,
            modified: (0, 0),
            inode: 1,
        };
        assert!(may_write(&meta(0o200), 5, &[50]));
        assert!(
            !may_write(&meta(0o022), 5, &[50]),
            "its owner, whatever the others may"
        );
        assert!(may_write(&meta(0o020), 6, &[7, 50]));
        assert!(!may_write(&meta(0o020), 6, &[7]));
        assert!(may_write(&meta(0o000), 0, &[]));
    }
}
