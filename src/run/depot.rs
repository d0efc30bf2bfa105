//! The controller's files: found where Ansible looks, known by digest, handed out to workers that lack them.

use crate::plan::{Files, Found};
use crate::playbook::Role;
use crate::source::{self, Bytes, File, Library};
use crate::system::hex;
use crate::wire::{Content, Digest};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Text up to this size travels inside its step, in bytes; anything else is named by digest.
const INLINE: u64 = 64 << 10;

/// Where the bytes of a digest are.
#[derive(Debug, Clone)]
enum Origin {
    Disk(PathBuf),
    Memory(Arc<[u8]>),
}

pub struct Depot {
    library: Library,
    /// The folder of the playbook, then the project: Ansible's search path.
    roots: Vec<PathBuf>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Content by what was looked up, so that a pack is hashed once a run.
    contents: HashMap<String, Content>,
    origins: HashMap<Digest, Origin>,
}

impl Depot {
    pub fn new(library: Library, roots: Vec<PathBuf>) -> Self {
        Self {
            library,
            roots,
            known: Mutex::default(),
        }
    }

    /// A piece of known content: up to `limit` bytes from `offset`.
    pub fn piece(&self, digest: &Digest, offset: u64, limit: usize) -> Result<Vec<u8>, String> {
        let origin = self
            .known()
            .origins
            .get(digest)
            .cloned()
            .ok_or_else(|| "the controller never offered it".to_owned())?;
        match origin {
            Origin::Memory(bytes) => {
                let start = usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let end = start.saturating_add(limit).min(bytes.len());
                Ok(bytes[start..end].to_vec())
            }
            Origin::Disk(path) => read_piece(&path, offset, limit)
                .map_err(|e| format!("{} cannot be read: {e}", path.display())),
        }
    }

