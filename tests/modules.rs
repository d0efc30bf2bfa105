//! Every module against small worlds: `tests/modules/<module>/<case>.yaml`, one case per file.
//!
//! A case says what the host has (`given`), what its programs answer (`answers`) and what the
//! controller sends (`params`); then what a module must find (`changes`) and leave behind (`then`).
//! Check mode must find the same and touch nothing; a second run must find nothing.
//!
//! `CASE=unarchive/bomb cargo test --test modules` runs the cases whose name begins so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at the first thing it cannot read"
)]

#[path = "support/archive.rs"]
mod archive;
#[path = "support/case.rs"]
mod case;
#[path = "support/examples.rs"]
mod examples;
#[path = "support/tree.rs"]
mod tree;

use apim_deploy::modules;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[test]
fn cases() {
    let wanted = std::env::var("CASE").unwrap_or_default();
    let mut wrong = Vec::new();
    for (name, path) in all_cases() {
        if name.starts_with(&wanted)
            && let Err(why) = case::run(&path)
        {
            wrong.push(format!("{name}: {why}"));
        }
    }
    assert!(wrong.is_empty(), "\n\n{}\n", wrong.join("\n\n"));
}

#[test]
fn every_module_has_cases_and_every_folder_a_module() {
    let folders: BTreeSet<_> = all_cases()
        .iter()
        .map(|(name, _)| name.split('/').next().unwrap().to_owned())
        .collect();
    assert_eq!(folders, listed());
}

#[test]
fn the_list_is_the_folder() {
    let files: BTreeSet<_> = entries(&root().join("src/modules"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .map(|path| stem(&path))
        .filter(|name| !["fault", "fields", "given", "mod"].contains(&name.as_str()))
        .collect();
    assert_eq!(files, listed());
}

#[test]
fn every_example_is_accepted() {
    for entry in modules::all() {
        if let Err(why) = examples::check(entry) {
            panic!("the example of `{}`: {why}\n{}", entry.name, entry.example);
        }
    }
}

#[test]
fn a_parameter_that_does_not_exist_is_refused() {
    for entry in modules::all() {
        let params = serde_json::json!({ "no_such_parameter": 1 });
        assert!((entry.prepare)(&params).is_err(), "{}", entry.name);
    }
}

fn listed() -> BTreeSet<String> {
    modules::all().iter().map(|e| e.name.to_owned()).collect()
}

/// `module/case` and the file that holds it.
fn all_cases() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for folder in entries(&root().join("tests/modules")) {
        for path in entries(&folder) {
            found.push((format!("{}/{}", stem(&folder), stem(&path)), path));
        }
    }
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}
