//! `group_vars/` and `host_vars/` beside an inventory: one file per name, or a folder of files.

use super::Inventory;
use super::draft::variables;
use super::sources::refuse_vault;
use crate::source::{File, Node, Problem, Problems, Result, Yaml, parse, read};
use crate::vars::Layer;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const ENDINGS: [&str; 3] = ["yml", "yaml", "json"];

/// Adds what the folders say to every group and host. A later folder is stronger.
pub fn load(inventory: &mut Inventory, folders: &[PathBuf], problems: &mut Problems) {
    for (rank, folder) in folders.iter().enumerate() {
        let names = folder.join("group_vars");
        for group in inventory.groups.values_mut() {
            let layers = layers_of(&names, &group.name, problems);
            refuse_priority(&layers, problems);
            group
                .files
                .extend(layers.into_iter().map(|layer| (rank, layer)));
        }
        let names = folder.join("host_vars");
        for host in inventory.hosts.values_mut() {
            let layers = layers_of(&names, &host.name, problems);
            host.files
                .extend(layers.into_iter().map(|layer| (rank, layer)));
        }
    }
}

fn layers_of(folder: &Path, name: &str, problems: &mut Problems) -> Vec<Arc<Layer>> {
    if !folder.is_dir() {
        return Vec::new();
    }
    let found = problems.take(files_of(folder, name)).unwrap_or_default();
    found
        .iter()
        .filter_map(|path| problems.take(layer(path)).flatten())
        .map(Arc::new)
        .collect()
}

/// The files that speak for a name. Ansible silently takes the first of several; nobody means that.
fn files_of(folder: &Path, name: &str) -> Result<Vec<PathBuf>> {
    let endings = ENDINGS.map(|ending| format!("{name}.{ending}"));
    let mut found = std::iter::once(name.to_owned())
        .chain(endings)
        .map(|file| folder.join(file))
        .filter(|path| path.exists());
    let Some(first) = found.next() else {
        return Ok(Vec::new());
    };
    if let Some(second) = found.next() {
        let (first, second) = (first.display(), second.display());
        return Err(Problem::new(format!("both {first} and {second} exist"))
            .help(format!(
                "Ansible reads {first} only; merge them, or move both into a folder"
            ))
            .into());
    }
    if first.is_dir() {
        files_in(&first)
    } else {
        Ok(vec![first])
    }
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in super::sources::entries(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let ending = path.extension().map(|e| e.to_string_lossy().into_owned());
        if path.is_dir() && ending.is_none() {
            found.extend(files_in(&path)?);
        } else if path.is_file() && ending.is_none_or(|e| ENDINGS.contains(&e.as_str())) {
            found.push(path);
        }
    }
    Ok(found)
}

fn layer(path: &Path) -> Result<Option<Layer>> {
    let file = read(path)?;
    refuse_vault(&file)?;
    let node = parse(&file)?;
    match &node.value {
        Yaml::Null => Ok(None),
        Yaml::Map(map) => {
            let mut problems = Problems::new();
            let mut layer = Layer::new(file.name.clone());
            layer.variables = variables(map, &mut problems);
            problems.or(Some(layer))
        }
        _ => Err(not_variables(&file, &node).into()),
    }
}

fn not_variables(file: &Arc<File>, node: &Node) -> Problem {
    Problem::new(format!(
        "{} must be a mapping of variables, this is {}",
        file.name,
        node.kind()
    ))
    .at(&node.span)
    .help("write each variable as `name: value`")
}

/// Ansible reads the priority in the inventory itself only.
fn refuse_priority(layers: &[Arc<Layer>], problems: &mut Problems) {
    for layer in layers {
        if let Some(crate::vars::Variable::Written(node)) =
            layer.variables.get("ansible_group_priority")
        {
            problems.push(
                Problem::new("`ansible_group_priority` has no effect in group_vars")
                    .at(&node.span)
                    .help("set it under the group's `vars` in the inventory"),
            );
        }
    }
}
