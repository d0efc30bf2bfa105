//! What a service was before: its files and the release that it ran, kept on the host so that a change which proves bad
//! can be taken back at once, and an upgrade also later.

use crate::system::{FileKind, Result, System, ourselves};
use crate::wire::Failure;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// For root only: files may hold secrets.
const KEPT: &str = "/var/lib/apim-deploy";
/// Of releases, what was kept before that: a change which is taken back leaves the earlier way back open.
const STILL_EARLIER: &str = "still-earlier";
const LIST: &str = "generation.json";

/// Before what a service is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Before {
    /// Whenever it is stopped to be changed, or only to be started anew.
    #[default]
    Change,
    /// When the release changes. What happens to the new release afterwards does not touch it.
    Release,
}

impl Before {
    fn folder(self, service: &str) -> PathBuf {
        folder_of(
            match self {
                Self::Change => "previous",
                Self::Release => "earlier",
            },
            service,
        )
    }
}

fn folder_of(kind: &str, service: &str) -> PathBuf {
    let name = super::unit::full_name(service);
    Path::new(KEPT).join(kind).join(name)
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    link: Option<(PathBuf, PathBuf)>,
    /// The release that took its place.
    #[serde(default)]
    next: Option<PathBuf>,
    files: Vec<Kept>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    dest: PathBuf,
    /// The name of the copy; `None` when there was no such file.
    copy: Option<String>,
    mode: u32,
    uid: u32,
    gid: u32,
}

/// Keeps these files as they are now, and the release that `link` names before it names another one, in place of what was
/// kept before. The list is written last: copies without one are nothing to go back to.
pub fn keep<'p>(
    system: &System,
    (service, before): (&str, Before),
    files: impl Iterator<Item = &'p Path>,
    link: Option<(&Path, &Path)>,
) -> Result<()> {
    let folder = before.folder(service);
    if let (Before::Release, Some((path, _))) = (before, link) {
        set_aside(system, service, path)?;
    }
    system.remove(&folder.join(LIST))?;
    system.make_dir(&folder)?;
    system.set_mode(&folder, 0o700)?;
    let files = files
        .enumerate()
        .map(|(number, dest)| Kept::of(system, &folder, number, dest))
        .collect::<Result<_>>()?;
    let target = link.map(|(path, _)| system.read_link(path)).transpose()?;
    let generation = Generation {
        link: link
            .zip(target.flatten())
            .map(|((path, _), target)| (path.to_owned(), target)),
        next: link.map(|(_, next)| next.to_owned()),
        files,
    };
    generation.save(system, &folder)
}

/// Keeps this file too, unless it is kept: a service that was down when it was changed was not stopped for it, and what is
/// kept of it is older. Without that there is nothing to go back to, and nothing to add to.
pub fn keep_too(system: &System, service: &str, dest: &Path) -> Result<()> {
    let Some(mut kept) = readable(system, &Before::Change.folder(service)) else {
        return Ok(());
    };
    if kept.files().any(|file| file == dest) {
        return Ok(());
    }
    let folder = Before::Change.folder(service);
    let number = kept.files.len();
    kept.files.push(Kept::of(system, &folder, number, dest)?);
    kept.save(system, &folder)
}

/// The way back from the release that runs is kept until the next one stays. Only that one: a run that was stopped here
/// before has kept the same already.
fn set_aside(system: &System, service: &str, link: &Path) -> Result<()> {
    let folder = Before::Release.folder(service);
    let runs = system.read_link(link)?;
    let kept = readable(system, &folder);
    match (kept, runs) {
        (Some(kept), Some(runs)) if kept.was_replaced_by(&runs) => {
            let aside = folder_of(STILL_EARLIER, service);
            forget(system, &aside)?;
            system.make_dir(aside.parent().unwrap_or(&aside))?;
            system.rename(&folder, &aside)
        }
        _ => Ok(()),
    }
}

/// The way back from this release, where the change to the next one was begun and then stopped or taken back: as long as
/// it runs, the next one never was.
pub fn set_aside_for(system: &System, service: &str, runs: &Path) -> Result<Option<Generation>> {
    let kept = read_in(system, &folder_of(STILL_EARLIER, service))?;
    Ok(kept.filter(|kept| kept.was_replaced_by(runs)))
}

/// Before a service goes back to what `way` keeps: that is now the way it came. Nobody goes two steps back, so what was set
/// aside is of no use, unless it is `way` itself.
pub fn choose(system: &System, service: &str, way: &Generation) -> Result<()> {
    let aside = folder_of(STILL_EARLIER, service);
    match readable(system, &aside) {
        Some(kept) if kept == *way => bring_forward(system, service),
        _ => forget(system, &aside),
    }
}

