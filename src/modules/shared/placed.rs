//! A file with given content in its place: what `copy` and `template` have in common.

use super::attributes::{Attribute, Attributes};
use super::content::Source;
use crate::system::{Command, FileKind, Meta, Result, System};
use crate::wire::Failure;
use std::fmt;
use std::path::{Path, PathBuf};

/// One file as the task wants it.
pub struct Placed<'a> {
    pub dest: PathBuf,
    pub source: Source<'a>,
    pub attributes: Attributes<'a>,
    pub rules: Rules<'a>,
}

/// How to treat a file that is there.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Other content gives way. Without it only a missing file is written.
    pub force: bool,
    /// A copy of the old file stays beside the new one.
    pub backup: bool,
    /// A command that must accept the new file, with `%s` for its path.
    pub validate: Option<&'a str>,
}

/// What is wrong with one file.
#[derive(Debug)]
pub enum Change {
    Create,
    /// A link is in the file's place.
    ReplaceLink,
    Update,
    Attribute(Attribute),
}

impl Placed<'_> {
    pub fn check(&self, system: &System) -> Result<Vec<Change>> {
        let Some(found) = system.meta(&self.dest)? else {
            self.note_diff(system, b"");
            return Ok(vec![Change::Create]);
        };
        let mut changes = Vec::new();
        if self.rules.force && !self.holds(system, &found)? {
            let before = system.read(&self.dest)?.unwrap_or_default();
            self.note_diff(system, &before);
            changes.push(match found.kind {
                FileKind::Link => Change::ReplaceLink,
                _ => Change::Update,
            });
        }
        if found.kind == FileKind::File {
            let attributes = self.attributes.differences(system, &found)?;
            changes.extend(attributes.into_iter().map(Change::Attribute));
        }
        Ok(changes)
    }

    pub fn apply(&self, system: &System, change: &Change) -> Result<()> {
        match change {
            Change::Attribute(attribute) => attribute.settle(system, &self.dest),
            Change::Create | Change::ReplaceLink => self.write(system),
            Change::Update => {
                if self.rules.backup {
                    let copy = system.backup(&self.dest)?;
                    system.note("backup_file", copy.display().to_string());
                }
                self.write(system)
            }
        }
    }

    /// Whether the file there has the content asked for. Sizes first: they cost nothing.
    fn holds(&self, system: &System, found: &Meta) -> Result<bool> {
        match found.kind {
            FileKind::Link => return Ok(false),
            FileKind::File => {}
            FileKind::Directory | FileKind::Other => return Err(self.occupied(found.kind)),
        }
        if self.source.size().is_some_and(|size| size != found.size) {
            return Ok(false);
        }
        Ok(self.source.digest(system)? == system.digest(&self.dest)?)
    }

    fn occupied(&self, kind: FileKind) -> Failure {
        let what = match kind {
            FileKind::Directory => "a folder",
            _ => "a device, pipe or socket",
        };
        Failure::new(format!("{} is {what}, not a file", self.dest.display())).help(
            "name the file in `dest`, or remove what is there with a `file` task (state: absent)",
        )
    }

    fn write(&self, system: &System) -> Result<()> {
        let found = system.meta(&self.dest)?;
        let found = found.filter(|m| m.kind == FileKind::File);
        system.write_approved(
            &self.dest,
            &mut self.source.open(system)?,
            self.attributes.bits(found.as_ref()),
            self.attributes.numbers(system, found.as_ref())?,
            &|path| validate(system, self.rules.validate, path),
        )
    }

    fn note_diff(&self, system: &System, before: &[u8]) {
        if let Some(text) = self.source.text() {
            let path = self.dest.display().to_string();
            system.note_diff(&path, before, text.as_bytes());
        }
    }
}

/// Asks the task's own command whether the file at the real path `path` may take its place.
pub fn validate(system: &System, command: Option<&str>, path: &Path) -> Result<()> {
    let Some((command, words)) = validator(command)? else {
        return Ok(());
    };
    let path = path.display().to_string();
    let words = words.iter().map(|word| word.replace("%s", &path));
    system.expect(&Command::new(words)).map(drop).map_err(|e| {
        let refused = Failure::new(format!(
            "`{command}` refuses the new file; the old one stays"
        ));
        refused.detail(std::iter::once(e.message).chain(e.detail))
    })
}

/// The task's own command, and its words.
pub fn validator(command: Option<&str>) -> Result<Option<(&str, Vec<String>)>> {
    let Some(command) = command else {
        return Ok(None);
    };
    let words = super::program::split(command)?;
    match words.iter().any(|word| word.contains("%s")) {
        true => Ok(Some((command, words))),
        false => Err(
            Failure::new(format!("`validate: {command}` never names the file"))
                .help("write `%s` where the path of the new file belongs"),
        ),
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create => f.write_str("create"),
            Self::ReplaceLink => f.write_str("replace the link"),
            Self::Update => f.write_str("update"),
            Self::Attribute(attribute) => attribute.fmt(f),
        }
    }
}
