//! What a service was before its last change: its files and the release that it ran, kept on the host so that a change
//! which proves bad can be taken back.

use crate::system::{FileKind, Result, System, ourselves};
use crate::wire::Failure;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// For root only: files may hold secrets.
const KEPT: &str = "/var/lib/apim-deploy/previous";
const LIST: &str = "generation.json";

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    link: Option<(PathBuf, PathBuf)>,
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

/// Keeps these files as they are now, in place of what was kept before. The list is written last: copies without one
/// are nothing to go back to.
pub fn keep<'p>(
    system: &System,
    service: &str,
    files: impl Iterator<Item = &'p Path>,
    link: Option<&Path>,
) -> Result<()> {
    let folder = folder(service);
    system.remove(&folder.join(LIST))?;
    system.make_dir(&folder)?;
    system.set_mode(&folder, 0o700)?;
    let files = files
        .enumerate()
        .map(|(number, dest)| Kept::of(system, &folder, number, dest))
        .collect::<Result<_>>()?;
    let target = link.map(|path| system.read_link(path)).transpose()?;
    let generation = Generation {
        link: link
            .zip(target.flatten())
            .map(|(path, target)| (path.to_owned(), target)),
        files,
    };
    let text = serde_json::to_vec_pretty(&generation)
        .map_err(|e| Failure::new(format!("{LIST} of {service} cannot be written: {e}")))?;
    write(system, &folder.join(LIST), &text, 0o600)
}

pub fn is_kept(system: &System, service: &str) -> Result<bool> {
    Ok(system.meta(&folder(service).join(LIST))?.is_some())
}

/// `None` when nothing was kept.
pub fn read(system: &System, service: &str) -> Result<Option<Generation>> {
    let list = folder(service).join(LIST);
    let Some(bytes) = system.read(&list)? else {
        return Ok(None);
    };
    let read = serde_json::from_slice(&bytes);
    read.map(Some).map_err(|e| {
        Failure::new(format!("{} cannot be read: {e}", list.display()))
            .help("run the playbook again: it brings the state that is asked for")
    })
}

impl Generation {
    /// The release, for people.
    pub fn release(&self) -> String {
        let target = self.link.as_ref().map(|(_, target)| target.as_path());
        target.map_or_else(String::new, super::delivered::short)
    }

    pub fn put_back(&self, system: &System, service: &str) -> Result<()> {
        let folder = folder(service);
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

fn folder(service: &str) -> PathBuf {
    Path::new(KEPT).join(super::unit::full_name(service))
}
