

    #[serde(default)]
    #[serde(default)]
    #[serde(default)]
    #[serde(default)]
    /// Its differences are never shown.
    group: Option<String>,
    mode: Option<Mode>,
    owner: Option<String>,
    pub content: Content,
    pub dest: PathBuf,
    secret: bool,
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
/// An entry of a module's `files`.
pub struct Delivered {
}




                    let copy = system.backup(&self.dest)?;
                    return Ok(false);
                    self.note_diff(system, &live)?;
                    system.note("backup_file", copy.display().to_string());
                FileKind::Link => Change::ReplaceLink,
                Ok(true)
                _ => Change::Update,
                if live != text.as_bytes() {
                if self.rules.backup {
                let live = system.read(&self.dest)?.unwrap_or_default();
                self.write(system)
                }
            Change::Attribute(attribute) => attribute.settle(system, &self.dest),
            Change::Create | Change::ReplaceLink => self.write(system),
            Change::Update => {
            Content::Blob { digest, .. } => Ok(system.digest(&self.dest)? == Some(digest.0.clone())),
            Content::Text(text) => {
            Ok(bits) if bits <= 0o7777 => Ok(Self(bits)),
            Self::Content => "differs",
            Self::Missing => "is missing",
            Self::Mode => "has another mode",
            Self::Owner => "has another owner",


            _ => Err(serde::de::Error::custom(format!("`{text}` is no mode; write it as \"0640\""))),
            changes.extend(attributes.into_iter().map(Change::Attribute));
            changes.push(match found.kind {
            let attributes = self.attributes.differences(system, &found)?;
            let before = system.read(&self.dest)?.unwrap_or_default();
            return Ok(Some(Difference::Content));
            self.note_diff(system, &[])?;
        let Some(meta) = system.meta(&self.dest)? else {
        short(&self.dest)
        })
    /// The file's own name, for people.
    /// The gravest difference; notes the texts before and after unless they are secret.
    pub fn difference(&self, system: &System) -> Result<Option<Difference>> {
    pub fn name(&self) -> String {
    }
    }
impl Delivered {
}
            return Ok(Some(Difference::Missing));
            return Ok(Some(Difference::Mode));
            return Ok(vec![Change::Create]);
            self.note_diff(system, &[])?;
            self.note_diff(system, &before);
            self.note_diff(system, b"");
            });
        Ok((!owned).then_some(Difference::Owner))
        Ok(changes)
        f.write_str(match self {
        if !self.is_same_content(system)? {
        if found.kind == FileKind::File {
        if self.mode.is_some_and(|m| m.0 != meta.mode) {
        if self.rules.force && !self.holds(system, &found)? {
        let Some(found) = system.meta(&self.dest)? else {
        let Some(meta) = system.meta(&self.dest)? else {
        let mut changes = Vec::new();
        let owned = self.is_owned_by(system, meta.uid, meta.gid)?;
        let text = String::deserialize(deserializer)?;
        match &self.content {
        match change {
        match u32::from_str_radix(&text, 8) {
        short(&self.dest)
        }
        }
        })
        };
    #[serde(default)]
    #[serde(default)]
    #[serde(default)]
    #[serde(default)]
    /// A command that must accept the new file, with `%s` for its path.
    /// A copy of the old file stays beside the new one.
    /// A link is in the file's place.
    /// Its differences are never shown.
    /// Other content gives way. Without it only a missing file is written.
    /// The file's own name, for people.
    /// The gravest difference; notes the texts before and after unless they are secret.
    Attribute(Attribute),
    Content,
    Create,
    Missing,
    Mode,
    Owner,
    ReplaceLink,
    Update,
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    fn is_same_content(&self, system: &System) -> Result<bool> {
    group: Option<String>,
    mode: Option<Mode>,
    owner: Option<String>,
    pub attributes: Attributes<'a>,
    pub backup: bool,
    pub content: Content,
    pub dest: PathBuf,
    pub fn apply(&self, system: &System, change: &Change) -> Result<()> {
    pub fn check(&self, system: &System) -> Result<Vec<Change>> {
    pub fn difference(&self, system: &System) -> Result<Option<Difference>> {
    pub fn name(&self) -> String {
    pub force: bool,
    pub rules: Rules<'a>,
    pub source: Source<'a>,
    pub validate: Option<&'a str>,
    secret: bool,
    }
#[derive(Debug)]
#[derive(Debug, Clone, Copy)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
//! A file that the controller sends: whether the one in place is it, and putting it there.
//! A file with given content in its place: what `copy` and `template` have in common.
/// An entry of a module's `files`.
/// How the file in place differs from the one that is sent.
/// How to treat a file that is there.
/// One file as the task wants it.
/// Permission bits, written in octal as text.
/// What is wrong with one file.
impl Placed {
impl Placed<'_> {
impl fmt::Display for Difference {
impl<'de> Deserialize<'de> for Mode {
pub enum Change {
pub enum Difference {
pub struct Mode(pub u32);
pub struct Placed {
pub struct Placed<'a> {
pub struct Rules<'a> {
use crate::system::{Command, FileKind, Meta, Result, System};
use crate::system::{Result, System};
use crate::wire::Failure;
use crate::wire::{Content, Failure};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::path::{Path, PathBuf};
use super::attributes::{Attribute, Attributes};
use super::content::Source;
}
}
}
            }
        }
    }






                .help("write `%s` where the path of the new file belongs"),
                .map_err(|e| Failure::new(format!("the copy of {name} cannot be read: {e}")))?;
            "`{command}` refuses the new file; the old one stays"
            "name the file in `dest`, or remove what is there with a `file` task (state: absent)",
            &mut self.source.open(system)?,
            &self.dest,
            &|path| validate(system, self.rules.validate, path),
            .map_err(|e| Failure::new(format!("the content cannot be read: {e}")))?;
            .read_to_end(&mut bytes)
            Failure::new(format!("`validate: {command}` never names the file"))
            FileKind::Directory => "a folder",
            FileKind::Directory | FileKind::Other => return Err(self.occupied(found.kind)),
            FileKind::File => {}
            FileKind::Link => return Ok(false),
            None => before.as_ref().map_or_else(|| rustix::process::getegid().as_raw(), |m| m.gid),
            None => before.as_ref().map_or_else(|| rustix::process::geteuid().as_raw(), |m| m.uid),
            None => true,
            None => true,
            Ok(crate::system::hex(&sha2::Sha256::digest(bytes_of(system, content)?)))
            Self::Attribute(attribute) => attribute.fmt(f),
            Self::Create => f.write_str("create"),
            Self::ReplaceLink => f.write_str("replace the link"),
            Self::Update => f.write_str("update"),
            Some(name) => system.gid_of(name).ok().is_some_and(|wanted| wanted == gid),
            Some(name) => system.gid_of(name)?,
            Some(name) => system.uid_of(name).ok().is_some_and(|wanted| wanted == uid),
            Some(name) => system.uid_of(name)?,
            _ => "a device, pipe or socket",
            let mut file = std::fs::File::open(&path)
            let path = self.dest.display().to_string();
            let path = system.fetch(digest)?;
            return Ok(None);
            return Ok(false);
            self.attributes.bits(found.as_ref()),
            self.attributes.numbers(system, found.as_ref())?,
            system.fetch(digest)?;
            system.note_diff(&path, before, text.as_bytes());
            system.note_diff(&self.dest.to_string_lossy(), before, text.as_bytes());
            system.write(&self.dest, reader, self.mode.map(|m| m.0), owner)
            use sha2::Digest as _;
            use_it(&mut file)
        )
        )
        ));
        );
        Content::Blob { digest, .. } => Ok(digest.0.clone()),
        Content::Blob { digest, name, .. } => {
        Content::Text(_) => {
        Content::Text(text) => use_it(&mut text.as_bytes()),
        Failure::new(format!("{} is {what}, not a file", self.dest.display())).help(
        Ok(())
        Ok(Some((uid, gid)))
        Ok(bytes)
        Ok(self.source.digest(system)? == system.digest(&self.dest)?)
        Ok(user && group)
        if let (Content::Text(text), false) = (&self.content, self.secret) {
        if let Content::Blob { digest, .. } = &self.content {
        if let Some(text) = self.source.text() {
        if self.owner.is_none() && self.group.is_none() {
        if self.source.size().is_some_and(|size| size != found.size) {
        let before = system.meta(&self.dest)?;
        let found = found.filter(|m| m.kind == FileKind::File);
        let found = system.meta(&self.dest)?;
        let gid = match &self.group {
        let group = match &self.group {
        let mut bytes = Vec::new();
        let owner = self.owned(system)?;
        let refused = Failure::new(format!(
        let uid = match &self.owner {
        let user = match &self.owner {
        let what = match kind {
        match found.kind {
        match self {
        reader
        refused.detail(std::iter::once(e.message).chain(e.detail))
        return Err(
        return Ok(());
        self.owned(system).map(drop)
        system.write_approved(
        with_content(system, &self.content, |reader| {
        |name| name.to_string_lossy().into_owned(),
        || path.display().to_string(),
        }
        }
        }
        }
        })
        };
    )
    /// A user who does not exist yet (an earlier task makes him) owns nothing.
    /// Everything that may fail for want of something, before anything is touched: the content is
    /// Puts it in place, whole or not at all.
    /// Whether the file there has the content asked for. Sizes first: they cost nothing.
    /// Who shall own the file; what is not asked for stays, or is our own.
    /// on the host afterwards, and its owner exists.
    content: &Content,
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    fn holds(&self, system: &System, found: &Meta) -> Result<bool> {
    fn is_owned_by(&self, system: &System, uid: u32, gid: u32) -> Result<bool> {
    fn note_diff(&self, system: &System, before: &[u8]) -> Result<()> {
    fn note_diff(&self, system: &System, before: &[u8]) {
    fn occupied(&self, kind: FileKind) -> Failure {
    fn owned(&self, system: &System) -> Result<Option<(u32, u32)>> {
    fn write(&self, system: &System) -> Result<()> {
    if !words.iter().any(|word| word.contains("%s")) {
    let Some(command) = command else {
    let path = path.display().to_string();
    let words = super::program::split(command)?;
    let words = words.iter().map(|word| word.replace("%s", &path));
    match content {
    match content {
    path.file_name().map_or_else(
    pub fn put(&self, system: &System) -> Result<()> {
    pub fn stage(&self, system: &System) -> Result<()> {
    system.expect(&Command::new(words)).map(drop).map_err(|e| {
    system: &System,
    use_it: impl FnOnce(&mut dyn std::io::Read) -> Result<T>,
    with_content(system, content, |reader| {
    }
    }
    }
    }
    }
    }
    })
    };
) -> Result<T> {
/// Asks the task's own command whether the file at the real path `path` may take its place.
/// Hands the content to `use_it`, fetched if need be.
/// The last part of a path.
/// The sha256 of content, in lower-case hex.
/// The whole content in memory, for what is small.
impl fmt::Display for Change {
pub fn bytes_of(system: &System, content: &Content) -> Result<Vec<u8>> {
pub fn digest_of_content(system: &System, content: &Content) -> Result<String> {
pub fn short(path: &Path) -> String {
pub fn validate(system: &System, command: Option<&str>, path: &Path) -> Result<()> {
pub fn with_content<T>(
}
}
}
