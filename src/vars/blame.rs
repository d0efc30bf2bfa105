//! Where the value came from that a text stumbles over. A built-in role that refuses a value can only say so at its
//! own place; whoever wrote the value wants theirs.

use super::engine::Form;
use super::fault::Fault;
use super::piece::Piece;
use super::reading::{paths, words};
use super::secret::is_secret;
use super::{Scope, Variable};
use crate::source::{Node, Problem, Span};
use std::sync::Arc;

/// A longer value says less than its place.
const LONGEST: usize = 40;

impl Scope<'_> {
    /// The variables whose values are to blame: those that the complaint names, and the one at its place.
    pub(super) fn blamed(&self, fault: &Fault, piece: &Piece<'_>) -> Vec<String> {
        if fault.is_absence || fault.is_syntax {
            return fault.key.iter().cloned().collect();
        }
        let message = &fault.message;
        let mut names: Vec<String> = words(message)
            .into_iter()
            .map(|word| message[word].to_owned())
            .filter(|name| name.contains('_'))
            .collect();
        if let Some(range) = &fault.range {
            let path = paths(piece.part, piece.form)
                .into_iter()
                .find(|path| is_at(piece.part, &path.whole(), range));
            names.extend(path.map(|path| piece.part[path.name].to_owned()));
        }
        names
    }

    /// The problem with the places where somebody gave these variables their values. A secret is not shown, only
    /// where it stands.
    pub(super) fn with_origins(&self, mut problem: Problem, names: &[String]) -> Problem {
        for name in names {
            let Some(node) = self.given_by_somebody(name) else {
                continue;
            };
            let is_known = |span: &Span| Some(span) == problem.span.as_ref();
            if is_known(&node.span) || problem.also.iter().any(|(span, _)| *span == node.span) {
                continue;
            }
            if is_fit_to_show(name, &node.span) {
                let label = self.worth(name);
                problem = problem.also(&node.span, label);
            } else if problem.help.is_none() {
                problem = problem.help(format!("`{name}` stands at {}", node.span.place()));
            }
        }
        problem
    }

    /// A problem with a node, with the places where the variables that it uses got their values.
    pub fn traced(&self, problem: Problem, condition: &Node) -> Problem {
        let text = condition.as_text().unwrap_or_default();
        let names: Vec<String> = paths(text, Form::Expression)
            .into_iter()
            .map(|path| text[path.name].to_owned())
            .collect();
        self.with_origins(problem, &names)
    }

    /// Roles' own values are nobody's mistake.
    fn given_by_somebody(&self, name: &str) -> Option<&Node> {
        match self.ladder.find(name)? {
            (layer, Variable::Written(node)) if !layer.origin.starts_with("role ") => Some(node),
            _ => None,
        }
    }

    fn worth(&self, name: &str) -> String {
        let shown = match self.variable(name) {
            Some(Ok(value)) if value.as_map().is_none() && value.as_array().is_none() => {
                Some(value.to_string()).filter(|_| !self.leads_to_a_secret(name))
            }
            _ => None,
        };
        match shown.filter(|text| !text.contains('\n') && text.chars().count() <= LONGEST) {
            Some(text) => format!("`{name}` is `{text}`"),
            None => format!("`{name}` comes from here"),
        }
    }

    /// Whether the value of an expression may be that of a secret.
    pub(super) fn leads_to_a_secret(&self, expression: &str) -> bool {
        let words = self.reach_of(vec![(expression, Form::Expression)]);
        words.iter().any(|word| is_secret(word))
    }

    /// What to do about a name that nobody gave and nothing is like: the comments of a role may explain it.
    pub(super) fn documented(&self, name: &str) -> Option<String> {
        let place = self.ladder.layers.iter().find_map(|layer| {
            let written = layer
                .variables
                .values()
                .find_map(|variable| match variable {
                    Variable::Written(node) if layer.origin.starts_with("role ") => Some(node),
                    _ => None,
                })?;
            comment_on(name, &written.span)
        })?;
        let where_to = match is_secret(name) {
            true => "set it in a file of passwords, given with `-e @FILE`, or in the inventory",
            false => "set it in the inventory",
        };
        Some(format!("{where_to}; {} tells of it", place.place()))
    }
}

/// Whether the path is what the complaint marks, or is handed to the filter that it marks.
fn is_at(text: &str, path: &std::ops::Range<usize>, marked: &std::ops::Range<usize>) -> bool {
    let between = text.get(path.end..marked.start).unwrap_or("?");
    path.contains(&marked.start) || between.trim() == "|"
}

/// The line of a value may hold more than the value.
fn is_fit_to_show(name: &str, span: &Span) -> bool {
    let text = &span.file.text;
    let start = text[..span.range.start.min(text.len())]
        .rfind('\n')
        .map_or(0, |at| at + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let has_secret = || {
        line.split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(is_secret)
    };
    !is_secret(name) && !has_secret()
}

/// The comment of a file that names the variable.
fn comment_on(name: &str, span: &Span) -> Option<Span> {
    let text = &span.file.text;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let is_it = |word: &str| word == name;
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        if line.starts_with('#') && words.any(is_it) {
            let at = start + line.find(name)?;
            return Some(Span::new(&Arc::clone(&span.file), at..at + name.len()));
        }
        start += line.len();
    }
    None
}
