//! A part of a text that is evaluated by itself, and where it stands.

use super::check::{Condition, condition};
use super::engine::{self, Form};
use super::fault::Fault;
use crate::source::{Node, Problem, Span, Yaml};

/// All of a text, or the expression between its only braces.
#[derive(Debug, Clone)]
pub struct Piece<'t> {
    pub part: &'t str,
    pub form: Form,
    /// The text that stands at `span`, and the byte of it where the part starts.
    whole: &'t str,
    start: usize,
    span: &'t Span,
}

impl<'t> Piece<'t> {
    /// A text that may be one expression.
    pub fn of(whole: &'t str, span: &'t Span) -> Self {
        match engine::sole_expression(whole) {
            Some((part, start)) => Self {
                part,
                form: Form::Expression,
                whole,
                start,
                span,
            },
            None => Self::text(whole, span),
        }
    }

    /// Words with templates among them.
    pub fn text(whole: &'t str, span: &'t Span) -> Self {
        Self {
            part: whole,
            form: Form::Text,
            whole,
            start: 0,
            span,
        }
    }

    /// An expression without braces.
    pub fn condition(whole: &'t str, span: &'t Span) -> Self {
        Self {
            form: Form::Expression,
            ..Self::text(whole, span)
        }
    }

    pub fn problem(&self, mut fault: Fault) -> Problem {
        fault.range = fault
            .range
            .map(|r| r.start + self.start..r.end + self.start);
        fault.problem(self.whole, self.span)
    }
}

/// Every part of a node that is evaluated, however deep.
pub fn pieces(node: &Node) -> Vec<Piece<'_>> {
    if node.tag.as_deref() == Some("unsafe") {
        return vec![];
    }
    match &node.value {
        Yaml::Text(text) if engine::has_marks(text) => vec![Piece::of(text, &node.span)],
        Yaml::List(items) => items.iter().flat_map(pieces).collect(),
        Yaml::Map(map) => map.entries.iter().flat_map(|e| pieces(&e.value)).collect(),
        _ => vec![],
    }
}

/// What a condition evaluates, if it is no plain boolean.
pub fn of_condition(node: &Node) -> Option<Piece<'_>> {
    match condition(node) {
        Ok(Condition::Expression(text)) => Some(Piece::condition(text, &node.span)),
        _ => None,
    }
}
