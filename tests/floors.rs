//! Imports point down: holds the table of `src/lib.rs`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms it may import. A room may always import itself.
const MAY: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    (
        "cli",
        &[
            "event",
            "exit",
            "inventory",
            "modules",
            "plan",
            "playbook",
            "report",
            "rules",
            "run",
            "source",
            "ssh",
            "worker",
        ],
    ),
    ("exit", &["event"]),
    (
        "run",
        &[
            "event",
            "inventory",
            "plan",
            "playbook",
            "rollout",
            "rules",
            "source",
            "ssh",
            "system",
            "vars",
            "wire",
        ],
    ),
    ("report", &["event", "wire"]),
    (
        "rules",
        &["event", "inventory", "plan", "source", "vars", "wire"],
    ),
    (
        "plan",
        &["inventory", "modules", "playbook", "source", "vars", "wire"],
    ),
    ("rollout", &[]),
    ("ssh", &["system", "wire"]),
    ("inventory", &["source", "vars"]),
    ("playbook", &["modules", "source", "vars"]),
    ("vars", &["source"]),
    ("worker", &["modules", "system", "wire"]),
    ("modules", &["system", "wire"]),
    ("source", &[]),
    ("system", &["wire"]),
    ("event", &["wire"]),
    ("wire", &[]),
];

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    for file in rust_files(Path::new("src")) {
        let room = room_of(&file);
        if room == "lib" {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let Some((_, may)) = MAY.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!("{}: room `{room}` has no floor", file.display()));
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            for other in imports(line) {
                if other != room && !may.contains(&other) {
                    wrong.push(format!(
                        "{}:{}: `{room}` may not import `{other}`",
                        file.display(),
                        number + 1
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_test_itself_can_see_an_import() {
    let seen: Vec<_> = imports("use crate::run::Options; let x = crate::wire::Step;").collect();
    assert_eq!(seen, ["run", "wire"]);
    assert_eq!(imports("// crate::run is above").count(), 0);
}

/// A rollout is played before it happens, so nothing in it may ask the world.
#[test]
fn a_rollout_is_pure() {
    let impure = [
        "tokio",
        "async ",
        "std::fs",
        "std::io",
        "std::env",
        "std::net",
        "std::process",
        "std::thread",
        "Instant",
        "SystemTime",
        "HashMap",
        "HashSet",
    ];
    for file in rust_files(Path::new("src/rollout")) {
        let text = fs::read_to_string(&file).unwrap();
        for word in impure {
            assert!(!text.contains(word), "{} has {word}", file.display());
        }
    }
}

#[test]
fn only_the_ssh_room_knows_russh() {
    for file in rust_files(Path::new("src")) {
        if room_of(&file) == "ssh" {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let named = text
            .lines()
            .filter(|l| !l.trim_start().starts_with("//"))
            .any(|l| l.contains("russh::"));
        assert!(!named, "{} names russh", file.display());
    }
}

/// The rooms that a line of code reaches.
fn imports(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split("crate::").skip(1).map(|rest| {
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        &rest[..end]
    })
}

fn room_of(file: &Path) -> String {
    let inside = file.strip_prefix("src").unwrap();
    let first = inside.components().next().unwrap();
    let name = Path::new(first.as_os_str());
    name.file_stem().unwrap().to_string_lossy().into_owned()
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}
