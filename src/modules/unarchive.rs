//! `unarchive`: what an archive holds, in place and intact.
//!
//! # Why there is a stamp
//!
//! Whether an archive is unpacked must be known without having it: packs are large, and most
//! runs change nothing. So what came out is noted in `<dest>/.apim-deploy/`, in a file named after
//! the archive's digest. A look then costs one `lstat` per file. Missing and altered files are put
//! back, which fetches the archive; those that `keep` names only have to exist.

use super::shared::content::{self, Source};
use super::shared::permissions::Permissions;
use super::{Brings, Fault, Kind, Module, Review};
use crate::system::{Choice, FileKind, Meta, Owner, Result, System, Thing, ThingKind, Things, hex};
use crate::wire::{Content, Failure};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::Deserialize;
use sha2::Digest as _;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// Globs are relative to `dest`; `*` stays within a folder, `**` does not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unarchive {
    /// On the host, with `remote_src`; otherwise the controller turns it into `content`.
    src: Option<PathBuf>,
    #[serde(default)]
    remote_src: bool,
    #[serde(default, deserialize_with = "content::read")]
    content: Option<Content>,
    /// A folder that exists.
    dest: PathBuf,
    /// Once this is there, nothing is looked at.
    creates: Option<PathBuf>,
    owner: Option<String>,
    group: Option<String>,
    /// On top of the archive's own; `X` spares files that nobody executes.
    mode: Option<Permissions>,
    #[serde(default)]
    include: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
    /// Files that others may change: only made when missing.
    #[serde(default)]
    keep: Vec<String>,
    /// Files that others may change and remove: made when the archive is unpacked, and never again.
    #[serde(default)]
    once: Vec<String>,
    /// Leading folders to drop from the names in the archive.
    #[serde(default)]
    strip: usize,
    /// The result has `files`, every path that belongs to the archive.
    #[serde(default)]
    list_files: bool,
}

pub enum Change {
    Unpack(String),
    /// Missing and altered files.
    Restore(BTreeSet<PathBuf>),
    Owner(Vec<PathBuf>),
    Mode(Vec<(PathBuf, u32)>),
}

/// What became of something that came out of the archive.
enum Sight {
    /// Gone or altered.
    Lost,
    /// There, and somebody else's business.
    Theirs,
    Ours(Meta),
}

/// All that differs from what came out of the archive.
#[derive(Default)]
struct Drift {
    lost: BTreeSet<PathBuf>,
    owner: Vec<PathBuf>,
    mode: Vec<(PathBuf, u32)>,
}

impl Drift {
    fn lost(&mut self, path: &Path) {
        self.lost.insert(path.to_owned());
    }

    fn compare(&mut self, path: &Path, found: &Meta, (uid, gid): Owner, bits: Option<u32>) {
        if uid.is_some_and(|uid| uid != found.uid) || gid.is_some_and(|gid| gid != found.gid) {
            self.owner.push(path.to_owned());
        }
        if let Some(bits) = bits.filter(|bits| *bits != found.mode) {
            self.mode.push((path.to_owned(), bits));
        }
    }

    fn changes(self) -> Vec<Change> {
        let mut changes = Vec::new();
        if !self.lost.is_empty() {
            changes.push(Change::Restore(self.lost));
        }
        if !self.owner.is_empty() {
            changes.push(Change::Owner(self.owner));
        }
        if !self.mode.is_empty() {
            changes.push(Change::Mode(self.mode));
        }
        changes
    }
}

