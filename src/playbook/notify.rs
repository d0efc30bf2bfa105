//! Handlers have names of their own, and whoever notifies one must find it.

use super::read::literal;
use super::task::walk;
use super::{Play, Task};
use crate::source::{Problem, Problems, nearest};
use std::collections::HashMap;

pub fn check(play: &Play, problems: &mut Problems) {
    let handlers = &play.handlers;
    unique(handlers, problems);
    let names = names(handlers);
    let mut visit = |task: &Task| unheard(task, &names, problems);
    for section in &play.sections {
        walk(&section.tasks, &mut visit);
    }
    walk(handlers, &mut visit);
    for task in play.sections.iter().flat_map(|s| &s.tasks) {
        let included = task.role.iter().flat_map(|role| role.task_files.values());
        included.for_each(|tasks| walk(tasks, &mut visit));
    }
}

fn unique(handlers: &[Task], problems: &mut Problems) {
    let mut first: HashMap<&str, &Task> = HashMap::new();
    for handler in handlers {
        let Some(name) = handler.name.as_ref() else {
            if handler.listen.is_empty() {
                problems.push(
                    Problem::new("nobody can notify a handler without a name")
                        .at(&handler.span)
                        .help("add `name:`"),
                );
            }
            continue;
        };
        let Some(text) = literal(name) else {
            problems.push(
                Problem::new("a handler's name is plain text")
                    .at(&name.span)
                    .help("it is matched with `notify` before any variable is known"),
            );
            continue;
        };
        if let Some(other) = first
            .insert(text, handler)
            .and_then(|other| other.name.as_ref())
        {
            problems.push(
                Problem::new(format!("two handlers of the play are called `{text}`"))
                    .at(&name.span)
                    .also(&other.span, "the other one")
                    .help("give each a name of its own; with `listen` several can hear one name"),
            );
        }
    }
}

/// What can be notified: names, `role : name`, and the topics handlers listen to.
fn names(handlers: &[Task]) -> Vec<String> {
    let mut names = vec![];
    for handler in handlers {
        names.extend(handler.listen.iter().cloned());
        if let Some(name) = handler.name.as_ref().and_then(literal) {
            names.push(name.to_owned());
            names.extend(
                handler
                    .role
                    .iter()
                    .map(|role| format!("{} : {name}", role.name)),
            );
        }
    }
    names
}

fn unheard(task: &Task, names: &[String], problems: &mut Problems) {
    for node in &task.notify {
        let Some(name) = node.as_text() else {
            problems.push(
                Problem::new(format!(
                    "`notify` wants the name of a handler, not {}",
                    node.kind()
                ))
                .at(&node.span),
            );
            continue;
        };
        if super::read::is_template(name) || names.iter().any(|known| known == name) {
            continue;
        }
        let problem = Problem::new(format!("the play has no handler `{name}`")).at(&node.span);
        problems.push(match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None if names.is_empty() => problem
                .help("add it to the play's `handlers`, or to the role's `handlers/main.yaml`"),
            None => problem.help(format!(
                "it has {}",
                super::keyword::sorted(names.iter().map(String::as_str)).join(", ")
            )),
        });
    }
}
