//! `file`: a path's kind, owner and mode; never its content.

use super::shared::attributes::{Attribute, Attributes};
use super::shared::permissions::Permissions;
use super::{Fault, Kind, Module, Review};
use crate::system::{FileKind, Meta, Result, System};
use crate::wire::Failure;
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{Deserializer, Error as _, IntoDeserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    #[serde(alias = "dest", alias = "name")]
    path: PathBuf,
    /// Without it, whatever is there must be there.
    #[serde(default, deserialize_with = "state")]
    state: Option<State>,
    /// Where a link points; may not exist yet.
    src: Option<PathBuf>,
    owner: Option<String>,
    group: Option<String>,
    mode: Option<Permissions>,
    /// Owner, group and mode also hold for everything below the folder.
    #[serde(default)]
    recurse: bool,
    /// A link may take the place of a file or of an empty folder.
    #[serde(default)]
    force: bool,
    /// Taken because tasks written for Ansible say so; nothing else would be idempotent.
    #[serde(rename = "modification_time")]
    _modification_time: Option<Times>,
    #[serde(rename = "access_time")]
    _access_time: Option<Times>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    File,
    Directory,
    Link,
    Absent,
    /// Makes a missing file; the times of one that is there stay as they are.
    Touch,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Times {
    Preserve,
}

fn state<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<State>, D::Error> {
    let word = String::deserialize(deserializer)?;
    if word == "hard" {
        return Err(D::Error::custom(
            "`state: hard` is refused: a hard link breaks when either name is replaced; use `state: link`",
        ));
    }
    let word: StrDeserializer<'_, D::Error> = word.as_str().into_deserializer();
    State::deserialize(word).map(Some)
}

pub enum Change {
    Create,
    CreateFolder,
    Link(PathBuf),
    Repoint {
        from: PathBuf,
        to: PathBuf,
    },
    Remove,
    Attribute(PathBuf, Attribute),
    /// The same difference on many paths below the folder.
    Below(Attribute, Vec<PathBuf>),
}

impl File {
    fn attributes(&self) -> Attributes<'_> {
        Attributes {
            owner: self.owner.as_deref(),
            group: self.group.as_deref(),
            mode: self.mode.as_ref(),
        }
    }

    /// An absent path, a link and its wanted target are judged alone; everything else through links.
    fn judge(&self, system: &System) -> Result<Vec<Change>> {
        let found = system.meta(&self.path)?;
        match self.state {
            Some(State::Absent) => Ok(found.map(|_| Change::Remove).into_iter().collect()),
            Some(State::Link) => {
                let to = self.src.clone().unwrap_or_default();
                self.judge_link(system, found, to)
            }
            state => {
                let path = system.follow(&self.path)?;
                let found = system.meta(&path)?;
                self.judge_place(system, state, &path, found)
            }
        }
    }

    fn judge_place(
        &self,
        system: &System,
        state: Option<State>,
        path: &Path,
        found: Option<Meta>,
    ) -> Result<Vec<Change>> {
        use FileKind::{Directory, File, Other};
        match (state, found) {
            (Some(State::Directory), None) => Ok(vec![Change::CreateFolder]),
            (Some(State::Touch), None) => Ok(vec![Change::Create]),
            (_, None) => Err(self.missing()),
            (Some(State::Directory), Some(m)) if m.kind != Directory => Err(self.not("a folder")),
            (Some(State::File), Some(m)) if !matches!(m.kind, File | Other) => {
                Err(self.not("a file"))
            }
            (_, Some(m)) => self.judge_attributes(system, path, &m),
        }
    }

    fn judge_attributes(&self, system: &System, path: &Path, found: &Meta) -> Result<Vec<Change>> {
        let attributes = self.attributes().differences(system, found)?;
        let mut changes: Vec<_> = attributes
            .into_iter()
            .map(|attribute| Change::Attribute(path.to_owned(), attribute))
            .collect();
        if self.recurse && found.kind == FileKind::Directory {
            let mut below = BTreeMap::new();
            self.gather(system, path, &mut below)?;
            changes.extend(
                below
                    .into_values()
                    .map(|(a, paths)| Change::Below(a, paths)),
            );
        }
        Ok(changes)
    }

    /// Groups equal differences: a product has twenty thousand files, a reader one pair of eyes.
    fn gather(
        &self,
        system: &System,
        folder: &Path,
        below: &mut BTreeMap<String, (Attribute, Vec<PathBuf>)>,
    ) -> Result<()> {
        for name in system.list(folder)? {
            let path = folder.join(name);
            let Some(found) = system.meta(&path)? else {
                continue;
            };
            let mut wanted = self.attributes();
            if found.kind == FileKind::Link {
                wanted.mode = None;
            }
            for attribute in wanted.differences(system, &found)? {
                let key = attribute.to_string();
                let (_, paths) = below.entry(key).or_insert((attribute, Vec::new()));
                paths.push(path.clone());
            }
            if found.kind == FileKind::Directory {
                self.gather(system, &path, below)?;
            }
        }
        Ok(())
    }

    fn review_link(&self, review: &mut Review<'_>) {
        match &self.src {
            Some(src) => review.filled("src", src.to_str()),
            None => review.push(
                Fault::new("`state: link` does not say where the link points")
                    .help("give it in `src`"),
            ),
        }
        if self.mode.is_some() {
            review.push(
                Fault::new("a link has no mode of its own")
                    .help("set the mode of what it points to, in a task of its own"),
            );
        }
    }

    fn judge_link(&self, system: &System, found: Option<Meta>, to: PathBuf) -> Result<Vec<Change>> {
        let Some(found) = found else {
            return Ok(vec![Change::Link(to)]);
        };
        if found.kind != FileKind::Link {
            return self.judge_obstacle(system, &found, to);
        }
        let mut changes = Vec::new();
        match system.read_link(&self.path)? {
            Some(from) if from != to => changes.push(Change::Repoint { from, to }),
            _ => {}
        }
        let attributes = self.attributes().differences(system, &found)?;
        let at = |a| Change::Attribute(self.path.clone(), a);
        changes.extend(attributes.into_iter().map(at));
        Ok(changes)
    }

    /// Something else is where the link belongs.
    fn judge_obstacle(&self, system: &System, found: &Meta, to: PathBuf) -> Result<Vec<Change>> {
        let path = self.path.display();
        if !self.force {
            return Err(Failure::new(format!("{path} is there and is no link"))
                .help("with `force: true` the link takes its place"));
        }
        if found.kind == FileKind::Directory && !system.list(&self.path)?.is_empty() {
            return Err(Failure::new(format!(
                "{path} is a folder with something in it, and no link takes its place"
            ))
            .help("move what is in it, then remove it with `state: absent`"));
        }
        Ok(vec![Change::Remove, Change::Link(to)])
    }

    fn missing(&self) -> Failure {
        Failure::new(format!("there is no {} on the host", self.path.display())).help(
            "`file` sets no content: make it with `state: directory`, `state: touch`, or a `copy` task",
        )
    }

    fn not(&self, wanted: &str) -> Failure {
        Failure::new(format!(
            "{} is there and is not {wanted}",
            self.path.display()
        ))
        .help("remove it with `state: absent` first, if nobody needs it")
    }

    fn create(&self, system: &System) -> Result<()> {
        let attributes = self.attributes();
        let (mode, owner) = (attributes.bits(None), attributes.numbers(system, None)?);
        system.write(
            &system.follow(&self.path)?,
            &mut std::io::empty(),
            mode,
            owner,
        )
    }

    fn link(&self, system: &System, to: &Path) -> Result<()> {
        system.replace_link(&self.path, to)?;
        self.attributes().settle(system, &self.path)
    }
}

