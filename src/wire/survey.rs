//! What a survey of one host asks and answers: the words between the `survey` module, which looks,
//! and the rules on the controller, which judge.
//!
//! Whatever could not be read is an [`Seen::Unknown`] with the reason, so a rule can tell "absent" from
//! "not seen". No answer holds a password: command lines and HTTP bodies are masked where they were read.

mod answer;
mod request;

pub use answer::*;
pub use request::*;

use super::Failure;
use serde::{Deserialize, Serialize};

/// A fact, or why nobody could see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen<T> {
    Known(T),
    Unknown { why: String },
}

impl<T> Seen<T> {
    pub fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown { why: why.into() }
    }

    /// The fact, if it was seen.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(fact) => Some(fact),
            Self::Unknown { .. } => None,
        }
    }

    /// Why it was not seen, if so.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Unknown { why } => Some(why),
        }
    }
}

impl<T> From<Result<T, Failure>> for Seen<T> {
    fn from(result: Result<T, Failure>) -> Self {
        match result {
            Ok(fact) => Self::Known(fact),
            Err(failure) => Self::unknown(failure.message),
        }
    }
}
