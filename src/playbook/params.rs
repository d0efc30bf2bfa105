//! A module's parameters as a task writes them: the mapping form, or one line of a command.

use super::read::{Reader, is_template, literal};
use super::task::Around;
use crate::modules::{self, Brings, Fault, Part};
use crate::source::{Entry, Mapping, Node, Problem, Yaml, nearest};

/// Parameters that the controller takes away before the step is sent.
const fn brought(brings: Brings) -> &'static [&'static str] {
    match brings {
        Brings::Nothing => &[],
        Brings::Template => &["src"],
        Brings::File => &["content", "remote_src", "src"],
        Brings::Files => &["files"],
        Brings::Member => &["member", "pack"],
        Brings::Value => &["var"],
    }
}

/// Parameters that the controller alone fills in.
fn is_ours(module: &modules::Entry, name: &str) -> bool {
    match module.brings {
        Brings::Nothing => false,
        Brings::Template | Brings::Member => name == "content",
        Brings::File => name == "tree",
        Brings::Files => false,
        Brings::Value => name == "value",
    }
}

/// What a task may give a module, in the order of its manual.
pub fn names(module: &modules::Entry) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    let own = (module.parameters)().iter();
    for name in own.chain(brought(module.brings)).copied() {
        if !is_ours(module, name) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The parameters of one call, as a mapping. `args` are added to those of the module's key.
pub fn read(
    reader: &mut Reader,
    call: &Entry,
    args: Option<&Entry>,
    module: &modules::Entry,
    around: &Around,
) -> Node {
    let known = reader.problems.len();
    let mut map = written(reader, call, module);
    for entry in args
        .and_then(|a| reader.map(&a.value, "`args`", "write `chdir: /opt`"))
        .map_or(&[][..], |m| &m.entries)
    {
        map.entries.push(entry.clone());
    }
    known_names(reader, &map, module);
    quoted_mode(reader, &map);
    templates_exist(reader, &map, module, around);
    let node = Node {
        value: Yaml::Map(map),
        span: call.value.span.clone(),
        tag: None,
    };
    if reader.problems.len() == known {
        plain_values(reader, &node, module);
    }
    node
}

/// What is written in plain words can be judged now, whether or not the task will ever run.
fn plain_values(reader: &mut Reader, written: &Node, module: &modules::Entry) {
    if !is_plain(written) || matches!(module.brings, Brings::Files | Brings::Member) {
        return;
    }
    let mut params = written.to_value();
    if let Some(params) = params.as_object_mut() {
        params.retain(|_, value| !value.is_null());
    }
    let faults = (module.prepare)(&params).err().unwrap_or_default();
    for fault in faults.0 {
        reader.problems.push(refused(module, written, &fault));
    }
}

fn is_plain(node: &Node) -> bool {
    let value = match &node.value {
        Yaml::Text(text) => !is_template(text),
        Yaml::List(items) => items.iter().all(is_plain),
        Yaml::Map(map) => map.entries.iter().all(|entry| is_plain(&entry.value)),
        _ => true,
    };
    value && node.tag.is_none()
}

/// A mistake among parameters, at its place in the task.
pub fn refused(module: &modules::Entry, written: &Node, fault: &Fault) -> Problem {
    let choices = fault.choices.iter().map(String::as_str);
    let help = match (nearest(fault.word(), choices), &fault.help) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, Some(help)) => help.clone(),
        (None, None) => format!(
            "`apim-deploy modules {}` shows its parameters and an example",
            module.name
        ),
    };
    Problem::new(fault.said(module.name))
        .at(&place_of(written, &fault.path).span)
        .because(fault.reason.as_str())
        .help(help)
}

/// As deep as the task itself goes; a template may give more.
fn place_of<'n>(written: &'n Node, path: &[Part]) -> &'n Node {
    let mut node = written;
    for part in path {
        let inner = match part {
            Part::Key(key) => node.as_map().and_then(|map| map.get(key)),
            Part::At(at) => node.as_list().and_then(|list| list.get(*at)),
        };
        match inner {
            Some(inner) => node = inner,
            None => break,
        }
    }
    node
}

fn written(reader: &mut Reader, call: &Entry, module: &modules::Entry) -> Mapping {
    match &call.value.value {
        Yaml::Map(map) => return map.clone(),
        Yaml::Null => {}
        Yaml::Text(_) if (module.parameters)().contains(&"cmd") => return as_cmd(call),
        Yaml::Text(line) => reader.wrong(
            &call.value.span,
            format!("`{}` wants its parameters as a mapping", module.name),
            mapping_form(line),
        ),
        _ => reader.wrong(
            &call.value.span,
            format!(
                "`{}` wants a mapping of parameters, not {}",
                module.name,
                call.value.kind()
            ),
            format!("for example\n{}", module.example.trim_end()),
        ),
    }
    Mapping::default()
}

/// `command: echo hi` is `command: { cmd: echo hi }`.
fn as_cmd(call: &Entry) -> Mapping {
    let cmd = Entry {
        key: "cmd".to_owned(),
        key_span: call.key_span.clone(),
        value: call.value.clone(),
    };
    Mapping { entries: vec![cmd] }
}

