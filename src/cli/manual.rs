//! The manual of the kinds of task, made from the modules themselves.

use crate::modules::{self, Entry, Kind};
use crate::playbook;
use crate::source::{Problem, nearest};
use std::fmt::Write as _;

/// What the controller does itself; everything else is a module.
const OWN: &[(&str, &str, &str)] = &[
    (
        "import_tasks",
        "the tasks of a file in this place, read before the run",
        "import_tasks: install.yaml",
    ),
    (
        "include_tasks",
        "the tasks of a file of the role, chosen during the run",
        "include_tasks: \"{{ engine }}.yaml\"",
    ),
    (
        "meta",
        "`flush_handlers`: handlers that are due run here",
        "meta: flush_handlers",
    ),
];

/// Columns of a terminal.
const WIDTH: usize = 80;

/// Every kind of task, a line each.
pub fn list() -> String {
    let modules = modules::all().iter().map(|m| (m.name, m.about));
    let own = OWN.iter().map(|(name, about, _)| (*name, *about));
    let mut all: Vec<_> = modules.chain(own).collect();
    all.sort_unstable();
    let width = all.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, about) in all {
        let _ = writeln!(text, "{name:<width$}  {about}");
    }
    text.push_str("\n`apim-deploy modules NAME` shows parameters and an example.\n");
    text
}

/// One kind of task: what it is, what it takes, how it is written.
pub fn page(name: &str) -> Result<String, Problem> {
    let short = name.strip_prefix("ansible.builtin.").unwrap_or(name);
    if let Some((name, about, example)) = OWN.iter().find(|(own, ..)| *own == short) {
        let example = task(name, example);
        return Ok(format!("{name}: {about}\n\nExample:\n{example}"));
    }
    let module = modules::find(name).ok_or_else(|| unknown(name))?;
    Ok(format!(
        "{}: {}\n\n{}\n\nParameters:\n{}\n\nExample:\n{}",
        module.name,
        module.about,
        manners(module.kind),
        wrapped(&parameters(module)),
        task(module.name, module.example)
    ))
}

fn unknown(name: &str) -> Problem {
    let known = modules::all().iter().map(|m| m.name);
    let known = known.chain(OWN.iter().map(|(own, ..)| *own));
    let problem = Problem::new(format!("there is no module `{name}`"));
    match nearest(name, known) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help("`apim-deploy modules` lists them"),
    }
}

/// What a run does with such a step, and a check.
fn manners(kind: Kind) -> &'static str {
    match kind {
        Kind::State => "Looks, changes what differs, and looks again. With --check it only looks.",
        Kind::Action => {
            "Acts each time, unless one of its parameters finds nothing to do. With --check it\n\
             says what it would do."
        }
        Kind::Probe => "Waits until something holds; changes nothing. With --check it is skipped.",
        Kind::Look => "Looks and changes nothing, also with --check.",
    }
}

fn parameters(module: &Entry) -> Vec<&'static str> {
    match module.name {
        "assert" => vec!["that", "fail_msg", "msg", "success_msg", "quiet"],
        "set_fact" => vec!["names of variables"],
        _ => playbook::parameters(module),
    }
}

/// Names with commas, broken into lines.
fn wrapped(names: &[&str]) -> String {
    let mut lines = vec![String::from(" ")];
    for (at, name) in names.iter().enumerate() {
        let comma = if at + 1 < names.len() { "," } else { "" };
        let line = lines.last_mut();
        match line {
            Some(line) if line.len() + name.len() + 2 <= WIDTH => {
                let _ = write!(line, " {name}{comma}");
            }
            _ => lines.push(format!("  {name}{comma}")),
        }
    }
    lines.join("\n")
}

/// The example as a task of a playbook.
fn task(name: &str, example: &str) -> String {
    let mut text = format!("  - name: An example of {name}\n");
    for line in example.trim_end().lines() {
        let _ = writeln!(text, "    {line}");
    }
    text
}
