//! `copy`: a file, or a folder of files, with the content it should have.

use super::shared::attributes::Attributes;
use super::shared::content::{self, Source};
use super::shared::permissions::Permissions;
use super::shared::placed::{self, Placed, Rules};
use super::{Brings, Fault, Kind, Module, Review, shared};
use crate::system::{FileKind, Result, System};
use crate::wire::{Content, Failure};
use serde::Deserialize;
use std::fmt;
use std::path::{Component, Path, PathBuf};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// On the host, with `remote_src`; otherwise the controller turns it into `content` or `tree`.
    src: Option<PathBuf>,
    #[serde(default)]
    remote_src: bool,
    #[serde(default, deserialize_with = "content::read")]
    content: Option<Content>,
    /// The files of a folder, put here by the controller.
    tree: Option<Vec<Leaf>>,
    /// A folder, present or with a slash at its end, takes the file under its own name.
    dest: PathBuf,
    owner: Option<String>,
    group: Option<String>,
    mode: Option<Permissions>,
    /// Of the folders that are made on the way.
    directory_mode: Option<Permissions>,
    #[serde(default)]
    backup: bool,
    #[serde(default = "shared::yes")]
    force: bool,
    validate: Option<String>,
}

/// A file of a folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Leaf {
    /// Below `dest`.
    path: PathBuf,
    content: Content,
    /// Where the task gives none.
    mode: Option<Permissions>,
}

/// What is wrong with the file at `path`.
pub struct Change {
    path: PathBuf,
    /// The path below `dest`, when there are several files.
    below: Option<PathBuf>,
    change: placed::Change,
}

impl Copy {
    fn files(&self, system: &System) -> Result<Vec<Placed<'_>>> {
        match (&self.tree, &self.content, &self.src) {
            (Some(tree), None, _) => tree.iter().map(|leaf| self.leaf(leaf)).collect(),
            (None, Some(content), _) => Ok(vec![self.single(system, Source::Sent(content))?]),
            (None, None, Some(src)) if self.remote_src => {
                Ok(vec![self.single(system, on_host(system, src)?)?])
            }
            _ => Err(Failure::new("`copy` was not brought what it is to copy")),
        }
    }

    fn leaf<'a>(&'a self, leaf: &'a Leaf) -> Result<Placed<'a>> {
        let inside = |part| matches!(part, Component::Normal(_));
        if !leaf.path.components().all(inside) {
            let path = leaf.path.display();
            return Err(Failure::new(format!("`{path}` leads out of the folder")));
        }
        let mode = self.mode.as_ref().or(leaf.mode.as_ref());
        let source = Source::Sent(&leaf.content);
        Ok(self.placed(self.dest.join(&leaf.path), source, mode))
    }

    fn single<'a>(&'a self, system: &System, source: Source<'a>) -> Result<Placed<'a>> {
        let dest = if self.wants_folder() || self.is_folder(system)? {
            let name = source.name().ok_or_else(|| {
                Failure::new(format!("{} is a folder", self.dest.display())).help(NAME_IT)
            })?;
            self.dest.join(name)
        } else {
            self.dest.clone()
        };
        Ok(self.placed(dest, source, self.mode.as_ref()))
    }

    fn placed<'a>(
        &'a self,
        dest: PathBuf,
        source: Source<'a>,
        mode: Option<&'a Permissions>,
    ) -> Placed<'a> {
        Placed {
            dest,
            source,
            attributes: self.attributes(mode),
            rules: Rules {
                force: self.force,
                backup: self.backup,
                validate: self.validate.as_deref(),
            },
        }
    }

    fn attributes<'a>(&'a self, mode: Option<&'a Permissions>) -> Attributes<'a> {
        Attributes {
            owner: self.owner.as_deref(),
            group: self.group.as_deref(),
            mode,
        }
    }

    fn text_has_no_name(&self) -> Fault {
        let reason = "a folder, and `content` is one file";
        Fault::of("dest", self.dest.display(), reason).help(NAME_IT)
    }

    fn wants_folder(&self) -> bool {
        self.dest.as_os_str().as_encoded_bytes().ends_with(b"/")
    }

    fn is_folder(&self, system: &System) -> Result<bool> {
        let meta = system.meta(&system.follow(&self.dest)?)?;
        Ok(meta.is_some_and(|m| m.kind == FileKind::Directory))
    }

    /// Only a task that speaks of a folder makes folders: a single file's must be there.
    fn make_folders(&self, system: &System, file: &Path) -> Result<()> {
        if self.tree.is_none() && !self.wants_folder() {
            return Ok(());
        }
        let folder = file.parent().unwrap_or(Path::new("/"));
        self.attributes(self.directory_mode.as_ref())
            .make_folders(system, folder)
    }
}

const NAME_IT: &str = "text has no name of its own: name the file in `dest`";

fn on_host<'a>(system: &System, src: &'a Path) -> Result<Source<'a>> {
    match system.meta(&system.follow(src)?)?.map(|m| m.kind) {
        Some(FileKind::File) => Ok(Source::Host(src)),
        Some(_) => Err(
            Failure::new(format!("{} on the host is no file", src.display()))
                .help("`copy` with `remote_src` takes files; for a folder use `command: cp -a`"),
        ),
        None => Err(
            Failure::new(format!("there is no {} on the host", src.display()))
                .help("without `remote_src: true` the file is looked for on the controller"),
        ),
    }
}

impl Module for Copy {
    const NAME: &'static str = "copy";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "a file, or a folder of files, with the content it should have";
    const EXAMPLE: &'static str = r#"copy:
  src: jars/mysql-connector-j-8.4.0.jar
  dest: "{{ apim_home }}/repository/components/lib/"
  owner: "{{ apim_user }}"
  mode: "0644"
"#;
    const BRINGS: Brings = Brings::File;
    type Change = Change;

    fn review(&self, review: &mut Review<'_>) {
        review.absolute("dest", self.dest.as_path());
        let brought = (&self.src, &self.content, &self.tree);
        match brought {
            (None, None, None) => review.push(
                Fault::new("`copy` has nothing to copy").help("give one of `src` and `content`"),
            ),
            (Some(src), ..) if self.remote_src => review.absolute("src", src.as_path()),
            (None, Some(Content::Text(_)), _) if self.wants_folder() => {
                review.push(self.text_has_no_name());
            }
            _ => {}
        }
        review.hear(
            Some("validate"),
            placed::validator(self.validate.as_deref()),
        );
    }

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        system.note("dest", self.dest.display().to_string());
        let mut changes = Vec::new();
        for file in self.files(system)? {
            let below = file.dest.strip_prefix(&self.dest).ok();
            let below = below.filter(|_| self.tree.is_some());
            changes.extend(file.check(system)?.into_iter().map(|change| Change {
                path: file.dest.clone(),
                below: below.map(Path::to_owned),
                change,
            }));
        }
        Ok(changes)
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        self.make_folders(system, &change.path)?;
        let mut files = self.files(system)?.into_iter();
        match files.find(|file| file.dest == change.path) {
            Some(file) => file.apply(system, &change.change),
            None => Err(Failure::new(format!(
                "{} became a folder meanwhile",
                self.dest.display()
            ))),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.below {
            Some(path) => write!(f, "{}: {}", path.display(), self.change),
            None => self.change.fmt(f),
        }
    }
}
