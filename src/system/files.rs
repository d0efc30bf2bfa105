//! Files: looked at without following the last link, written beside and renamed into place.

use super::{Result, System};
use crate::wire::Failure;
use sha2::{Digest as _, Sha256};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    Link,
    Other,
}

/// What the file system says about a path itself (links are not followed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    pub kind: Kind,
    pub size: u64,
    /// Permission bits only.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds and nanoseconds since the epoch.
    pub modified: (i64, i64),
    pub inode: u64,
}

impl System {
    /// `None` when nothing is there.
    pub fn meta(&self, path: &Path) -> Result<Option<Meta>> {
        match std::fs::symlink_metadata(self.locate(path)) {
            Ok(m) => Ok(Some(Meta {
                kind: if m.is_symlink() {
                    Kind::Link
                } else if m.is_dir() {
                    Kind::Directory
                } else if m.is_file() {
                    Kind::File
                } else {
                    Kind::Other
                },
                size: m.size(),
                mode: m.permissions().mode() & 0o7777,
                uid: m.uid(),
                gid: m.gid(),
                modified: (m.mtime(), m.mtime_nsec()),
                inode: m.ino(),
            })),
            Err(e) if absent(&e) => Ok(None),
            Err(e) => Err(failed("look at", path, &e)),
        }
    }

    /// The whole content; `None` when nothing is there.
    pub fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        match std::fs::read(self.locate(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if absent(&e) => Ok(None),
            Err(e) => Err(failed("read", path, &e)),
        }
    }

    /// The sha256 of a file in lower-case hex; `None` when nothing is there.
    pub fn digest(&self, path: &Path) -> Result<Option<String>> {
        match digest_of(&self.locate(path)) {
            Ok(digest) => Ok(Some(digest)),
            Err(e) if absent(&e) => Ok(None),
            Err(e) => Err(failed("read", path, &e)),
        }
    }

    /// Where a link points; `None` when there is no link.
    pub fn read_link(&self, path: &Path) -> Result<Option<PathBuf>> {
        match std::fs::read_link(self.locate(path)) {
            Ok(target) => Ok(Some(target)),
            Err(e) if absent(&e) || e.raw_os_error() == Some(22) => Ok(None),
            Err(e) => Err(failed("read the link", path, &e)),
        }
    }

    /// The names in a directory, sorted.
    pub fn list(&self, path: &Path) -> Result<Vec<String>> {
        let entries = std::fs::read_dir(self.locate(path)).map_err(|e| failed("list", path, &e))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| failed("list", path, &e))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// The path that `path` stands for once links in its place are followed; missing is fine.
    pub fn follow(&self, path: &Path) -> Result<PathBuf> {
        let mut path = path.to_owned();
        // As many as Linux follows before it answers ELOOP.
        for _ in 0..40 {
            let Some(target) = self.read_link(&path)? else {
                return Ok(path);
            };
            path = path.parent().unwrap_or(Path::new("/")).join(target);
        }
        Err(Failure::new(format!(
            "{} is a link that leads to itself",
            path.display()
        )))
    }

    /// Puts content in place so that no reader ever finds half of it: written beside, synced,
    /// given its owner and mode, renamed. What is not asked for is kept from the file that was there.
    pub fn write(
        &self,
        path: &Path,
        content: &mut dyn std::io::Read,
        mode: Option<u32>,
        owner: Option<(u32, u32)>,
    ) -> Result<()> {
        self.write_approved(path, content, mode, owner, &|_| Ok(()))
    }

    /// Like `write`, but asks `approve` before the rename; it is given the real path of the new file,
    /// and when it fails the old file stays.
    pub fn write_approved(
        &self,
        path: &Path,
        content: &mut dyn std::io::Read,
        mode: Option<u32>,
        owner: Option<(u32, u32)>,
        approve: &dyn Fn(&Path) -> Result<()>,
    ) -> Result<()> {
        let real = self.locate(path);
        // A link that gives way to a file has no mode worth keeping: it is always 0777.
        let before = self.meta(path)?.filter(|m| m.kind == Kind::File);
        let parent = real.parent().unwrap_or(Path::new("/"));
        let wrong = |e: std::io::Error| unwritten(path, &e);
        let mut file = tempfile::Builder::new()
            .prefix(".apim-deploy-")
            .tempfile_in(parent)
            .map_err(wrong)?;
        std::io::copy(content, &mut file).map_err(wrong)?;
        file.flush().map_err(wrong)?;
        let mode = mode.or(before.as_ref().map(|m| m.mode)).unwrap_or(0o644);
        let owner = owner.or(before.as_ref().map(|m| (m.uid, m.gid)));
        entitle(file.as_file(), mode, owner.unwrap_or_else(ourselves))
            .map_err(|e| failed("set owner and mode of", path, &e))?;
        file.as_file().sync_all().map_err(wrong)?;
        approve(file.path())?;
        file.persist(&real)
            .map_err(|e| failed("write", path, &e.error))?;
        sync_dir(parent);
        Ok(())
    }

