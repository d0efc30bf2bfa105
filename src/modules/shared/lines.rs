//! A text file edited by lines: what `lineinfile` and `blockinfile` have in common.

use super::attributes::{Attribute, Attributes};
use super::placed;
use crate::system::{FileKind, Result, System};
use crate::wire::Failure;
use regex::Regex;
use std::fmt;
use std::path::Path;

/// The file, and how to treat it.
#[derive(Clone, Copy)]
pub struct Edited<'a> {
    pub path: &'a Path,
    /// A missing file is made.
    pub create: bool,
    pub backup: bool,
    pub attributes: Attributes<'a>,
    pub validate: Option<&'a str>,
}

#[derive(Debug)]
pub enum Change {
    /// A new text, and what it is about in a few words.
    Text {
        what: String,
        text: String,
    },
    Attribute(Attribute),
}

/// What an edit makes of lines; `None` leaves them as they are.
pub type Edit<'a> = dyn Fn(&[String]) -> Result<Option<(String, Vec<String>)>> + 'a;

impl Edited<'_> {
    pub fn check(&self, system: &System, edit: &Edit<'_>) -> Result<Vec<Change>> {
        let path = system.follow(self.path)?;
        let found = system.meta(&path)?;
        if found.as_ref().is_some_and(|m| m.kind != FileKind::File) {
            return Err(Failure::new(format!("{} is no file", self.path.display())));
        }
        let before = system.read(&path)?.unwrap_or_default();
        let text = std::str::from_utf8(&before)
            .map_err(|_| Failure::new(format!("{} is no UTF-8 text", self.path.display())))?;
        let mut changes = Vec::new();
        if let Some((what, lines)) = edit(&split(text))? {
            if found.is_none() && !self.create {
                return Err(self.missing());
            }
            let text = joined(&lines, text);
            let shown = self.path.display().to_string();
            system.note_diff(&shown, &before, text.as_bytes());
            changes.push(Change::Text { what, text });
        }
        if let Some(found) = &found {
            let attributes = self.attributes.differences(system, found)?;
            changes.extend(attributes.into_iter().map(Change::Attribute));
        }
        Ok(changes)
    }

    pub fn apply(&self, system: &System, change: &Change) -> Result<()> {
        let path = system.follow(self.path)?;
        match change {
            Change::Attribute(attribute) => attribute.settle(system, &path),
            Change::Text { text, .. } => self.write(system, &path, text),
        }
    }

    fn write(&self, system: &System, path: &Path, text: &str) -> Result<()> {
        let found = system.meta(path)?;
        if self.backup && found.is_some() {
            let copy = system.backup(path)?;
            system.note("backup", copy.display().to_string());
        }
        system.write_approved(
            path,
            &mut text.as_bytes(),
            self.attributes.bits(found.as_ref()),
            self.attributes.numbers(system, found.as_ref())?,
            &|file| placed::validate(system, self.validate, file),
        )
    }

    fn missing(&self) -> Failure {
        Failure::new(format!("there is no {} on the host", self.path.display()))
            .help("with `create: true` it is made")
    }
}

fn split(text: &str) -> Vec<String> {
    text.lines().map(ToOwned::to_owned).collect()
}

/// With the line ends that the file had.
fn joined(lines: &[String], before: &str) -> String {
    let end = if before.contains("\r\n") {
        "\r\n"
    } else {
        "\n"
    };
    lines.iter().map(|line| format!("{line}{end}")).collect()
}

/// A regular expression from a parameter. Rust's know neither look-around nor backreferences.
pub fn pattern(parameter: &str, text: &str) -> Result<Regex> {
    Regex::new(text).map_err(|e| {
        let lines = e.to_string();
        Failure::new(format!(
            "`{parameter}: {text}` is no regular expression we can run"
        ))
        .detail(lines.lines().map(ToOwned::to_owned))
        .help("look-around and backreferences inside the pattern are not known here")
    })
}

/// Where new lines go when there is nothing to replace.
pub enum Place {
    Start,
    End,
    /// After the line that matches; at the end when none does.
    After(Regex),
    /// Before the line that matches; at the end when none does.
    Before(Regex),
}

impl Place {
    pub fn read(after: Option<&str>, before: Option<&str>) -> Result<Self> {
        match (after, before) {
            (Some(_), Some(_)) => Err(Failure::new(
                "`insertafter` and `insertbefore` exclude each other",
            )),
            (None, None) | (Some("EOF"), None) => Ok(Self::End),
            (None, Some("BOF")) => Ok(Self::Start),
            (Some(text), None) => pattern("insertafter", text).map(Self::After),
            (None, Some(text)) => pattern("insertbefore", text).map(Self::Before),
        }
    }

    /// The index at which to insert. The last match counts, or the first.
    pub fn index(&self, lines: &[String], first: bool) -> usize {
        match self {
            Self::Start => 0,
            Self::End => lines.len(),
            Self::After(regex) => find(lines, regex, first).map_or(lines.len(), |at| at + 1),
            Self::Before(regex) => find(lines, regex, first).unwrap_or(lines.len()),
        }
    }
}

/// The last line that matches, or the first.
pub fn find(lines: &[String], regex: &Regex, first: bool) -> Option<usize> {
    match first {
        true => lines.iter().position(|line| regex.is_match(line)),
        false => lines.iter().rposition(|line| regex.is_match(line)),
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { what, .. } => f.write_str(what),
            Self::Attribute(attribute) => attribute.fmt(f),
        }
    }
}
