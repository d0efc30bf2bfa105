//! `blockinfile`: some lines of a text file, between two marks.

use super::shared::attributes::Attributes;
use super::shared::lines::{Change, Edited, Place};
use super::shared::permissions::Permissions;
use super::shared::placed;
use super::{Fault, Kind, Module, Review};
use crate::system::{Result, System};
use crate::wire::Failure;
use serde::Deserialize;
use std::ops::Range;
use std::path::PathBuf;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blockinfile {
    #[serde(alias = "dest", alias = "name")]
    path: PathBuf,
    /// Nothing in it removes the block.
    #[serde(default, alias = "content")]
    block: String,
    /// The lines around the block; `{mark}` becomes `marker_begin` and `marker_end`.
    #[serde(default = "marker")]
    marker: String,
    #[serde(default = "begin")]
    marker_begin: String,
    #[serde(default = "end")]
    marker_end: String,
    #[serde(default)]
    state: State,
    insertafter: Option<String>,
    insertbefore: Option<String>,
    #[serde(default)]
    create: bool,
    #[serde(default)]
    backup: bool,
    owner: Option<String>,
    group: Option<String>,
    mode: Option<Permissions>,
    validate: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    #[default]
    Present,
    Absent,
}

/// Ansible's own words: hosts it once managed keep one block, not two.
fn marker() -> String {
    "# {mark} ANSIBLE MANAGED BLOCK".into()
}

fn begin() -> String {
    "BEGIN".into()
}

fn end() -> String {
    "END".into()
}

impl Blockinfile {
    fn edited(&self) -> Edited<'_> {
        Edited {
            path: &self.path,
            create: self.create,
            backup: self.backup,
            attributes: Attributes {
                owner: self.owner.as_deref(),
                group: self.group.as_deref(),
                mode: self.mode.as_ref(),
            },
            validate: self.validate.as_deref(),
        }
    }

    /// The block with its marks; empty when there should be none.
    fn wanted(&self) -> Vec<String> {
        if self.state == State::Absent || self.block.is_empty() {
            return Vec::new();
        }
        let mut lines = vec![self.mark(&self.marker_begin)];
        lines.extend(self.block.lines().map(ToOwned::to_owned));
        lines.push(self.mark(&self.marker_end));
        lines
    }

    fn mark(&self, word: &str) -> String {
        self.marker.replace("{mark}", word)
    }

    /// Where the block is now, marks included.
    fn found(&self, lines: &[String]) -> Result<Option<Range<usize>>> {
        let last = |mark: String| lines.iter().rposition(|line| *line == mark);
        match (
            last(self.mark(&self.marker_begin)),
            last(self.mark(&self.marker_end)),
        ) {
            (None, None) => Ok(None),
            (Some(begin), Some(end)) if begin < end => Ok(Some(begin..end + 1)),
            _ => Err(Failure::new(format!(
                "the block in {} has lost one of its marks",
                self.path.display()
            ))
            .help(format!(
                "put `{}` above and `{}` below it again, or remove what is left of it",
                self.mark(&self.marker_begin),
                self.mark(&self.marker_end)
            ))),
        }
    }

    fn place(&self) -> Result<Place> {
        Place::read(self.insertafter.as_deref(), self.insertbefore.as_deref())
    }

    fn edit(&self, before: &[String]) -> Result<Option<(String, Vec<String>)>> {
        let wanted = self.wanted();
        let found = self.found(before)?;
        let what = match (&found, wanted.is_empty()) {
            (None, true) => return Ok(None),
            (Some(range), _) if before.get(range.clone()) == Some(&wanted) => return Ok(None),
            (Some(_), true) => "remove the block",
            (Some(_), false) => "update the block",
            (None, false) => "add the block",
        };
        let range = match found {
            Some(range) => range,
            None => {
                let at = self.place()?.index(before, false);
                at..at
            }
        };
        let mut after = before.to_vec();
        after.splice(range, wanted);
        Ok(Some((what.into(), after)))
    }
}

impl Module for Blockinfile {
    const NAME: &'static str = "blockinfile";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "some lines of a text file, between two marks";
    const EXAMPLE: &'static str = r##"blockinfile:
  path: /etc/hosts
  marker: "# {mark} apim cluster"
  block: |
    10.0.0.11 gw-1
    10.0.0.12 gw-2
"##;
    const ALIASES: &'static [(&'static str, &'static str)] =
        &[("dest", "path"), ("name", "path"), ("content", "block")];
    type Change = Change;

    fn review(&self, review: &mut Review<'_>) {
        review.absolute("path", self.path.as_path());
        if !self.marker.contains("{mark}") {
            review.push(
                Fault::of("marker", &self.marker, "it has no `{mark}` in it")
                    .help("without it the two ends of the block look the same"),
            );
        }
        review.hear(None, self.place());
        review.hear(
            Some("validate"),
            placed::validator(self.validate.as_deref()),
        );
    }

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        self.edited().check(system, &|before| self.edit(before))
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        self.edited().apply(system, &change)
    }
}