/// Forgets a change of release that was taken back, as if it had never been: what ran before the release that is back is
/// again what an upgrade is rolled back to.
pub fn never_left(system: &System, service: &str, back: &Generation) -> Result<()> {
    let is_taken_back = |kept: &Generation| kept.link == back.link && kept.next == back.next;
    let kept = readable(system, &Before::Release.folder(service));
    if !kept.as_ref().is_some_and(is_taken_back) {
        return Ok(());
    }
    let aside = readable(system, &folder_of(STILL_EARLIER, service));
    let leads_back = |aside: Generation| back.target().is_some_and(|to| aside.was_replaced_by(to));
    match aside.is_some_and(leads_back) {
        true => bring_forward(system, service),
        false => forget(system, &Before::Release.folder(service)),
    }
}

/// A run that is stopped in between finds it set aside as before, or in its place.
fn bring_forward(system: &System, service: &str) -> Result<()> {
    let folder = Before::Release.folder(service);
    forget(system, &folder)?;
    system.make_dir(folder.parent().unwrap_or(&folder))?;
    system.rename(&folder_of(STILL_EARLIER, service), &folder)
}

/// The list first: copies without one are nothing to go back to, and a list without its copies would promise too much.
fn forget(system: &System, folder: &Path) -> Result<()> {
    system.remove(&folder.join(LIST))?;
    system.remove(folder)
}

/// Whether there is a state before the last change.
pub fn is_kept(system: &System, service: &str) -> Result<bool> {
    let list = Before::Change.folder(service).join(LIST);
    Ok(system.meta(&list)?.is_some())
}

/// `None` when nothing was kept.
pub fn read(system: &System, service: &str, before: Before) -> Result<Option<Generation>> {
    read_in(system, &before.folder(service))
}

fn read_in(system: &System, folder: &Path) -> Result<Option<Generation>> {
    let list = folder.join(LIST);
    let Some(bytes) = system.read(&list)? else {
        return Ok(None);
    };
    let read = serde_json::from_slice(&bytes);
    read.map(Some).map_err(|e| {
        Failure::new(format!("{} cannot be read: {e}", list.display()))
            .help("run the playbook again: it brings the state that is asked for")
    })
}

/// For whoever is about to write another one: what cannot be read leads nowhere, and must not keep a service down.
fn readable(system: &System, folder: &Path) -> Option<Generation> {
    read_in(system, folder).ok().flatten()
}

impl Generation {
    /// The release, for people.
    pub fn release(&self) -> String {
        self.target()
            .map_or_else(String::new, super::delivered::short)
    }

    /// Where the release is.
    pub fn target(&self) -> Option<&Path> {
        self.link.as_ref().map(|(_, target)| target.as_path())
    }

    /// Whether this release took its place, and no other one since.
    pub fn was_replaced_by(&self, release: &Path) -> bool {
        self.next.as_deref() == Some(release)
    }

    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|kept| kept.dest.as_path())
    }

    /// Whole or not at all, and after its copies.
    fn save(&self, system: &System, folder: &Path) -> Result<()> {
        let list = folder.join(LIST);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Failure::new(format!("{} cannot be written: {e}", list.display())))?;
        write(system, &list, &text, 0o600)
    }

    pub fn put_back(&self, system: &System, service: &str, before: Before) -> Result<()> {
        let folder = before.folder(service);
        for kept in &self.files {
            kept.put_back(system, &folder)?;
        }
        match &self.link {
            Some((path, target)) => system.replace_link(path, target),
            None => Ok(()),
        }
    }
}

impl Kept {
    fn of(system: &System, folder: &Path, number: usize, dest: &Path) -> Result<Self> {
        let found = system
            .meta(dest)?
            .filter(|meta| meta.kind == FileKind::File);
        let Some(found) = found else {
            return Ok(Self {
                dest: dest.to_owned(),
                copy: None,
                mode: 0,
                uid: 0,
                gid: 0,
            });
        };
        let copy = format!("{number:03}");
        let bytes = system.read(dest)?.unwrap_or_default();
        write(system, &folder.join(&copy), &bytes, 0o600)?;
        Ok(Self {
            dest: dest.to_owned(),
            copy: Some(copy),
            mode: found.mode,
            uid: found.uid,
            gid: found.gid,
        })
    }

    fn put_back(&self, system: &System, folder: &Path) -> Result<()> {
        let Some(copy) = &self.copy else {
            return system.remove(&self.dest);
        };
        let path = folder.join(copy);
        let bytes = system.read(&path)?.ok_or_else(|| {
            Failure::new(format!("{} is gone", path.display()))
                .help("run the playbook again: it brings the state that is asked for")
        })?;
        system.write(
            &self.dest,
            &mut bytes.as_slice(),
            Some(self.mode),
            Some((self.uid, self.gid)),
        )
    }
}

fn write(system: &System, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    system.write(path, &mut &*bytes, Some(mode), Some(ourselves()))
}
