//! Reading archives: zip, tar and tar.gz become one stream of members.
//!
//! Nothing is trusted and nothing is written here; whoever takes the members judges their names.

use super::{Result, failed};
use crate::wire::Failure;
use std::fs::File;
use std::io::{Read, Seek as _};
use std::path::Path;

/// One member, as the archive tells it.
pub struct Member<'a> {
    /// As it stands in the archive, however bad.
    pub name: String,
    pub kind: MemberKind,
    /// Permission bits; `None` when the archive has none.
    pub mode: Option<u32>,
    pub content: &'a mut dyn Read,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberKind {
    File,
    Folder,
    /// A symbolic link to this target.
    Link(String),
    /// A second name for an earlier member.
    Hard(String),
    /// A device, a pipe, a socket.
    Special,
}

type See<'a> = dyn FnMut(Member<'_>) -> Result<()> + 'a;

/// Hands every member of the archive at the real path `path` to `see`, in the archive's order.
pub fn read_archive(path: &Path, name: &str, see: &mut See<'_>) -> Result<()> {
    let mut file = File::open(path).map_err(|e| failed("read", path, &e))?;
    let mut head = Vec::new();
    file.by_ref()
        .take(512)
        .read_to_end(&mut head)
        .and_then(|_| file.rewind())
        .map_err(|e| failed("read", path, &e))?;
    match head.as_slice() {
        [b'P', b'K', 3 | 5, ..] => read_zip(file, name, see),
        [0x1f, 0x8b, ..] => read_tar(flate2::read::MultiGzDecoder::new(file), name, see),
        tar if tar.get(257..262) == Some(b"ustar") => read_tar(file, name, see),
        _ => Err(
            Failure::new(format!("{name} is no archive that we can read"))
                .help("zip, tar and tar.gz are known; unpack anything else with a `command` task"),
        ),
    }
}

fn read_zip(file: File, name: &str, see: &mut See<'_>) -> Result<()> {
    let broken = |e: zip::result::ZipError| torn(name, &e);
    let mut archive = zip::ZipArchive::new(std::io::BufReader::new(file)).map_err(broken)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(broken)?;
        let member = entry.name().map_err(broken)?.into_owned();
        let kind = if entry.is_symlink() {
            MemberKind::Link(target(&mut entry, name)?)
        } else if entry.is_dir() {
            MemberKind::Folder
        } else {
            MemberKind::File
        };
        see(Member {
            name: member,
            kind,
            mode: entry.unix_mode(),
            content: &mut entry,
        })?;
    }
    Ok(())
}

/// A zip keeps a link's target as the content of the member.
fn target(entry: &mut dyn Read, name: &str) -> Result<String> {
    const LONGEST_PATH: u64 = 4096;
    let mut target = String::new();
    entry
        .take(LONGEST_PATH)
        .read_to_string(&mut target)
        .map_err(|e| torn(name, &e))?;
    Ok(target)
}

fn read_tar(stream: impl Read, name: &str, see: &mut See<'_>) -> Result<()> {
    let broken = |e: std::io::Error| torn(name, &e);
    let mut archive = tar::Archive::new(stream);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let Some(kind) = tar_kind(&entry, name)? else {
            continue;
        };
        see(Member {
            name: String::from_utf8_lossy(&entry.path_bytes()).into_owned(),
            kind,
            mode: entry.header().mode().ok(),
            content: &mut entry,
        })?;
    }
    Ok(())
}

/// `None` for what is no member but a remark about others.
fn tar_kind<R: Read>(entry: &tar::Entry<'_, R>, name: &str) -> Result<Option<MemberKind>> {
    use tar::EntryType;
    let target = || match entry.link_name_bytes() {
        Some(target) => Ok(String::from_utf8_lossy(&target).into_owned()),
        None => Err(Failure::new(format!(
            "{name} has a link that leads nowhere"
        ))),
    };
    Ok(Some(match entry.header().entry_type() {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => MemberKind::File,
        EntryType::Directory => MemberKind::Folder,
        EntryType::Symlink => MemberKind::Link(target()?),
        EntryType::Link => MemberKind::Hard(target()?),
        EntryType::Char | EntryType::Block | EntryType::Fifo => MemberKind::Special,
        _ => return Ok(None),
    }))
}

fn torn(name: &str, e: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("{name} cannot be unpacked: {e}"))
        .help("the archive may be incomplete: compare its checksum with the publisher's")
}
