//! `stat`: what a path is, for tasks that decide by it.

use super::{Kind, Module, Review, shared};
use crate::system::{FileKind, Meta, Result, System};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stat {
    #[serde(alias = "dest", alias = "name")]
    path: PathBuf,
    /// Looks at what a link points to, not at the link.
    #[serde(default)]
    follow: bool,
    #[serde(default = "shared::yes")]
    get_checksum: bool,
    #[serde(default, rename = "checksum_algorithm")]
    _checksum_algorithm: Algorithm,
}

/// The one we compute; sha1 and md5 prove nothing any more.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Algorithm {
    #[default]
    Sha256,
}

impl Stat {
    fn describe(&self, system: &System, path: &Path, meta: &Meta) -> Result<Value> {
        let mut stat = Map::new();
        let mut put = |field: &str, value: Value| stat.insert(field.to_owned(), value);
        put("exists", true.into());
        put("path", self.path.display().to_string().into());
        put("isreg", (meta.kind == FileKind::File).into());
        put("isdir", (meta.kind == FileKind::Directory).into());
        put("islnk", (meta.kind == FileKind::Link).into());
        put("size", meta.size.into());
        put("mode", format!("{:04o}", meta.mode).into());
        put("executable", (meta.mode & 0o111 != 0).into());
        put("uid", meta.uid.into());
        put("gid", meta.gid.into());
        put("inode", meta.inode.into());
        put("mtime", json!(seconds(meta.modified)));
        let user = system.user(&meta.uid.to_string())?;
        put("pw_name", user.map(|user| user.name).into());
        let group = system.group(&meta.gid.to_string())?;
        put("gr_name", group.map(|group| group.name).into());
        if let Some(target) = system.read_link(path)? {
            put("lnk_target", target.display().to_string().into());
            let source = system.follow(path)?;
            put("lnk_source", source.display().to_string().into());
        }
        if self.get_checksum && meta.kind == FileKind::File {
            put("checksum", system.digest(path)?.into());
        }
        Ok(Value::Object(stat))
    }
}

/// As Ansible gives them: seconds since the epoch, with a fraction.
fn seconds((whole, nanos): (i64, i64)) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds survive for centuries"
    )]
    let (whole, nanos) = (whole as f64, nanos as f64);
    whole + nanos / 1e9
}

impl Module for Stat {
    const NAME: &'static str = "stat";
    const KIND: Kind = Kind::Look;
    const ABOUT: &'static str = "what a path is, for tasks that decide by it";
    const EXAMPLE: &'static str = "stat:\n  path: \"{{ apim_home }}/bin/api-manager.sh\"\n";
    const ALIASES: &'static [(&'static str, &'static str)] = &[("dest", "path"), ("name", "path")];
    type Change = String;

    fn review(&self, review: &mut Review<'_>) {
        review.absolute("path", self.path.as_path());
    }

    fn check(&self, system: &System) -> Result<Vec<String>> {
        let path = match self.follow {
            true => system.follow(&self.path)?,
            false => self.path.clone(),
        };
        let stat = match system.meta(&path)? {
            Some(meta) => self.describe(system, &path, &meta)?,
            None => json!({ "exists": false }),
        };
        system.note("stat", stat);
        Ok(vec![])
    }

    fn apply(&self, _: &System, _: String) -> Result<()> {
        Ok(())
    }
}
