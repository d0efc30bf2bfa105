//! A file among several that one task delivers: whether the one in place is it, and putting it there.

use super::attributes::{Attribute, Attributes};
use super::content::Source;
use super::permissions::Permissions;
use crate::system::{FileKind, Meta, Result, System};
use crate::wire::Content;
use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// An entry of a module's `files`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivered {
    pub dest: PathBuf,
    content: Content,
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    mode: Option<Permissions>,
    /// Its differences are never shown.
    #[serde(default)]
    secret: bool,
}

/// How the file in place differs from the one that is sent.
#[derive(Debug)]
pub enum Difference {
    Missing,
    Content,
    Attribute(Attribute),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::Content => f.write_str("differs"),
            Self::Attribute(attribute) => write!(f, "has {attribute}"),
        }
    }
}

impl Delivered {
    /// The file's own name, for people.
    pub fn name(&self) -> String {
        short(&self.dest)
    }

    /// The gravest difference; notes the texts before and after unless they are secret.
    pub fn difference(&self, system: &System) -> Result<Option<Difference>> {
        let Some(found) = system.meta(&self.dest)? else {
            self.note_diff(system, &[]);
            return Ok(Some(Difference::Missing));
        };
        if found.kind != FileKind::File
            || self.source().digest(system)? != system.digest(&self.dest)?
        {
            let before = system.read(&self.dest)?.unwrap_or_default();
            self.note_diff(system, &before);
            return Ok(Some(Difference::Content));
        }
        let differences = self.attributes().differences(system, &found)?;
        Ok(differences.into_iter().next().map(Difference::Attribute))
    }

    /// Everything that may fail for want of something, before anything is touched: the content is
    /// on the host afterwards, and its owner exists.
    pub fn stage(&self, system: &System) -> Result<()> {
        self.source().file(system)?;
        self.attributes().numbers(system, None).map(drop)
    }

    /// Puts it in place, whole or not at all.
    pub fn put(&self, system: &System) -> Result<()> {
        let found = self.found(system)?;
        system.write(
            &self.dest,
            &mut self.source().open(system)?,
            self.attributes().bits(found.as_ref()),
            self.attributes().numbers(system, found.as_ref())?,
        )
    }

    /// A link in the file's place has no attributes worth keeping.
    fn found(&self, system: &System) -> Result<Option<Meta>> {
        Ok(system
            .meta(&self.dest)?
            .filter(|m| m.kind == FileKind::File))
    }

    fn source(&self) -> Source<'_> {
        Source::Sent(&self.content)
    }

    fn attributes(&self) -> Attributes<'_> {
        Attributes {
            owner: self.owner.as_deref(),
            group: self.group.as_deref(),
            mode: self.mode.as_ref(),
        }
    }

    fn note_diff(&self, system: &System, before: &[u8]) {
        if let (Some(text), false) = (self.source().text(), self.secret) {
            system.note_diff(&self.dest.to_string_lossy(), before, text.as_bytes());
        }
    }
}

/// The last part of a path.
pub fn short(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
