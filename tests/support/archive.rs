//! Archives made from a list in YAML, also those that no honest tool would make.

use serde::Deserialize;
use std::io::{Cursor, Read as _, Write as _};

/// A blob: plain text, or an archive of entries in this order.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pack {
    Text(String),
    Zip(Vec<Entry>),
    Tar(Vec<Entry>),
    Targz(Vec<Entry>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Written as it stands, so it may be as bad as it likes.
    path: String,
    #[serde(default)]
    file: String,
    #[serde(default)]
    dir: bool,
    link: Option<String>,
    /// A hard link; tar only.
    hard: Option<String>,
    /// A character device; tar only.
    #[serde(default)]
    device: bool,
    /// Instead of `file`: so many bytes of nothing.
    #[serde(default)]
    zeros: u64,
    /// Four octal digits.
    mode: Option<String>,
}

impl Pack {
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Zip(entries) => zip(entries),
            Self::Tar(entries) => tar(entries),
            Self::Targz(entries) => {
                let level = flate2::Compression::fast();
                let mut gz = flate2::write::GzEncoder::new(Vec::new(), level);
                gz.write_all(&tar(entries)).expect("memory");
                gz.finish().expect("memory")
            }
        }
    }
}

impl Entry {
    fn mode(&self, usual: u32) -> u32 {
        self.mode.as_ref().map_or(usual, |mode| {
            u32::from_str_radix(mode, 8).expect("an octal mode")
        })
    }

    fn content(&self) -> Box<dyn std::io::Read + '_> {
        match self.zeros {
            0 => Box::new(Cursor::new(self.file.as_bytes())),
            size => Box::new(std::io::repeat(0).take(size)),
        }
    }

    fn size(&self) -> u64 {
        match self.zeros {
            0 => self.file.len() as u64,
            size => size,
        }
    }
}

fn zip(entries: &[Entry]) -> Vec<u8> {
    use zip::write::SimpleFileOptions;
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        let usual = if entry.dir { 0o755 } else { 0o644 };
        let options = SimpleFileOptions::default().unix_permissions(entry.mode(usual));
        if entry.dir {
            zip.add_directory(&entry.path, options).expect("a folder");
        } else if let Some(target) = &entry.link {
            zip.add_symlink(&entry.path, target, options)
                .expect("a link");
        } else {
            zip.start_file(&entry.path, options).expect("a file");
            std::io::copy(&mut entry.content(), &mut zip).expect("memory");
        }
    }
    zip.finish().expect("memory").into_inner()
}

fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for entry in entries {
        tar.append(&header(entry), entry.content()).expect("memory");
    }
    tar.into_inner().expect("memory")
}

fn header(entry: &Entry) -> tar::Header {
    use tar::EntryType;
    let mut header = tar::Header::new_gnu();
    // `set_path` would refuse the names that we are here to test.
    let name = entry.path.as_bytes();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    let kind = match entry {
        Entry { dir: true, .. } => EntryType::Directory,
        Entry { device: true, .. } => EntryType::Char,
        Entry { link: Some(_), .. } => EntryType::Symlink,
        Entry { hard: Some(_), .. } => EntryType::Link,
        _ => EntryType::Regular,
    };
    header.set_entry_type(kind);
    if let Some(target) = entry.link.as_ref().or(entry.hard.as_ref()) {
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    }
    header.set_mode(entry.mode(if entry.dir { 0o755 } else { 0o644 }));
    header.set_mtime(1_600_000_000);
    header.set_size(if kind == EntryType::Regular {
        entry.size()
    } else {
        0
    });
    header.set_cksum();
    header
}
