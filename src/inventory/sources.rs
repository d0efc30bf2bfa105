//! Where an inventory comes from: files, folders of files, or a list of names with a comma.

use super::draft::Draft;
use super::{Inventory, clash, group_vars, ini, members, yaml};
use crate::source::{File, Problem, Result, Span, read};
use indexmap::IndexSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Endings a folder's other files have: editors' copies, texts, settings.
const NOT_INVENTORIES: [&str; 11] = [
    "~", ".bak", ".orig", ".cfg", ".retry", ".swp", ".md", ".rst", ".txt", ".pyc", ".pyo",
];

pub fn load(sources: &[PathBuf]) -> Result<Inventory> {
    let Some(first) = sources.first() else {
        return Err(Problem::new("no inventory is given")
            .help("name one with `-i`")
            .into());
    };
    let mut draft = Draft::new(&File::new(first.display().to_string(), ""));
    for source in sources {
        let read = read_source(source, &mut draft);
        draft.problems.take(read);
    }
    draft.settle();
    let mut problems = std::mem::take(&mut draft.problems);
    let mut inventory = Inventory {
        groups_of: members::groups_of(&draft.groups),
        retired: IndexSet::new(),
        leaving: IndexSet::new(),
        hosts: draft.hosts,
        groups: draft.groups,
        dir: absolute(&folder_of(first)),
        file: absolute(first),
    };
    group_vars::load(&mut inventory, &folders(sources), &mut problems);
    clash::check(&inventory, &mut problems);
    if problems.is_empty() && inventory.hosts.is_empty() {
        let name = first.display();
        problems.push(
            Problem::new(format!("{name} names no host"))
                .help("name at least one, such as `web1 ansible_host=10.0.0.1`"),
        );
    }
    problems.or(inventory)
}

fn read_source(source: &Path, draft: &mut Draft) -> Result<()> {
    let name = source.to_string_lossy();
    if source.is_dir() {
        read_folder(source, draft)
    } else if !source.exists() && name.contains(',') {
        read_names(&name, draft);
        Ok(())
    } else {
        read_file(source, draft)
    }
}

fn read_folder(folder: &Path, draft: &mut Draft) -> Result<()> {
    let mut is_empty = true;
    for path in entries(folder)? {
        if is_inventory(&path) {
            is_empty = false;
            let read = read_source(&path, draft);
            draft.problems.take(read);
        }
    }
    if is_empty {
        return Err(
            Problem::new(format!("{} holds no inventory", folder.display()))
                .help("put a file such as `hosts.yaml` into it")
                .into(),
        );
    }
    Ok(())
}

/// What a folder holds, sorted by name.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error: std::io::Error| {
        Problem::new(format!("{} cannot be read: {error}", folder.display()))
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn is_inventory(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !name.starts_with('.')
        && !matches!(&*name, "group_vars" | "host_vars" | "vars_plugins")
        && !NOT_INVENTORIES.iter().any(|ending| name.ends_with(ending))
}

/// `web1,web2,`: hosts named on the command line.
fn read_names(names: &str, draft: &mut Draft) {
    let file = File::new("-i", names);
    let mut at = 0;
    for name in names.split(',') {
        let start = at + name.len() - name.trim_start().len();
        let span = Span::new(&file, start..start + name.trim().len());
        if !name.trim().is_empty() {
            draft.hosts(name.trim(), "ungrouped", &span);
        }
        at += name.len() + 1;
    }
}

fn read_file(path: &Path, draft: &mut Draft) -> Result<()> {
    let file = read(path)?;
    refuse_vault(&file)?;
    refuse_program(&file)?;
    match path.extension().and_then(|e| e.to_str()) {
        Some("yaml" | "yml" | "json") => yaml::read(&file, draft),
        Some("ini") if looks_like_yaml(&file.text) => {
            return Err(
                Problem::new(format!("{} is named INI and written in YAML", file.name))
                    .help("give it a name that ends in `.yaml`")
                    .into(),
            );
        }
        Some("ini") => ini::read(&file, draft),
        Some("toml") => {
            return Err(
                Problem::new(format!("{}: TOML inventories are not supported", file.name))
                    .help("write it as YAML or INI")
                    .into(),
            );
        }
        _ if looks_like_yaml(&file.text) => yaml::read(&file, draft),
        _ => ini::read(&file, draft),
    }
    Ok(())
}

/// A file without a telling name is YAML if its first line is.
fn looks_like_yaml(text: &str) -> bool {
    let first = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    first.is_some_and(|line| {
        let line = line.split(" #").next().unwrap_or(line).trim_end();
        line == "---" || line.starts_with("--- ") || line.starts_with('{') || line.ends_with(':')
    })
}

pub fn refuse_vault(file: &Arc<File>) -> Result<()> {
    if !file.text.starts_with("$ANSIBLE_VAULT") {
        return Ok(());
    }
    Err(Problem::new(format!(
        "{}: vault-encrypted files are not supported yet",
        file.name
    ))
    .help("decrypt it with `ansible-vault decrypt`, and give it with `-e @FILE`")
    .into())
}

/// A program states its interpreter. The file's mode says nothing: shared folders of virtual
/// machines mark every file executable.
fn refuse_program(file: &Arc<File>) -> Result<()> {
    if !file.text.starts_with("#!") {
        return Ok(());
    }
    Err(Problem::new(format!(
        "{}: executable inventories are not supported yet",
        file.name
    ))
    .help("save what `ansible-inventory --list --yaml --export` makes of it and use that file")
    .into())
}

fn folder_of(source: &Path) -> PathBuf {
    if source.is_dir() {
        return source.to_owned();
    }
    match source.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// For templates: what they name may be read from elsewhere.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The folders whose `group_vars` count, each once, at its last place.
fn folders(sources: &[PathBuf]) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for source in sources.iter().filter(|source| source.exists()) {
        let folder = folder_of(source);
        folders.retain(|known| *known != folder);
        folders.push(folder);
    }
    folders
}
