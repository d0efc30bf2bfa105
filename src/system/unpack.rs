//! Unpacking without trust: into a fresh folder beside, under names that were judged one by one.
//!
//! Nothing here follows a link: files come first and links last, so no member can be written
//! through another. What is unpacked is then moved into place by renames.

use super::archive::{Member, MemberKind, read_archive};
use super::{Result, System, failed};
use crate::wire::Failure;
use globset::GlobSet;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

/// Members of one archive. The largest product packs have some thirty thousand.
const MOST_MEMBERS: usize = 300_000;
/// Bytes unpacked per byte packed. Real packs stay below twenty, bombs begin at a thousand.
const MOST_GROWTH: u64 = 100;
/// Bytes that any archive may become, however small it is.
const ALWAYS_ALLOWED: u64 = 64 << 20;

/// Which members are wanted, under which names and with whose rights.
pub struct Choice<'a> {
    /// Leading folders to drop from every name.
    pub strip: usize,
    /// Empty means everything.
    pub include: &'a GlobSet,
    pub exclude: &'a GlobSet,
    /// Just these, when some files of an unpacked archive need to be put back.
    pub only: Option<&'a BTreeSet<PathBuf>>,
    /// The permission bits that a thing is given; `None` leaves it alone.
    pub bits: &'a dyn Fn(&Thing) -> Option<u32>,
    pub owner: Owner,
}

/// The numbers of user and group; `None` where nobody cares.
pub type Owner = (Option<u32>, Option<u32>);

/// Something that came out of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thing {
    pub kind: ThingKind,
    /// Permission bits by the archive's word.
    pub mode: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThingKind {
    Folder,
    File {
        size: u64,
        /// Seconds and nanoseconds since the epoch.
        modified: (i64, i64),
    },
    Link(PathBuf),
}

/// By path below the destination; folders come before what is in them.
pub type Things = BTreeMap<PathBuf, Thing>;

/// An archive, unpacked into a folder beside its place. Dropping it removes the folder.
pub struct Unpacked {
    folder: tempfile::TempDir,
    pub things: Things,
}

impl System {
    /// Unpacks the archive at the real path `archive` into a fresh folder inside `dest`.
    pub fn unpack(
        &self,
        archive: &Path,
        name: &str,
        dest: &Path,
        choice: &Choice<'_>,
    ) -> Result<Unpacked> {
        let dest = self.locate(dest);
        clear_leftovers(&dest);
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(&dest)
            .map_err(|e| failed("unpack into", &dest, &e))?;
        let packed = fs::metadata(archive).map_err(|e| failed("read", archive, &e))?;
        let mut unpacker = Unpacker {
            system: self,
            name,
            choice,
            root: folder.path(),
            dest: &dest,
            room: ALWAYS_ALLOWED + packed.size() * MOST_GROWTH,
            members: 0,
            bytes: 0,
            told: Instant::now(),
            links: Vec::new(),
            things: Things::new(),
        };
        read_archive(archive, name, &mut |member| unpacker.take(member))?;
        unpacker.make_links()?;
        let things = unpacker.things;
        Ok(Unpacked { folder, things })
    }
}

const PREFIX: &str = ".apim-deploy-unpack-";

/// A worker that was killed here left its half behind; only one works on a host at a time.
fn clear_leftovers(dest: &Path) {
    let entries = fs::read_dir(dest).into_iter().flatten().flatten();
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            // What stays costs space and nothing else.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

struct Unpacker<'a> {
    system: &'a System,
    name: &'a str,
    choice: &'a Choice<'a>,
    /// The fresh folder.
    root: &'a Path,
    dest: &'a Path,
    /// Bytes that may still come out.
    room: u64,
    members: usize,
    bytes: u64,
    told: Instant,
    links: Vec<(PathBuf, PathBuf)>,
    things: Things,
}

