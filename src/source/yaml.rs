//! YAML with a position on every node.

use super::loader::Loader;
use super::problem::start_of;
use super::{File, Problem, Result, Span, syntax};
use std::sync::Arc;

const MAX_BYTES: usize = 16 << 20;

/// A YAML node as written. The span of a quoted text holds its quotes; that of a block text
/// (`|`, `>`) starts at its first line, behind the indentation.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub value: Yaml,
    pub span: Span,
    /// `!vault`, `!unsafe`, ... without the mark.
    pub tag: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Yaml {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Mapping),
}

/// A mapping in the order it was written; keys are text and unique.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mapping {
    pub entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: String,
    pub key_span: Span,
    pub value: Node,
}

impl Mapping {
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|e| &e.value)
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.key == key)
    }
}

impl Node {
    /// The plain value, positions dropped.
    pub fn to_value(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.value {
            Yaml::Null => Value::Null,
            Yaml::Bool(b) => (*b).into(),
            Yaml::Int(i) => (*i).into(),
            Yaml::Float(f) => (*f).into(),
            Yaml::Text(t) => t.as_str().into(),
            Yaml::List(list) => Value::Array(list.iter().map(Node::to_value).collect()),
            Yaml::Map(map) => Value::Object(
                map.entries
                    .iter()
                    .map(|e| (e.key.clone(), e.value.to_value()))
                    .collect(),
            ),
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Yaml::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Mapping> {
        match &self.value {
            Yaml::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Yaml::List(list) => Some(list),
            _ => None,
        }
    }

    /// What kind of value it is, for messages.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Yaml::Null => "nothing",
            Yaml::Bool(_) => "a boolean",
            Yaml::Int(_) | Yaml::Float(_) => "a number",
            Yaml::Text(_) => "text",
            Yaml::List(_) => "a list",
            Yaml::Map(_) => "a mapping",
        }
    }
}

/// Reads a file that holds one document. An empty file is `Null`.
pub fn parse(file: &Arc<File>) -> Result<Node> {
    let mut documents = parse_documents(file)?.into_iter();
    let first = documents.next().unwrap_or_else(|| nothing(file));
    match documents.next() {
        None => Ok(first),
        Some(second) => Err(
            Problem::new("one document is expected, a second one starts")
                .at(&second.span)
                .help("delete the `---` above it, or move it to a file of its own")
                .into(),
        ),
    }
}

/// Reads a file of several documents.
pub fn parse_documents(file: &Arc<File>) -> Result<Vec<Node>> {
    if file.text.len() > MAX_BYTES {
        let limit = format!("{} is larger than {} MiB", file.name, MAX_BYTES >> 20);
        return Err(Problem::new(limit).into());
    }
    if let Some(problem) = syntax::forbidden(file) {
        return Err(problem.into());
    }
    let mut loader = Loader::new(file);
    let documents = loader.documents().unwrap_or_default();
    loader.problems.or(documents)
}

fn nothing(file: &Arc<File>) -> Node {
    Node {
        value: Yaml::Null,
        span: start_of(file),
        tag: None,
    }
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
