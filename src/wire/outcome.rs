//! What became of a step.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The host already was as asked for.
    Unchanged,
    /// What was changed, or in check mode would be, one phrase each.
    Changed(Vec<String>),
    Skipped(String),
    Failed(Failure),
}

/// Why a step failed, in words for the person who has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// One sentence, lower case, no final stop: what was wanted and what came instead.
    pub message: String,
    /// Lines worth reading: a log's tail, a command's stderr.
    pub detail: Vec<String>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            detail: Vec::new(),
            help: None,
        }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn detail(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.detail.extend(lines);
        self
    }
}

/// A file's text before and after, for `--diff`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    pub path: String,
    pub before: String,
    pub after: String,
}

/// The worker's word on one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    pub step: u32,
    pub outcome: Outcome,
    pub diffs: Vec<Diff>,
    /// What `register` sees, when the step wants its result.
    pub result: Option<Map<String, Value>>,
    /// Handlers that an undecided step made due, and that were not before.
    pub owed: Vec<String>,
    pub millis: u64,
}
