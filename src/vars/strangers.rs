//! Names that nobody can define, in texts that wait for a result: they cannot be evaluated yet, and what they name
//! can be looked up all the same.

use super::engine::{self, Form};
use super::fault::Fault;
use super::piece::{Piece, of_condition, pieces};
use super::reading::{Path, paths, tags, words};
use super::scope::Miss;
use super::{Scope, Variable};
use crate::source::{File, Node, Problem, Span};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Something that is evaluated.
#[derive(Debug, Clone)]
pub enum Text<'a> {
    /// A value with templates in it.
    Words(&'a Node),
    Condition(&'a Node),
    /// A template file, as a whole.
    Template(Span),
}

impl Text<'_> {
    pub fn template(file: &Arc<File>) -> Self {
        Self::Template(Span::new(file, 0..file.text.len()))
    }

    fn pieces(&self) -> Vec<Piece<'_>> {
        match self {
            Self::Words(node) => pieces(node),
            Self::Condition(node) => of_condition(node).into_iter().collect(),
            Self::Template(span) => vec![Piece::text(&span.file.text, span)],
        }
    }
}

impl Scope<'_> {
    /// Each name in the texts that is not defined and will not be, and each whose value is a mistake. A name that
    /// one of the texts, or of those `beside` them, asks after (`is defined`, `default`) may be absent.
    pub fn strangers(&self, texts: &[Text<'_>], beside: &[Text<'_>]) -> Vec<Problem> {
        let mut looked = Looked {
            scope: self,
            may_be_absent: BTreeSet::new(),
            seen: BTreeSet::new(),
            found: vec![],
        };
        for piece in texts.iter().chain(beside).flat_map(Text::pieces) {
            looked.allow(&piece);
        }
        for piece in texts.iter().flat_map(Text::pieces) {
            looked.look(&piece);
        }
        looked.found
    }

    /// Every word that the texts use, and that the variables use to which they lead.
    pub fn reach(&self, texts: &[Text<'_>]) -> BTreeSet<String> {
        let parts = texts.iter().flat_map(Text::pieces);
        self.reach_of(parts.map(|piece| (piece.part, piece.form)).collect())
    }

    pub(super) fn reach_of<'t>(&'t self, mut waiting: Vec<(&'t str, Form)>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        while let Some((part, form)) = waiting.pop() {
            for tag in tags(part, form) {
                let text = &part[tag];
                for word in words(text).into_iter().map(|word| &text[word]) {
                    if found.insert(word.to_owned())
                        && let Some(Variable::Written(node)) = self.ladder.get(word)
                    {
                        waiting.extend(pieces(node).iter().map(|p| (p.part, p.form)));
                    }
                }
            }
        }
        found
    }
}

struct Looked<'s, 'l> {
    scope: &'s Scope<'l>,
    may_be_absent: BTreeSet<String>,
    /// Variables that were looked into.
    seen: BTreeSet<String>,
    found: Vec<Problem>,
}

impl Looked<'_, '_> {
    fn allow(&mut self, piece: &Piece<'_>) {
        let may = paths(piece.part, piece.form)
            .into_iter()
            .filter(|path| path.may_be_absent);
        self.may_be_absent
            .extend(may.map(|path| piece.part[path.name].to_owned()));
    }

    fn look(&mut self, piece: &Piece<'_>) {
        let compiled = match engine::compile(piece.part, piece.form) {
            Ok(compiled) => compiled,
            Err(fault) => return self.found.push(piece.problem(*fault)),
        };
        let uses = paths(piece.part, piece.form);
        for name in &compiled.names {
            let is_use = |path: &&Path| &piece.part[path.name.clone()] == name;
            let Some(path) = uses.iter().find(is_use) else {
                continue;
            };
            let may_be_absent = self.may_be_absent.contains(name);
            match self.scope.variable(name) {
                Some(Ok(_)) => {}
                Some(Err(Miss::Wrong(problem))) => self.found.push(*problem),
                _ if may_be_absent => {}
                Some(Err(Miss::Absent(problem))) => self.found.push(*problem),
                Some(Err(Miss::Pending { .. })) => self.look_into(name),
                None => self.miss(piece, path),
            }
        }
    }

    /// A variable that waits for a result itself.
    fn look_into(&mut self, name: &str) {
        if !self.seen.insert(name.to_owned()) {
            return;
        }
        if let Some(Variable::Written(node)) = self.scope.ladder.get(name) {
            for piece in pieces(node) {
                self.allow(&piece);
                self.look(&piece);
            }
        }
    }

    fn miss(&mut self, piece: &Piece<'_>, path: &Path) {
        let fault = Fault::missing(piece.part, path.name.start);
        match self.scope.complain(fault, piece) {
            Miss::Absent(problem) | Miss::Wrong(problem) => self.found.push(*problem),
            Miss::Pending { .. } => {}
        }
    }
}