/// `src=a dest=b` as it should be written.
fn mapping_form(line: &str) -> String {
    let pairs: Vec<String> = line
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .map(|(key, value)| format!("{key}: {value}"))
        .collect();
    match pairs.is_empty() {
        true => "write each parameter on a line of its own, as `name: value`".to_owned(),
        false => format!(
            "write `{{ {} }}`, or each on a line of its own",
            pairs.join(", ")
        ),
    }
}

fn known_names(reader: &mut Reader, map: &Mapping, module: &modules::Entry) {
    let names = names(module);
    let known = || names.iter().copied();
    for entry in &map.entries {
        if names.contains(&entry.key.as_str()) {
            continue;
        }
        let problem = Problem::new(format!(
            "`{}` has no parameter `{}`",
            module.name, entry.key
        ))
        .at(&entry.key_span);
        reader.problems.push(match nearest(&entry.key, known()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!(
                "it takes {}",
                super::keyword::sorted(known()).join(", ")
            )),
        });
    }
}

/// YAML reads `644` as a number, and as a number it means other permissions.
fn quoted_mode(reader: &mut Reader, map: &Mapping) {
    for entry in map
        .entries
        .iter()
        .filter(|e| e.key == "mode" || e.key == "directory_mode")
    {
        let Yaml::Int(number) = entry.value.value else {
            continue;
        };
        let span = &entry.value.span;
        let written = span.file.text.get(span.range.clone()).unwrap_or_default();
        let digits = written.trim_start_matches("0o").trim_start_matches('0');
        reader.problems.push(
            Problem::new(format!("`{}` is text, not a number", entry.key))
                .at(span)
                .because(format!(
                    "YAML reads {number}, which as permissions is {number:04o}"
                ))
                .help(format!("write `{}: \"0{digits}\"`", entry.key)),
        );
    }
}

/// A template that is named in plain words must be in the role.
fn templates_exist(reader: &mut Reader, map: &Mapping, module: &modules::Entry, around: &Around) {
    let Some(templates) = around.templates else {
        return;
    };
    let named: Vec<&Node> = match module.brings {
        Brings::Template => map.get("src").into_iter().collect(),
        Brings::Files => {
            let files = map.get("files").and_then(Node::as_list).unwrap_or_default();
            files
                .iter()
                .filter_map(|file| file.as_map()?.get("template"))
                .collect()
        }
        _ => vec![],
    };
    for node in named {
        let Some(name) = literal(node).filter(|name| !templates.contains_key(*name)) else {
            continue;
        };
        let problem = Problem::new(format!("the role has no template `{name}`")).at(&node.span);
        reader
            .problems
            .push(match nearest(name, templates.keys().map(String::as_str)) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(format!("put it into the role's `templates/{name}`")),
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Kind;
    use crate::source::{File, parse};
    use std::collections::BTreeMap;

    fn module(brings: Brings) -> modules::Entry {
        modules::Entry {
            name: "put",
            kind: Kind::State,
            about: "",
            example: "put:\n  dest: /a\n",
            brings,
            parameters: || &["cmd", "dest", "mode"],
            prepare: |_| Err(modules::Faults::default()),
        }
    }

    fn problems(yaml: &str, brings: Brings) -> String {
        let file = File::new("task.yaml", yaml);
        let node = parse(&file).unwrap();
        let mut reader = Reader::default();
        let templates = BTreeMap::from([("a.conf".to_owned(), File::new("a.conf", ""))]);
        let around = Around {
            templates: Some(&templates),
            ..Around::default()
        };
        let map = node.as_map().unwrap();
        read(
            &mut reader,
            &map.entries[0],
            map.entry("args"),
            &module(brings),
            &around,
        );
        reader.problems.render(false)
    }

    #[test]
    fn one_line_is_the_command() {
        assert_eq!(
            problems("put: echo hi\nargs: {dest: /a}\n", Brings::Nothing),
            "\n"
        );
    }

    #[test]
    fn what_the_controller_brings_is_known() {
        assert_eq!(
            problems("put: {src: a.conf, dest: /a}\n", Brings::Template),
            "\n"
        );
        assert!(problems("put: {src: a.conf}\n", Brings::Nothing).contains("no parameter `src`"));
    }

    #[test]
    fn a_template_must_be_in_the_role() {
        assert!(
            problems("put: {src: b.conf}\n", Brings::Template).contains("did you mean `a.conf`?")
        );
        assert_eq!(
            problems("put: {src: '{{ x }}.conf'}\n", Brings::Template),
            "\n"
        );
    }

    #[test]
    fn a_mode_is_quoted() {
        let shown = problems("put: {mode: 644}\n", Brings::Nothing);
        assert!(
            shown.contains("YAML reads 644, which as permissions is 1204"),
            "{shown}"
        );
        assert!(shown.contains("write `mode: \"0644\"`"), "{shown}");
        assert_eq!(problems("put: {mode: '0644'}\n", Brings::Nothing), "\n");
    }

    #[test]
    fn pairs_on_a_line_are_answered_with_the_mapping() {
        assert_eq!(
            mapping_form("src=a dest=/b"),
            "write `{ src: a, dest: /b }`, or each on a line of its own"
        );
    }
}
