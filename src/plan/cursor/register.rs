//! What `register` gives: the result of a task, or for a loop the list of them.

use crate::wire::{Outcome, Told};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A `register` whose steps are on their way, or were skipped.
#[derive(Debug)]
pub struct Register {
    pub name: String,
    pub looped: bool,
    pub steps: Vec<(u32, Option<Value>)>,
    pub skipped: Vec<(u32, String)>,
}

impl Register {
    /// What `register` gives: the result, or for a loop the list of them.
    pub fn value(&self, told: &BTreeMap<u32, &Told>) -> Value {
        let mut results: Vec<Value> = self
            .steps
            .iter()
            .filter_map(|(id, item)| {
                let mut result = self.result(*id, told)?;
                if let Some(item) = item {
                    result.insert("item".into(), item.clone());
                }
                Some(Value::Object(result))
            })
            .collect();
        if !self.looped {
            return results.pop().unwrap_or(Value::Null);
        }
        let any = |field: &str| {
            results
                .iter()
                .any(|r| r.get(field).and_then(Value::as_bool) == Some(true))
        };
        let mut all = Map::new();
        all.insert("changed".into(), any("changed").into());
        all.insert("failed".into(), any("failed").into());
        let skipped = self.skipped.len() == self.steps.len();
        all.insert("skipped".into(), skipped.into());
        all.insert("results".into(), results.into());
        Value::Object(all)
    }

    fn result(&self, id: u32, told: &BTreeMap<u32, &Told>) -> Option<Map<String, Value>> {
        if let Some((_, reason)) = self.skipped.iter().find(|(s, _)| *s == id) {
            let mut result = Map::new();
            result.insert("changed".into(), false.into());
            result.insert("failed".into(), false.into());
            result.insert("skipped".into(), true.into());
            result.insert("skip_reason".into(), reason.as_str().into());
            return Some(result);
        }
        let told = told.get(&id)?;
        let mut result = told.result.clone().unwrap_or_default();
        let is = |o: bool| Value::Bool(o);
        result.insert(
            "changed".into(),
            is(matches!(told.outcome, Outcome::Changed(_))),
        );
        result.insert(
            "failed".into(),
            is(matches!(told.outcome, Outcome::Failed(_))),
        );
        result.insert(
            "skipped".into(),
            is(matches!(told.outcome, Outcome::Skipped(_))),
        );
        if let Outcome::Failed(failure) = &told.outcome {
            result
                .entry("msg")
                .or_insert_with(|| failure.message.as_str().into());
        }
        Some(result)
    }
}
