//! `toml`: single keys of a TOML file; comments and order stay.

use super::{Kind, Module, Review};
use crate::system::{Result, System};
use crate::wire::Failure;
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value as Json;
use std::fmt;
use std::path::PathBuf;
use toml_edit::{DocumentMut, Item, Key, Table, TableLike, Value};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toml {
    path: PathBuf,
    /// Dotted keys and their values: `database.apim_db.url`; a part with dots in it is quoted.
    #[serde(default)]
    set: IndexMap<String, Json>,
    #[serde(default)]
    remove: Vec<String>,
    /// A missing file is made.
    #[serde(default)]
    create: bool,
}

/// All of it in one write: no reader finds half of the keys.
#[derive(Debug)]
pub struct Edit {
    what: Vec<String>,
    text: String,
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what.join(", "))
    }
}

impl Module for Toml {
    const NAME: &'static str = "toml";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "sets or removes single keys of a TOML file";
    const EXAMPLE: &'static str = "\
toml:
  path: /opt/wso2/apim/current/repository/conf/deployment.toml
  set:
    server.hostname: api.example.com
    server.offset: 1
  remove: [apim.analytics]
";
    type Change = Edit;

    fn review(&self, review: &mut Review<'_>) {
        review.absolute("path", self.path.as_path());
        for key in self.set.keys() {
            review.hear(Some("set"), parts(key));
        }
        for key in &self.remove {
            review.hear(Some("remove"), parts(key));
        }
    }

    fn check(&self, system: &System) -> Result<Vec<Edit>> {
        let before = self.read(system)?;
        let mut document: DocumentMut = before.parse().map_err(|e| self.unreadable(&e))?;
        let mut what = Vec::new();
        for (key, wanted) in &self.set {
            if set(&mut document, key, wanted)? {
                what.push(format!("set {key}"));
            }
        }
        for key in &self.remove {
            if remove(&mut document, key)? {
                what.push(format!("remove {key}"));
            }
        }
        if what.is_empty() {
            return Ok(vec![]);
        }
        let text = document.to_string();
        system.note_diff(
            &self.path.to_string_lossy(),
            before.as_bytes(),
            text.as_bytes(),
        );
        Ok(vec![Edit { what, text }])
    }

    fn apply(&self, system: &System, edit: Edit) -> Result<()> {
        system.write(&self.path, &mut edit.text.as_bytes(), None, None)
    }
}

impl Toml {
    fn read(&self, system: &System) -> Result<String> {
        match system.read(&self.path)? {
            Some(bytes) => String::from_utf8(bytes)
                .map_err(|_| Failure::new(format!("{} is no UTF-8 text", self.path.display()))),
            None if self.create => Ok(String::new()),
            None => Err(
                Failure::new(format!("there is no {} on this host", self.path.display()))
                    .help("say `create: true` if this task is to make it"),
            ),
        }
    }

    fn unreadable(&self, e: &toml_edit::TomlError) -> Failure {
        Failure::new(format!("{} is no valid TOML", self.path.display()))
            .detail(e.to_string().lines().map(ToOwned::to_owned))
    }
}

/// Whether anything had to be changed.
fn set(document: &mut DocumentMut, key: &str, wanted: &Json) -> Result<bool> {
    let (parents, last) = parts(key)?;
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for part in parents {
        let item = table.entry(part.get()).or_insert_with(|| {
            let mut made = Table::new();
            // `[a]` is not written for the sake of `[a.b]`.
            made.set_implicit(true);
            Item::Table(made)
        });
        table = item
            .as_table_like_mut()
            .ok_or_else(|| no_table(key, part.get()))?;
    }
    let wanted = value(wanted).ok_or_else(|| {
        Failure::new(format!("TOML has no way to write `null` for `{key}`"))
            .help("name the key in `remove` if it is to go")
    })?;
    match table.get_mut(last.get()) {
        Some(Item::Value(found)) if plain(found) == plain(&wanted) => Ok(false),
        Some(Item::Value(found)) => {
            // The comment behind a value is part of its decoration.
            let decor = found.decor().clone();
            *found = wanted;
            *found.decor_mut() = decor;
            Ok(true)
        }
        Some(Item::Table(_) | Item::ArrayOfTables(_)) => Err(no_value(key)),
        _ => {
            table.insert(last.get(), Item::Value(wanted));
            Ok(true)
        }
    }
}

fn remove(document: &mut DocumentMut, key: &str) -> Result<bool> {
    let (parents, last) = parts(key)?;
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for part in parents {
        let Some(next) = table.get_mut(part.get()).and_then(Item::as_table_like_mut) else {
            return Ok(false);
        };
        table = next;
    }
    Ok(table.remove(last.get()).is_some())
}

/// A dotted key as its parents and its last part.
fn parts(key: &str) -> Result<(Vec<Key>, Key)> {
    let wrong = || {
        Failure::new(format!("`{key}` is no key of TOML"))
            .help("separate its parts by dots, and quote a part with dots or spaces in it")
    };
    let mut parts = Key::parse(key).map_err(|_| wrong())?;
    let last = parts.pop().ok_or_else(wrong)?;
    Ok((parts, last))
}

fn no_table(key: &str, part: &str) -> Failure {
    Failure::new(format!("`{part}` in `{key}` is no table in this file"))
        .help("lists of tables (`[[...]]`) can't be edited by key: use a template for this file")
}

fn no_value(key: &str) -> Failure {
    Failure::new(format!("`{key}` is a table in this file, not a value"))
        .help("name the keys inside it")
}

fn value(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Null => return None,
        Json::Bool(b) => (*b).into(),
        Json::Number(n) => match n.as_i64() {
            Some(whole) => whole.into(),
            None => n.as_f64()?.into(),
        },
        Json::String(text) => text.into(),
        Json::Array(list) => Value::Array(list.iter().map(value).collect::<Option<_>>()?),
        Json::Object(map) => {
            let mut table = toml_edit::InlineTable::new();
            for (key, json) in map {
                table.insert(key, value(json)?);
            }
            table.into()
        }
    })
}

/// A value without spaces, comments and the way its text is quoted.
fn plain(value: &Value) -> Json {
    match value {
        Value::String(text) => text.value().clone().into(),
        Value::Integer(number) => (*number.value()).into(),
        Value::Float(number) => (*number.value()).into(),
        Value::Boolean(truth) => (*truth.value()).into(),
        Value::Datetime(time) => time.value().to_string().into(),
        Value::Array(list) => list.iter().map(plain).collect(),
        Value::InlineTable(table) => table
            .iter()
            .map(|(k, v)| (k.to_owned(), plain(v)))
            .collect(),
    }
}
