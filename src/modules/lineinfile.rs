//! `lineinfile`: one line of a text file.

use super::shared::attributes::Attributes;
use super::shared::lines::{self, Change, Edited, Place};
use super::shared::permissions::Permissions;
use super::shared::placed;
use super::{Fault, Kind, Module, Review};
use crate::system::{Result, System};
use regex::Regex;
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lineinfile {
    #[serde(alias = "dest", alias = "name")]
    path: PathBuf,
    line: Option<String>,
    /// The last line that matches becomes `line`; with `state: absent` all that match go.
    regexp: Option<String>,
    #[serde(default)]
    state: State,
    /// `line` may name the groups of `regexp` as `\1`; where nothing matches, nothing is done.
    #[serde(default)]
    backrefs: bool,
    insertafter: Option<String>,
    insertbefore: Option<String>,
    /// Of several lines that match, the first counts and not the last.
    #[serde(default)]
    firstmatch: bool,
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

type Edit = Option<(String, Vec<String>)>;

impl Lineinfile {
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

    fn regexp(&self) -> Result<Option<Regex>> {
        let regexp = self.regexp.as_deref();
        regexp
            .map(|text| lines::pattern("regexp", text))
            .transpose()
    }

    fn place(&self) -> Result<Place> {
        Place::read(self.insertafter.as_deref(), self.insertbefore.as_deref())
    }

    fn review_present(&self, review: &mut Review<'_>) {
        if self.line.is_none() {
            review.push(
                Fault::new("`lineinfile` does not say which line there should be")
                    .help("give it in `line`, or say `state: absent`"),
            );
        }
        if self.backrefs && self.regexp.is_none() {
            review.push(Fault::new("`backrefs` needs `regexp`"));
        }
    }

    fn edit(&self, before: &[String]) -> Result<Edit> {
        let regexp = self.regexp()?;
        match self.state {
            State::Present => self.put(before, regexp.as_ref()),
            State::Absent => Ok(self.drop_lines(before, regexp.as_ref())),
        }
    }

    fn put(&self, before: &[String], regexp: Option<&Regex>) -> Result<Edit> {
        let line = self.line.as_deref().unwrap_or_default();
        if let Some(regexp) = regexp
            && let Some(at) = lines::find(before, regexp, self.firstmatch)
        {
            return Ok(self.replace(before, at, regexp, line));
        }
        if self.backrefs || before.iter().any(|found| found == line) {
            return Ok(None);
        }
        let mut after = before.to_vec();
        after.insert(
            self.place()?.index(before, self.firstmatch),
            line.to_owned(),
        );
        Ok(Some(("add the line".into(), after)))
    }

    fn replace(&self, before: &[String], at: usize, regexp: &Regex, line: &str) -> Edit {
        let found = before.get(at)?;
        let line = match self.backrefs {
            true => expand(regexp, found, line),
            false => line.to_owned(),
        };
        if *found == line {
            return None;
        }
        let mut after = before.to_vec();
        *after.get_mut(at)? = line;
        Some((format!("replace line {}", at + 1), after))
    }

    fn drop_lines(&self, before: &[String], regexp: Option<&Regex>) -> Edit {
        let stays = |found: &&String| match (regexp, &self.line) {
            (Some(regexp), _) => !regexp.is_match(found),
            (None, line) => line.as_ref() != Some(*found),
        };
        let after: Vec<String> = before.iter().filter(stays).cloned().collect();
        match before.len() - after.len() {
            0 => None,
            1 => Some(("remove a line".into(), after)),
            n => Some((format!("remove {n} lines"), after)),
        }
    }
}

/// `\1` and `\g<name>` by what the groups of `regexp` hold in `found`.
fn expand(regexp: &Regex, found: &str, line: &str) -> String {
    let Some(groups) = regexp.captures(found) else {
        return line.to_owned();
    };
    let mut expanded = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('\\') {
        expanded.push_str(&rest[..at]);
        let (name, after) = reference(&rest[at + 1..]);
        let group = match name.parse() {
            Ok(number) => groups.get(number),
            Err(_) => groups.name(name),
        };
        expanded.push_str(match name {
            "" => "\\",
            _ => group.map_or("", |group| group.as_str()),
        });
        rest = after;
    }
    expanded + rest
}

/// What the reference names, and the text after it. No name: it is a plain backslash.
fn reference(text: &str) -> (&str, &str) {
    if let Some((name, after)) = text.strip_prefix("g<").and_then(|t| t.split_once('>')) {
        return (name, after);
    }
    let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let escaped = usize::from(digits == 0 && text.starts_with('\\'));
    (&text[..digits], &text[digits + escaped..])
}

impl Module for Lineinfile {
    const NAME: &'static str = "lineinfile";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "one line of a text file";
    const EXAMPLE: &'static str = r#"lineinfile:
  path: /etc/security/limits.conf
  regexp: '^wso2carbon\s+soft\s+nofile'
  line: wso2carbon soft nofile 65536
"#;
    const ALIASES: &'static [(&'static str, &'static str)] = &[("dest", "path"), ("name", "path")];
    type Change = Change;

    fn review(&self, review: &mut Review<'_>) {
        review.absolute("path", self.path.as_path());
        review.hear(Some("regexp"), self.regexp());
        review.hear(None, self.place());
        review.hear(
            Some("validate"),
            placed::validator(self.validate.as_deref()),
        );
        match self.state {
            State::Present => self.review_present(review),
            State::Absent if self.line.is_none() && self.regexp.is_none() => {
                review.push(Fault::new("`state: absent` needs `line` or `regexp`"));
            }
            State::Absent => {}
        }
    }

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        self.edited().check(system, &|before| self.edit(before))
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        self.edited().apply(system, &change)
    }
}
