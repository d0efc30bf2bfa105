//! An inventory in YAML: groups, each with `hosts`, `children` and `vars`.

use super::draft::Draft;
use crate::source::{Entry, File, Mapping, Node, Problem, Span, Yaml, nearest, parse};
use std::sync::Arc;

const SECTIONS: [&str; 3] = ["hosts", "children", "vars"];

pub fn read(file: &Arc<File>, draft: &mut Draft) {
    let Some(node) = draft.problems.take(parse(file)) else {
        return;
    };
    match &node.value {
        Yaml::Map(map) if map.get("plugin").is_some_and(|p| p.as_text().is_some()) => {
            draft.problems.push(plugin(map));
        }
        Yaml::Map(map) => map.entries.iter().for_each(|entry| top(entry, draft)),
        Yaml::Null => draft.problems.push(
            Problem::new(format!("{} is an empty inventory", file.name))
                .help("name hosts: `all: {hosts: {web1: {ansible_host: 10.0.0.1}}}`"),
        ),
        _ => draft.problems.push(
            Problem::new(format!(
                "an inventory is a mapping of groups, this is {}",
                node.kind()
            ))
            .at(&node.span)
            .help("start with `all:` and put `hosts:` below it"),
        ),
    }
}

fn plugin(map: &Mapping) -> Problem {
    let problem = Problem::new("inventory plugins are not supported yet");
    let problem = match map.entry("plugin") {
        Some(entry) => problem.at(&entry.key_span),
        None => problem,
    };
    problem.help("save what `ansible-inventory --list --yaml --export` prints and use that file")
}

fn top(entry: &Entry, draft: &mut Draft) {
    if SECTIONS.contains(&entry.key.as_str()) {
        draft.problems.push(
            Problem::new(format!("`{}` stands outside of a group", entry.key))
                .at(&entry.key_span)
                .because("the top level names groups")
                .help("put `all:` above it and indent it"),
        );
    } else {
        group(entry, draft);
    }
}

fn group(entry: &Entry, draft: &mut Draft) {
    let name = &entry.key;
    draft.group(name, &entry.key_span);
    match &entry.value.value {
        Yaml::Null => {}
        Yaml::Map(map) => map
            .entries
            .iter()
            .for_each(|part| section(name, part, draft)),
        _ => draft.problems.push(
            expected(&entry.value, &format!("group `{name}`"), "a mapping")
                .help("give it `hosts`, `children` or `vars`"),
        ),
    }
}

fn section(group: &str, part: &Entry, draft: &mut Draft) {
    match part.key.as_str() {
        "hosts" => hosts(group, &part.value, draft),
        "children" => children(group, &part.value, draft),
        "vars" => variables(group, &part.value, draft),
        _ => draft.problems.push(unknown(group, part)),
    }
}

fn unknown(group: &str, part: &Entry) -> Problem {
    let problem = Problem::new(format!("group `{group}` cannot hold `{}`", part.key))
        .at(&part.key_span)
        .because("a group holds `hosts`, `children` and `vars`");
    match nearest(&part.key, SECTIONS) {
        Some(meant) => problem.help(format!("did you mean `{meant}`?")),
        None => problem.help(format!(
            "a group inside a group stands under `children`, a variable under `vars`, a host under `hosts`: write `{}` there",
            part.key
        )),
    }
}

fn hosts(group: &str, value: &Node, draft: &mut Draft) {
    for (name, span, variables) in named(group, "hosts", value, draft) {
        let names = draft.hosts(name, group, span);
        host_variables(&names, variables, draft);
    }
}

fn host_variables(names: &[String], variables: Option<&Node>, draft: &mut Draft) {
    let Some(node) = variables else { return };
    let map = match &node.value {
        Yaml::Null => return,
        Yaml::Map(map) => map,
        _ => {
            let problem = expected(node, "a host", "a mapping of its variables");
            draft
                .problems
                .push(problem.help("write `web1: {ansible_host: 10.0.0.1}`"));
            return;
        }
    };
    for host in names {
        for entry in &map.entries {
            draft.host_variable(host, entry);
        }
    }
}

fn children(parent: &str, value: &Node, draft: &mut Draft) {
    let Yaml::Map(map) = &value.value else {
        for (child, span, _) in named(parent, "children", value, draft) {
            draft.group(child, span);
            draft.link(parent, child, span);
        }
        return;
    };
    for entry in &map.entries {
        group(entry, draft);
        draft.link(parent, &entry.key, &entry.key_span);
    }
}

fn variables(group: &str, value: &Node, draft: &mut Draft) {
    match &value.value {
        Yaml::Null => {}
        Yaml::Map(map) => {
            for entry in &map.entries {
                draft.group_variable(group, entry);
            }
        }
        _ => {
            let problem = expected(value, &format!("`vars` of group `{group}`"), "a mapping");
            draft
                .problems
                .push(problem.help("write each variable as `name: value`"));
        }
    }
}

/// The names of a section, each with its place and what is said about it. One name alone may be text.
fn named<'n>(
    group: &str,
    section: &str,
    value: &'n Node,
    draft: &mut Draft,
) -> Vec<(&'n str, &'n Span, Option<&'n Node>)> {
    match &value.value {
        Yaml::Null => Vec::new(),
        Yaml::Text(name) => vec![(name, &value.span, None)],
        Yaml::Map(map) => map
            .entries
            .iter()
            .map(|e| (e.key.as_str(), &e.key_span, Some(&e.value)))
            .collect(),
        _ => {
            let what = format!("`{section}` of group `{group}`");
            let problem = expected(value, &what, "a mapping");
            draft
                .problems
                .push(problem.help("write each name as a key, `web1:` instead of `- web1`"));
            Vec::new()
        }
    }
}

fn expected(node: &Node, what: &str, kind: &str) -> Problem {
    Problem::new(format!("{what} must be {kind}, this is {}", node.kind())).at(&node.span)
}