impl Unarchive {
    fn source(&self) -> Result<Source<'_>> {
        match (&self.content, &self.src) {
            (Some(content @ Content::Blob { .. }), _) => Ok(Source::Sent(content)),
            (None, Some(src)) if self.remote_src => Ok(Source::Host(src)),
            _ => Err(Failure::new("`unarchive` was not brought its archive")),
        }
    }

    fn owner(&self, system: &System) -> Result<Owner> {
        let uid = self.owner.as_deref().map(|name| system.uid_of(name));
        let gid = self.group.as_deref().map(|name| system.gid_of(name));
        Ok((uid.transpose()?, gid.transpose()?))
    }

    /// The stamp's name depends on all that decides what comes out.
    fn stamp(&self, system: &System) -> Result<PathBuf> {
        let source = self.source()?;
        let digest = source.digest(system)?.ok_or_else(|| {
            let src = self.src.as_deref().unwrap_or(Path::new(""));
            Failure::new(format!("there is no {} on the host", src.display()))
        })?;
        let all = format!(
            "{digest} {} {:?} {:?}",
            self.strip, self.include, self.exclude
        );
        let mut name = hex(&sha2::Sha256::digest(all));
        name.truncate(16);
        Ok(self.dest.join(".apim-deploy").join(name + ".json"))
    }

    /// What came out of the archive earlier; a stamp that cannot be read counts for nothing.
    fn stamped(&self, system: &System) -> Result<Option<Things>> {
        let stamp = system.read(&self.stamp(system)?)?;
        Ok(stamp.and_then(|json| serde_json::from_slice(&json).ok()))
    }

    fn write_stamp(&self, system: &System, things: &Things) -> Result<()> {
        let stamp = self.stamp(system)?;
        system.make_dir(stamp.parent().unwrap_or(&self.dest))?;
        let json = serde_json::to_vec(things)
            .map_err(|e| Failure::new(format!("the stamp cannot be written: {e}")))?;
        system.write(&stamp, &mut json.as_slice(), Some(0o644), None)
    }

    fn judge(&self, system: &System, things: &Things) -> Result<Vec<Change>> {
        let keep = globs("keep", &self.keep)?;
        let once = globs("once", &self.once)?;
        let owner = self.owner(system)?;
        let mut drift = Drift::default();
        for (path, thing) in things.iter().filter(|(path, _)| !once.is_match(path)) {
            match self.look(system, path, thing, &keep)? {
                Sight::Lost => drift.lost(path),
                Sight::Theirs => {}
                Sight::Ours(found) => drift.compare(path, &found, owner, self.bits(thing)),
            }
        }
        Ok(drift.changes())
    }

    fn look(&self, system: &System, path: &Path, thing: &Thing, keep: &GlobSet) -> Result<Sight> {
        let real = self.dest.join(path);
        let Some(found) = system.meta(&real)? else {
            return Ok(Sight::Lost);
        };
        if keep.is_match(path) {
            return Ok(Sight::Theirs);
        }
        let intact = match (&thing.kind, found.kind) {
            (ThingKind::Folder, FileKind::Directory) => true,
            // Someone moved the folder to another disk and left a link.
            (ThingKind::Folder, FileKind::Link) => return Ok(Sight::Theirs),
            (ThingKind::File { size, modified }, FileKind::File) => {
                *size == found.size && *modified == found.modified
            }
            (ThingKind::Link(target), FileKind::Link) => {
                system.read_link(&real)?.as_ref() == Some(target)
            }
            _ => false,
        };
        Ok(match intact {
            true => Sight::Ours(found),
            false => Sight::Lost,
        })
    }

    /// The permission bits that the task wants; a link has none of its own.
    fn bits(&self, thing: &Thing) -> Option<u32> {
        let is_folder = match thing.kind {
            ThingKind::Folder => true,
            ThingKind::File { .. } => false,
            ThingKind::Link(_) => return None,
        };
        let mode = self.mode.as_ref();
        Some(mode.map_or(thing.mode, |mode| mode.over(thing.mode, is_folder)))
    }

    /// Unpacks everything, or `only` some of it, and notes what is there now.
    fn unpack(&self, system: &System, only: Option<&BTreeSet<PathBuf>>) -> Result<()> {
        let source = self.source()?;
        let name = source.name().unwrap_or("the archive");
        let archive = source.file(system)?.unwrap_or_default();
        let choice = Choice {
            strip: self.strip,
            include: &globs("include", &self.include)?,
            exclude: &globs("exclude", &self.exclude)?,
            only,
            bits: &|thing| self.bits(thing),
            owner: self.owner(system)?,
        };
        let unpacked = system.unpack(&archive, name, &self.dest, &choice)?;
        unpacked.place(system, &self.dest, &globs("keep", &self.keep)?)?;
        let mut things = unpacked.things.clone();
        if let Some(only) = only {
            // The folders around a restored file were only made to hold it.
            things.retain(|path, _| only.contains(path));
            let mut all = self.stamped(system)?.unwrap_or_default();
            all.append(&mut things);
            things = all;
        }
        self.settle(system, &things)?;
        self.write_stamp(system, &things)
    }

    /// Owners and modes of folders that were there before.
    fn settle(&self, system: &System, things: &Things) -> Result<()> {
        for change in self.judge(system, things)? {
            match change {
                Change::Owner(paths) => self.own(system, &paths)?,
                Change::Mode(modes) => self.permit(system, &modes)?,
                Change::Unpack(_) | Change::Restore(_) => {}
            }
        }
        Ok(())
    }

    fn own(&self, system: &System, paths: &[PathBuf]) -> Result<()> {
        let (uid, gid) = self.owner(system)?;
        for path in paths {
            system.set_owner(&self.dest.join(path), uid, gid)?;
        }
        Ok(())
    }

    fn permit(&self, system: &System, modes: &[(PathBuf, u32)]) -> Result<()> {
        for (path, mode) in modes {
            system.set_mode(&self.dest.join(path), *mode)?;
        }
        Ok(())
    }

    fn is_created(&self, system: &System) -> Result<bool> {
        match &self.creates {
            Some(path) => Ok(system.meta(path)?.is_some()),
            None => Ok(false),
        }
    }

    fn require_dest(&self, system: &System) -> Result<()> {
        let found = system.meta(&system.follow(&self.dest)?)?;
        if found.is_some_and(|m| m.kind == FileKind::Directory) {
            return Ok(());
        }
        let dest = self.dest.display();
        Err(
            Failure::new(format!("there is no folder {dest} to unpack into"))
                .help("create it with a `file` task (state: directory) before this one"),
        )
    }
}