    /// A copy beside the file, named after the host's clock: `motd.20260131T235959Z~`.
    pub fn backup(&self, path: &Path) -> Result<PathBuf> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}~", super::clock::stamp()));
        let copy = path.with_file_name(name);
        let meta = self.meta(path)?;
        let mut content =
            std::fs::File::open(self.locate(path)).map_err(|e| failed("read", path, &e))?;
        let mode = meta.as_ref().map(|m| m.mode);
        let owner = meta.as_ref().map(|m| (m.uid, m.gid));
        self.write(&copy, &mut content, mode, owner)?;
        Ok(copy)
    }

    /// Makes a directory and its missing parents.
    pub fn make_dir(&self, path: &Path) -> Result<()> {
        std::fs::create_dir_all(self.locate(path)).map_err(|e| failed("create", path, &e))
    }

    /// Renames a fresh link into place, so no reader ever finds the path missing.
    pub fn replace_link(&self, path: &Path, target: &Path) -> Result<()> {
        let real = self.locate(path);
        let parent = real.parent().unwrap_or(Path::new("/"));
        let name = real.file_name().unwrap_or_default().to_string_lossy();
        let fresh = parent.join(format!(".apim-deploy-{name}-{}", std::process::id()));
        // Left over from a worker that was killed here.
        let _ = std::fs::remove_file(&fresh);
        std::os::unix::fs::symlink(target, &fresh).map_err(|e| failed("link", path, &e))?;
        std::fs::rename(&fresh, &real).map_err(|e| {
            let _ = std::fs::remove_file(&fresh);
            failed("link", path, &e)
        })?;
        sync_dir(parent);
        Ok(())
    }

    /// Renames within one file system.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        std::fs::rename(self.locate(from), self.locate(to)).map_err(|e| failed("rename", from, &e))
    }

    /// Removes a file, a link or a whole tree; nothing there is fine.
    pub fn remove(&self, path: &Path) -> Result<()> {
        let result = match self.meta(path)?.map(|m| m.kind) {
            None => return Ok(()),
            Some(Kind::Directory) => std::fs::remove_dir_all(self.locate(path)),
            Some(_) => std::fs::remove_file(self.locate(path)),
        };
        result.map_err(|e| failed("remove", path, &e))
    }

    pub fn set_mode(&self, path: &Path, mode: u32) -> Result<()> {
        std::fs::set_permissions(self.locate(path), std::fs::Permissions::from_mode(mode))
            .map_err(|e| failed("set the mode of", path, &e))
    }

    /// Changes the owner of the path itself, not of what a link points to.
    pub fn set_owner(&self, path: &Path, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
        rustix::fs::chownat(
            rustix::fs::CWD,
            self.locate(path),
            uid.map(rustix::fs::Uid::from_raw),
            gid.map(rustix::fs::Gid::from_raw),
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(|e| failed("give the owner of", path, &e.into()))
    }
}

/// The sha256 of a file in lower-case hex.
pub fn digest_of(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 256 << 10];
    loop {
        let n = file.read(&mut piece)?;
        if n == 0 {
            break;
        }
        hasher.update(&piece[..n]);
    }
    Ok(hex(&hasher.finalize()))
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The owner first: giving a file away clears its setuid bit.
fn entitle(file: &std::fs::File, mode: u32, (uid, gid): (u32, u32)) -> std::io::Result<()> {
    let uid = rustix::fs::Uid::from_raw(uid);
    let gid = rustix::fs::Gid::from_raw(gid);
    rustix::fs::fchown(file, Some(uid), Some(gid))?;
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

/// Whom new files belong to when nobody says.
pub fn ourselves() -> (u32, u32) {
    (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    )
}

fn unwritten(path: &Path, e: &std::io::Error) -> Failure {
    if e.kind() == std::io::ErrorKind::NotFound {
        return Failure::new(format!(
            "{} cannot be written: its folder does not exist",
            path.display()
        ))
        .help("create the folder with a `file` task (state: directory) before this one");
    }
    failed("write", path, e)
}

fn absent(e: &std::io::Error) -> bool {
    matches!(
        e.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}

/// The sentence of an input or output error, with the advice that its number calls for.
pub fn failed(verb: &str, path: &Path, e: &std::io::Error) -> Failure {
    let failure = Failure::new(format!("cannot {verb} {}: {e}", path.display()));
    match e.raw_os_error() {
        Some(28) => failure.help(format!(
            "the file system of {} is full: free space there (`df -h {0}`, `df -i {0}`)",
            path.display()
        )),
        Some(30) => failure.help("the file system is mounted read-only"),
        Some(1 | 13) => failure.help("the task may need `become: true`"),
        _ => failure,
    }
}

/// A rename is only safe against a power cut once its directory is on disk.
fn sync_dir(dir: &Path) {
    if let Ok(dir) = std::fs::File::open(dir) {
        // Some file systems refuse to sync a directory; the rename itself has happened.
        let _ = dir.sync_all();
    }
}