    /// The name and the size in bytes of known content, for progress.
    pub fn describe(&self, digest: &Digest) -> Option<(String, u64)> {
        self.known().contents.values().find_map(|c| match c {
            Content::Blob {
                digest: d,
                size,
                name,
            } if d == digest => {
                let short = name.rsplit(['/', '!']).next().unwrap_or(name);
                Some((short.to_owned(), *size))
            }
            _ => None,
        })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(
        &self,
        key: String,
        make: impl FnOnce() -> Result<(Content, Option<Origin>), String>,
    ) -> Result<Content, String> {
        if let Some(content) = self.known().contents.get(&key) {
            return Ok(content.clone());
        }
        let (content, origin) = make()?;
        let mut known = self.known();
        if let (Content::Blob { digest, .. }, Some(origin)) = (&content, origin) {
            known.origins.insert(digest.clone(), origin);
        }
        known.contents.insert(key, content.clone());
        Ok(content)
    }

    fn bytes_of(&self, found: &Found) -> Result<Bytes, String> {
        match found {
            Found::File(path) | Found::Folder(path) => Ok(Bytes::OnDisk(path.clone())),
            Found::BuiltIn(path) => self
                .library
                .bytes(path)
                .ok_or_else(|| format!("{path} is gone")),
        }
    }
}

impl Files for Depot {
    fn find(&self, role: Option<&Role>, folder: &str, name: &str) -> Result<Found, String> {
        let mut tried = Vec::new();
        let path = Path::new(name);
        if path.is_absolute() {
            return on_disk(path).ok_or_else(|| "there is no such file".into());
        }
        if let Some(role) = role {
            let inside = format!("roles/{}/{folder}/{name}", role.name);
            match self.library.bytes(&inside) {
                Some(Bytes::OnDisk(path)) => return Ok(Found::File(path)),
                Some(Bytes::BuiltIn(_)) => return Ok(Found::BuiltIn(inside)),
                None => tried.push(inside),
            }
        }
        for root in &self.roots {
            for path in [root.join(folder).join(name), root.join(name)] {
                if let Some(found) = on_disk(&path) {
                    return Ok(found);
                }
                let shown = path.display().to_string();
                tried.push(shown.trim_start_matches("./").to_owned());
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        tried.retain(|t| seen.insert(t.clone()));
        Err(format!("looked for {}", tried.join(", ")))
    }

    fn text(&self, found: &Found) -> Result<Arc<File>, String> {
        match self.bytes_of(found)? {
            Bytes::OnDisk(path) => source::read(&path)
                .map_err(|p| p.iter().map(|p| p.message.clone()).collect::<String>()),
            Bytes::BuiltIn(bytes) => String::from_utf8(bytes.to_vec())
                .map(|text| File::new(shown(found), text))
                .map_err(|_| "it is not UTF-8".to_owned()),
        }
    }

    fn content(&self, found: &Found) -> Result<Content, String> {
        let name = shown(found);
        self.remember(name.clone(), || match self.bytes_of(found)? {
            Bytes::OnDisk(path) => of_disk(&path, &name),
            Bytes::BuiltIn(bytes) => Ok(of_memory(bytes, &name)),
        })
    }

    fn tree(&self, found: &Found) -> Result<Vec<(String, String, Content)>, String> {
        let Found::Folder(root) = found else {
            return Err("it is not a folder".into());
        };
        let mut files = Vec::new();
        collect(root, root, &mut files)?;
        files.sort();
        files
            .into_iter()
            .map(|(inside, mode, path)| Ok((inside, mode, self.content(&Found::File(path))?)))
            .collect()
    }

    fn member(&self, archive: &Found, member: &str) -> Result<Content, String> {
        let name = format!("{}!{member}", shown(archive));
        self.remember(name.clone(), || {
            let Bytes::OnDisk(path) = self.bytes_of(archive)? else {
                return Err("it is not an archive on disk".into());
            };
            let bytes = member_of(&path, member)?;
            Ok(of_memory(&bytes, &name))
        })
    }
}

fn on_disk(path: &Path) -> Option<Found> {
    if path.is_dir() {
        return Some(Found::Folder(path.to_path_buf()));
    }
    path.is_file().then(|| Found::File(path.to_path_buf()))
}

fn shown(found: &Found) -> String {
    match found {
        Found::File(path) | Found::Folder(path) => path.display().to_string(),
        Found::BuiltIn(path) => format!("<built-in>/{path}"),
    }
}

fn of_disk(path: &Path, name: &str) -> Result<(Content, Option<Origin>), String> {
    let wrong = |e: std::io::Error| format!("it cannot be read: {e}");
    let size = std::fs::metadata(path).map_err(wrong)?.len();
    if size <= INLINE
        && let Ok(text) = String::from_utf8(std::fs::read(path).map_err(wrong)?)
    {
        return Ok((Content::Text(text), None));
    }
    let digest = Digest(crate::system::digest_of(path).map_err(wrong)?);
    let content = Content::Blob {
        digest,
        size,
        name: name.to_owned(),
    };
    Ok((content, Some(Origin::Disk(path.to_path_buf()))))
}

fn of_memory(bytes: &[u8], name: &str) -> (Content, Option<Origin>) {
    if bytes.len() as u64 <= INLINE
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return (Content::Text(text.to_owned()), None);
    }
    let content = Content::Blob {
        digest: Digest(hex(&Sha256::digest(bytes))),
        size: bytes.len() as u64,
        name: name.to_owned(),
    };
    (content, Some(Origin::Memory(bytes.into())))
}

fn collect(
    root: &Path,
    dir: &Path,
    files: &mut Vec<(String, String, PathBuf)>,
) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let wrong = |e: std::io::Error| format!("{} cannot be read: {e}", dir.display());
    for entry in std::fs::read_dir(dir).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let meta = std::fs::metadata(&path).map_err(wrong)?;
        if meta.is_dir() {
            collect(root, &path, files)?;
        } else {
            let inside = path.strip_prefix(root).unwrap_or(&path);
            let mode = format!("{:04o}", meta.permissions().mode() & 0o777);
            files.push((inside.display().to_string(), mode, path.clone()));
        }
    }
    Ok(())
}

fn member_of(archive: &Path, member: &str) -> Result<Vec<u8>, String> {
    /// A schema script is some hundred KiB; more is not what anybody meant.
    const LIMIT: u64 = 64 << 20;
    let file = std::fs::File::open(archive).map_err(|e| format!("it cannot be read: {e}"))?;
    let mut zip = zip::ZipArchive::new(file)
        .map_err(|e| format!("{} is no readable zip archive: {e}", archive.display()))?;
    let entry = zip
        .by_name(member)
        .map_err(|_| format!("{} has no file of this name", archive.display()))?;
    let mut bytes = Vec::new();
    entry
        .take(LIMIT)
        .read_to_end(&mut bytes)
        .map_err(|e| format!("it cannot be unpacked: {e}"))?;
    Ok(bytes)
}

fn read_piece(path: &Path, offset: u64, limit: usize) -> std::io::Result<Vec<u8>> {
    use std::io::{Seek as _, SeekFrom};
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut piece = Vec::with_capacity(limit);
    file.take(limit as u64).read_to_end(&mut piece)?;
    Ok(piece)
}
