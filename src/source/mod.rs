//! What people wrote, with positions: files, spans, YAML nodes, and problems that point at them.
//!
//! Every room that reads files speaks through here, so that all mistakes of a file come
//! out together, each with file, line, column, the text, a reason and a fix.

mod library;
mod loader;
mod nearest;
mod problem;
mod scalar;
mod syntax;
mod toml;
mod yaml;

pub use library::{Bytes, Library, read};
pub use nearest::nearest;
pub use problem::{Problem, Problems, Result};
pub use syntax::forbidden;
pub use toml::parse_toml;
pub use yaml::{Entry, Mapping, Node, Yaml, parse, parse_documents};

use std::ops::Range;
use std::sync::Arc;

/// A text file as it was read. `name` is what people are shown.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    pub name: String,
    pub text: String,
}

impl File {
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            text: text.into(),
        })
    }
}

/// A place in a file, in bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Span {
    pub file: Arc<File>,
    pub range: Range<usize>,
}

impl Span {
    pub fn new(file: &Arc<File>, range: Range<usize>) -> Self {
        Self {
            file: Arc::clone(file),
            range,
        }
    }

    /// Counted from 1.
    pub fn line(&self) -> usize {
        self.before().matches('\n').count() + 1
    }

    /// Counted from 1, in characters.
    pub fn column(&self) -> usize {
        let before = self.before();
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        before[start..].chars().count() + 1
    }

    /// `file:line:column`.
    pub fn place(&self) -> String {
        format!("{}:{}:{}", self.file.name, self.line(), self.column())
    }

    fn before(&self) -> &str {
        let mut end = self.range.start.min(self.file.text.len());
        while !self.file.text.is_char_boundary(end) {
            end -= 1;
        }
        &self.file.text[..end]
    }
}

impl std::fmt::Debug for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.place())
    }
}