impl Unpacker<'_> {
    fn take(&mut self, member: Member<'_>) -> Result<()> {
        self.members += 1;
        if self.members > MOST_MEMBERS {
            return Err(self.refuse(&format!("it has more than {MOST_MEMBERS} members")));
        }
        self.tell();
        let Some(path) = self.chosen(&member.name)? else {
            return Ok(());
        };
        // Nobody but the owner may write, and nothing runs with another's rights.
        let mode = |usual: u32| member.mode.unwrap_or(usual) & 0o755;
        match &member.kind {
            MemberKind::Folder => self.folder(&path, mode(0o755) | 0o700),
            MemberKind::File => self.file(&path, mode(0o644) | 0o600, member.content),
            MemberKind::Link(target) => self.link(path, Path::new(target)),
            MemberKind::Hard(target) => self.second_name(&path, target, mode(0o644) | 0o600),
            MemberKind::Special => {
                Err(self.refuse(&format!("`{}` is a device, pipe or socket", member.name)))
            }
        }
    }

    /// Where the member goes, if it is wanted. Names are judged even when it is not.
    fn chosen(&self, name: &str) -> Result<Option<PathBuf>> {
        let Some(path) = self.stripped(name)? else {
            return Ok(None);
        };
        let choice = self.choice;
        let wanted = (choice.include.is_empty() || choice.include.is_match(&path))
            && !choice.exclude.is_match(&path)
            && choice.only.is_none_or(|only| only.contains(&path));
        Ok(wanted.then_some(path))
    }

    /// The name without its leading folders; `None` when nothing is left.
    fn stripped(&self, name: &str) -> Result<Option<PathBuf>> {
        let mut parts = Vec::new();
        for part in Path::new(name).components() {
            match part {
                Component::Normal(part) => parts.push(part),
                Component::CurDir => {}
                _ => return Err(self.refuse(&format!("`{name}` leads out of the folder"))),
            }
        }
        if name.contains('\0') {
            return Err(self.refuse("a name has a zero byte in it"));
        }
        let left: PathBuf = parts.into_iter().skip(self.choice.strip).collect();
        Ok((!left.as_os_str().is_empty()).then_some(left))
    }

    /// Makes a folder and its parents, each of them a real folder.
    fn folder(&mut self, path: &Path, mode: u32) -> Result<()> {
        self.parents(path)?;
        let real = self.root.join(path);
        match fs::create_dir(&real) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && real.is_dir() => {}
            made => made.map_err(|e| failed("create", &self.dest.join(path), &e))?,
        }
        self.record(path, ThingKind::Folder, mode)
    }

    /// A parent must be a folder of ours: behind a link, `..` would no longer lead where it seems to.
    fn parents(&mut self, path: &Path) -> Result<()> {
        let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) else {
            return Ok(());
        };
        match self.things.get(parent).map(|thing| &thing.kind) {
            Some(ThingKind::Folder) => Ok(()),
            None => self.folder(parent, 0o755),
            Some(_) => {
                let (path, parent) = (path.display(), parent.display());
                Err(self.refuse(&format!("`{path}` is in `{parent}`, which is no folder")))
            }
        }
    }

    fn file(&mut self, path: &Path, mode: u32, content: &mut dyn Read) -> Result<()> {
        self.parents(path)?;
        let real = self.root.join(path);
        let mut file = fs::File::create(&real).map_err(|e| self.unwritten(path, &e))?;
        let mut piece = vec![0; 128 << 10];
        loop {
            let n = content.read(&mut piece).map_err(|e| self.torn(path, &e))?;
            if n == 0 {
                break;
            }
            self.spend(n as u64)?;
            file.write_all(&piece[..n])
                .map_err(|e| self.unwritten(path, &e))?;
        }
        let meta = file.metadata().map_err(|e| self.unwritten(path, &e))?;
        let kind = ThingKind::File {
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
        };
        self.record(path, kind, mode)
    }

    /// Gives the thing its owner and mode, and notes it.
    fn record(&mut self, path: &Path, kind: ThingKind, mode: u32) -> Result<()> {
        let thing = Thing { kind, mode };
        let real = self.root.join(path);
        let (uid, gid) = self.choice.owner;
        if uid.is_some() || gid.is_some() {
            std::os::unix::fs::lchown(&real, uid, gid).map_err(|e| self.unwritten(path, &e))?;
        }
        if let Some(bits) = (self.choice.bits)(&thing) {
            fs::set_permissions(&real, fs::Permissions::from_mode(bits))
                .map_err(|e| self.unwritten(path, &e))?;
        }
        self.things.insert(path.to_owned(), thing);
        Ok(())
    }

    /// Counts what came out, not what the archive said would come.
    fn spend(&mut self, bytes: u64) -> Result<()> {
        self.bytes += bytes;
        self.tell();
        self.room = self.room.checked_sub(bytes).ok_or_else(|| {
            self.refuse(&format!(
                "it becomes more than {MOST_GROWTH} times its size, as only a bomb does"
            ))
        })?;
        Ok(())
    }

    /// A link may climb by leading `..` only: after a name, `..` goes up from wherever that name leads.
    fn link(&mut self, path: PathBuf, target: &Path) -> Result<()> {
        let mut height = path.components().count() - 1;
        let mut climbing = true;
        let stays = target.components().all(|part| match part {
            Component::ParentDir if climbing && height > 0 => {
                height -= 1;
                true
            }
            Component::Normal(_) => {
                climbing = false;
                true
            }
            Component::CurDir => true,
            _ => false,
        });
        if !stays || target.as_os_str().is_empty() {
            let (path, target) = (path.display(), target.display());
            return Err(self.refuse(&format!("the link `{path}` leads out, to `{target}`")));
        }
        self.links.push((path, target.to_owned()));
        Ok(())
    }

    fn make_links(&mut self) -> Result<()> {
        for (path, target) in std::mem::take(&mut self.links) {
            self.parents(&path)?;
            if self.things.contains_key(&path) {
                return Err(self.refuse(&format!("`{}` is in it twice", path.display())));
            }
            std::os::unix::fs::symlink(&target, self.root.join(&path))
                .map_err(|e| self.unwritten(&path, &e))?;
            self.record(&path, ThingKind::Link(target), 0o777)?;
        }
        Ok(())
    }

    /// A copy, so that changing one of the two later leaves the other alone.
    fn second_name(&mut self, path: &Path, target: &str, mode: u32) -> Result<()> {
        let first = self.stripped(target)?.unwrap_or_default();
        let fresh = self.root.join(&first);
        // When some files are put back, the first name may be in place already.
        let first = match fresh.exists() {
            true => fresh,
            false => self.dest.join(&first),
        };
        if !self.is_ours(&first) {
            let path = path.display();
            return Err(self.refuse(&format!("`{path}` is a second name of nothing")));
        }
        let mut content = fs::File::open(&first).map_err(|e| self.unwritten(path, &e))?;
        self.file(path, mode, &mut content)
    }

    /// A file below the destination that no link leads away from.
    fn is_ours(&self, path: &Path) -> bool {
        let inside = match (path.canonicalize(), self.dest.canonicalize()) {
            (Ok(path), Ok(dest)) => path.starts_with(dest),
            _ => false,
        };
        inside && fs::symlink_metadata(path).is_ok_and(|m| m.is_file())
    }

    fn tell(&mut self) {
        if self.told.elapsed() > Duration::from_secs(1) {
            self.told = Instant::now();
            let (members, mib) = (self.members, self.bytes >> 20);
            self.system
                .progress(&format!("unpacked {members} files, {mib} MiB"));
        }
    }

    fn unwritten(&self, path: &Path, e: &std::io::Error) -> Failure {
        failed("unpack", &self.dest.join(path), e)
    }

    fn torn(&self, path: &Path, e: &std::io::Error) -> Failure {
        Failure::new(format!(
            "{} breaks off at `{}`: {e}",
            self.name,
            path.display()
        ))
        .help("compare the archive's checksum with the publisher's")
    }

    fn refuse(&self, why: &str) -> Failure {
        Failure::new(format!("{} is refused: {why}", self.name))
            .help("nothing was put in place; get the archive from its publisher again")
    }
}