fn globs(parameter: &str, texts: &[String]) -> Result<GlobSet> {
    let wrong = |e: globset::Error| Failure::new(format!("`{parameter}`: {e}"));
    let mut set = GlobSetBuilder::new();
    for text in texts {
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        set.add(glob.map_err(wrong)?);
    }
    set.build().map_err(wrong)
}

impl Module for Unarchive {
    const NAME: &'static str = "unarchive";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "what an archive holds, in place and intact";
    const EXAMPLE: &'static str = r#"unarchive:
  src: wso2am-4.5.0.zip
  dest: /opt/wso2
  owner: wso2carbon
  group: wso2
  keep:
    - wso2am-4.5.0/repository/conf/**
"#;
    const BRINGS: Brings = Brings::File;
    type Change = Change;

    fn review(&self, review: &mut Review<'_>) {
        review.absolute("dest", self.dest.as_path());
        match (&self.src, &self.content) {
            (None, None) => review.push(Fault::new("`unarchive` has nothing to unpack").help(
                "give `src`, an archive on the controller; on the host with `remote_src: true`",
            )),
            (_, Some(Content::Text(_))) => review.push(Fault::new("text is no archive")),
            (Some(src), _) if self.remote_src => review.absolute("src", src.as_path()),
            _ => {}
        }
        for (parameter, texts) in [
            ("include", &self.include),
            ("exclude", &self.exclude),
            ("keep", &self.keep),
            ("once", &self.once),
        ] {
            review.hear(Some(parameter), globs(parameter, texts));
        }
    }

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        system.note("dest", self.dest.display().to_string());
        if self.is_created(system)? {
            return Ok(vec![]);
        }
        self.require_dest(system)?;
        let Some(things) = self.stamped(system)? else {
            let name = self.source()?.name().unwrap_or("the archive").to_owned();
            return Ok(vec![Change::Unpack(name)]);
        };
        if self.list_files {
            let paths = things.keys().map(|path| path.display().to_string());
            system.note("files", paths.collect::<Vec<_>>());
        }
        self.judge(system, &things)
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        match change {
            Change::Unpack(_) => self.unpack(system, None),
            Change::Restore(paths) => self.unpack(system, Some(&paths)),
            Change::Owner(paths) => self.own(system, &paths),
            Change::Mode(modes) => self.permit(system, &modes),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unpack(name) => write!(f, "unpack {name}"),
            Self::Restore(paths) => write!(f, "restore {}", some(paths.iter())),
            Self::Owner(paths) => write!(f, "owner of {}", some(paths.iter())),
            Self::Mode(modes) => write!(f, "mode of {}", some(modes.iter().map(|(p, _)| p))),
        }
    }
}

/// The first path, and how many more.
fn some<'a>(mut paths: impl ExactSizeIterator<Item = &'a PathBuf>) -> String {
    let more = paths.len().saturating_sub(1);
    let first = paths.next().map(|path| path.display().to_string());
    let first = first.unwrap_or_default();
    match more {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
