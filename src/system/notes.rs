//! What a step has to say besides its changes: results for `register`, differences for `--diff`.

use super::System;
use crate::wire::Diff;
use serde_json::{Map, Value};

/// The notebook of one step.
#[derive(Debug, Default)]
pub struct Notes {
    pub result: Map<String, Value>,
    pub diffs: Vec<Diff>,
}

impl System {
    /// Adds a field to what `register` sees.
    pub fn note(&self, field: &str, value: impl Into<Value>) {
        self.notes
            .borrow_mut()
            .result
            .insert(field.to_owned(), value.into());
    }

    /// Records a file's text before and after. Text beyond 256 KiB and bytes that are no UTF-8 are
    /// named, not shown.
    pub fn note_diff(&self, path: &str, before: &[u8], after: &[u8]) {
        const LIMIT: usize = 256 << 10;
        let show = |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) if bytes.len() <= LIMIT => text.to_owned(),
            _ => format!("({} bytes that are not shown)\n", bytes.len()),
        };
        let mut notes = self.notes.borrow_mut();
        notes.diffs.retain(|d| d.path != path);
        notes.diffs.push(Diff {
            path: path.to_owned(),
            before: show(before),
            after: show(after),
        });
    }
}