impl Module for File {
    const NAME: &'static str = "file";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "a path's kind, owner and mode; never its content";
    const EXAMPLE: &'static str = r#"file:
  path: /opt/wso2
  state: directory
  owner: wso2carbon
  group: wso2
  mode: "0750"
"#;
    const ALIASES: &'static [(&'static str, &'static str)] = &[("dest", "path"), ("name", "path")];
    type Change = Change;

    fn review(&self, review: &mut Review<'_>) {
        review.absolute("path", self.path.as_path());
        if self.recurse && self.state != Some(State::Directory) {
            review.push(Fault::new("`recurse` needs `state: directory`"));
        }
        if self.state == Some(State::Link) {
            self.review_link(review);
        }
    }

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        system.note("path", self.path.display().to_string());
        self.judge(system)
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        match change {
            Change::Create => self.create(system),
            Change::CreateFolder => self.attributes().make_folders(system, &self.path),
            Change::Link(to) | Change::Repoint { to, .. } => self.link(system, &to),
            Change::Remove => system.remove(&self.path),
            Change::Attribute(path, attribute) => attribute.settle(system, &path),
            Change::Below(attribute, paths) => paths
                .iter()
                .try_for_each(|path| attribute.settle(system, path)),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create => f.write_str("create"),
            Self::CreateFolder => f.write_str("create folder"),
            Self::Link(to) => write!(f, "link to {}", to.display()),
            Self::Repoint { from, to } => {
                write!(f, "repoint {} -> {}", from.display(), to.display())
            }
            Self::Remove => f.write_str("remove"),
            Self::Attribute(_, attribute) => attribute.fmt(f),
            Self::Below(attribute, paths) => match paths.as_slice() {
                [path] => write!(f, "{attribute} of {}", path.display()),
                paths => write!(f, "{attribute} of {} paths below", paths.len()),
            },
        }
    }
}