impl Unpacked {
    /// Moves everything below `dest`. What is not there yet appears all at once; a file there
    /// gives way unless `keep` names it.
    pub fn place(&self, system: &System, dest: &Path, keep: &GlobSet) -> Result<()> {
        let real = system.locate(dest);
        // The data must be on disk before the names are: a power cut leaves the old or the new.
        fs::File::open(&real)
            .and_then(|dir| Ok(rustix::fs::syncfs(dir)?))
            .map_err(|e| failed("write to disk", dest, &e))?;
        let mut moved = BTreeSet::new();
        for (path, thing) in &self.things {
            // Whatever is in a folder that moved went along with it.
            if path.ancestors().any(|above| moved.contains(above)) {
                continue;
            }
            if self.place_one(&real, path, thing, keep)? {
                moved.insert(path.clone());
            }
        }
        Ok(())
    }

    /// Whether it was moved, with all that is in it.
    fn place_one(&self, dest: &Path, path: &Path, thing: &Thing, keep: &GlobSet) -> Result<bool> {
        let to = dest.join(path);
        let found = fs::symlink_metadata(&to).ok();
        // Someone may have moved a folder to another disk and left a link: that is a folder too.
        let folder = found.is_some() && to.is_dir();
        match (&thing.kind, found) {
            (ThingKind::Folder, Some(_)) if folder => return Ok(false),
            (ThingKind::File { .. } | ThingKind::Link(_), Some(_)) if keep.is_match(path) => {
                return Ok(false);
            }
            (_, Some(found)) if found.is_dir() => return Err(obstacle(&to, "a folder")),
            (ThingKind::Folder, Some(_)) => return Err(obstacle(&to, "no folder")),
            _ => {}
        }
        let from = self.folder.path().join(path);
        fs::rename(from, &to).map_err(|e| failed("put in place", &to, &e))?;
        Ok(true)
    }
}

fn obstacle(path: &Path, is: &str) -> Failure {
    let path = path.display();
    Failure::new(format!("{path} is {is}, other than in the archive"))
        .help("move it away; it is not ours to remove")
}
