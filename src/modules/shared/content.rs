//! The `content` parameter: plain text from people, or what the controller made of a file.

use crate::system::{Result, System, failed, hex};
use crate::wire::Content;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use sha2::Digest as _;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Reads `content: text` as well as `content: {text: ...}` and `content: {blob: ...}`.
pub fn read<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Content>, D::Error> {
    deserializer.deserialize_any(Written).map(Some)
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Content;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E: Error>(self, text: &str) -> std::result::Result<Content, E> {
        Ok(Content::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Content, A::Error> {
        Content::deserialize(MapAccessDeserializer::new(map))
    }
}

/// All of it in memory; for what is small.
pub fn bytes(source: &Source, system: &System) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source
        .open(system)?
        .read_to_end(&mut bytes)
        .map_err(|e| crate::wire::Failure::new(format!("the content cannot be read: {e}")))?;
    Ok(bytes)
}

/// Where bytes come from.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    Sent(&'a Content),
    /// A file that is on the host already.
    Host(&'a Path),
}

impl Source<'_> {
    /// Sha256 in lower-case hex. `None` when a file on the host is not there.
    pub fn digest(&self, system: &System) -> Result<Option<String>> {
        match self {
            Self::Sent(Content::Text(text)) => Ok(Some(hex(&sha2::Sha256::digest(text)))),
            Self::Sent(Content::Blob { digest, .. }) => Ok(Some(digest.0.clone())),
            Self::Host(path) => system.digest(path),
        }
    }

    /// In bytes, where that is known without a look.
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::Sent(Content::Text(text)) => Some(text.len() as u64),
            Self::Sent(Content::Blob { size, .. }) => Some(*size),
            Self::Host(_) => None,
        }
    }

    /// The text, if it travelled inside the step.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Sent(Content::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// What people call it.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Sent(Content::Text(_)) => None,
            Self::Sent(Content::Blob { name, .. }) => Path::new(name).file_name()?.to_str(),
            Self::Host(path) => path.file_name()?.to_str(),
        }
    }

    /// The real path of the bytes as a file, brought here if need be. Text has none.
    pub fn file(&self, system: &System) -> Result<Option<PathBuf>> {
        match self {
            Self::Sent(Content::Text(_)) => Ok(None),
            Self::Sent(Content::Blob { digest, .. }) => system.fetch(digest).map(Some),
            Self::Host(path) => Ok(Some(system.locate(path))),
        }
    }

    pub fn open<'s>(&'s self, system: &System) -> Result<Box<dyn Read + 's>> {
        if let Some(text) = self.text() {
            return Ok(Box::new(text.as_bytes()));
        }
        let path = self.file(system)?.unwrap_or_default();
        let file = std::fs::File::open(&path).map_err(|e| failed("read", &path, &e))?;
        Ok(Box::new(file))
    }
}
