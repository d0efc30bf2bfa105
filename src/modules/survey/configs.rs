//! Configuration files: whether they are what was rendered, and a few of their values.

use super::files::Files;
use super::service::Environment;
use crate::system::{FileKind, Result, hex};
use crate::wire::Failure;
use crate::wire::survey::{Config, ConfigRequest, Seen};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use toml_edit::{DocumentMut, Item, Table};

pub fn look(
    files: &Files<'_>,
    home: &Path,
    environment: &Environment,
    asked: &ConfigRequest,
) -> Config {
    let path = home.join(&asked.path);
    let document = document(files, &path);
    let values = |keys: &[String]| -> BTreeMap<_, _> {
        let value = |key: &String| Some((key.clone(), value(document.as_ref().ok()?, key)?));
        keys.iter().filter_map(value).collect()
    };
    // A key that stands in the environment stays there: only its digest leaves.
    let digest = |(key, value): (String, String)| {
        let value = environment.resolved(&value);
        (key, hex(&Sha256::digest(value)))
    };
    Config {
        file: files.path(&path),
        folder: files.path(path.parent().unwrap_or(home)),
        sha256: files.system.digest(&path).ok().flatten(),
        has_backup: has_backup(files, &path),
        values: values(&asked.keys),
        digests: values(&asked.digests).into_iter().map(digest).collect(),
        tables: match &document {
            Ok(document) => Seen::Known(tables(document)),
            Err(failure) => Seen::unknown(failure.message.clone()),
        },
    }
}

fn has_backup(files: &Files<'_>, path: &Path) -> bool {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".backup");
    let found = files.system.meta(&path.with_file_name(name));
    matches!(found, Ok(Some(meta)) if meta.kind == FileKind::File)
}

fn document(files: &Files<'_>, path: &Path) -> Result<DocumentMut> {
    if path.extension().is_none_or(|e| e != "toml") {
        return Err(Failure::new("only TOML is looked into"));
    }
    let bytes = files.system.read(path)?.unwrap_or_default();
    // The parser's own message quotes the line, and a password may stand there.
    String::from_utf8_lossy(&bytes)
        .parse()
        .map_err(|_: toml_edit::TomlError| Failure::new("it is no valid TOML"))
}

/// The names of the tables as they stand in the file, `apim.key_manager` for one.
fn tables(document: &DocumentMut) -> Vec<String> {
    let mut found = Vec::new();
    collect(document.as_table(), "", &mut found);
    found.sort();
    found.into_iter().map(|(_, name)| name).collect()
}

fn collect(table: &Table, above: &str, found: &mut Vec<(Option<isize>, String)>) {
    for (key, item) in table {
        let name = match above {
            "" => key.to_owned(),
            above => format!("{above}.{key}"),
        };
        let inside: Vec<_> = match item {
            Item::Table(table) => vec![table],
            Item::ArrayOfTables(all) => all.iter().collect(),
            _ => continue,
        };
        for table in inside {
            // Without a header of its own it is only a part of another one's name.
            if !table.is_implicit() && !table.is_dotted() {
                found.push((table.position(), name.clone()));
            }
            collect(table, &name, found);
        }
    }
}

/// The value of a dotted key, as text.
fn value(document: &DocumentMut, key: &str) -> Option<String> {
    let item = key
        .split('.')
        .try_fold(document.as_item(), |item, part| item.get(part))?;
    let value = item.as_value()?;
    Some(match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.clone().decorated("", "").to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_in_their_order_and_values_by_their_path() {
        let text = "[server]\nhostname = \"gw\"\noffset = 1 # one\n[[apim.throttling.url_group]]\n\
                    a = 1\n[encryption]\nkey = \"k\"\n[[apim.throttling.url_group]]\na = 2\n";
        let document = text.parse().unwrap();
        assert_eq!(
            tables(&document),
            [
                "server",
                "apim.throttling.url_group",
                "encryption",
                "apim.throttling.url_group"
            ]
        );
        assert_eq!(value(&document, "server.hostname").as_deref(), Some("gw"));
        assert_eq!(value(&document, "server.offset").as_deref(), Some("1"));
        assert_eq!(value(&document, "server.mode"), None);
        assert_eq!(value(&document, "server"), None);
    }
}
