//! Reads texts without rendering them, so that a slip in a template is found before anything runs.

use super::engine::{self, Form};
use crate::source::{File, Node, Problem, Problems, Span, Yaml};
use std::sync::Arc;

/// Every text in a node, however deep.
pub fn check_texts(node: &Node, problems: &mut Problems) {
    if node.tag.as_deref() == Some("unsafe") {
        return;
    }
    match &node.value {
        Yaml::Text(text) => check_text(text, &node.span, problems),
        Yaml::List(items) => items.iter().for_each(|item| check_texts(item, problems)),
        Yaml::Map(map) => {
            for entry in &map.entries {
                check_texts(&entry.value, problems);
            }
        }
        _ => {}
    }
}

/// A template file.
pub fn check_template(file: &Arc<File>, problems: &mut Problems) {
    check_text(&file.text, &Span::new(file, 0..file.text.len()), problems);
}

/// What `when`, `until` and their kind take: a boolean, or an expression without braces.
pub fn check_condition(node: &Node, problems: &mut Problems) {
    match condition(node) {
        Err(problem) => problems.push(*problem),
        Ok(Condition::Known(_)) => {}
        Ok(Condition::Expression(text)) => {
            if let Err(fault) = engine::compile(text, Form::Expression) {
                problems.push(fault.problem(text, &node.span));
            }
        }
    }
}

pub(super) enum Condition<'a> {
    Known(bool),
    Expression(&'a str),
}

/// A condition as it is written.
pub(super) fn condition(node: &Node) -> Result<Condition<'_>, Box<Problem>> {
    match &node.value {
        Yaml::Bool(truth) => Ok(Condition::Known(*truth)),
        Yaml::Text(text) if text.contains("{{") || text.contains("{%") => Err(Box::new(
            Problem::new("a condition is an expression already, without braces")
                .at(&node.span)
                .help(format!("write `{}`", without_braces(text))),
        )),
        Yaml::Text(text) => Ok(Condition::Expression(text)),
        _ => Err(Box::new(
            Problem::new(format!("a condition is an expression, not {}", node.kind()))
                .at(&node.span)
                .help("write an expression without braces, such as `inventory_hostname == 'gw-1'`"),
        )),
    }
}

fn without_braces(text: &str) -> String {
    let bare = text.replace("{{", " ").replace("}}", " ");
    bare.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn check_text(text: &str, span: &Span, problems: &mut Problems) {
    if !engine::has_marks(text) {
        return;
    }
    let (part, start, form) = match engine::sole_expression(text) {
        Some((expression, start)) => (expression, start, Form::Expression),
        None => (text, 0, Form::Text),
    };
    if let Err(mut fault) = engine::compile(part, form) {
        fault.range = fault.range.map(|r| r.start + start..r.end + start);
        problems.push(fault.problem(text, span));
    }
}
