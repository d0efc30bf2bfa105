//! Keeps secrets out of the story: programs echo what they are given, so whatever goes to a listener
//! is searched for the values of secret variables.
//!
//! This is the second line. The first is that secrets travel in steps marked `no_log` and files marked
//! `secret`, whose texts never leave the host.

use crate::event::Event;
use crate::inventory::Inventory;
use crate::plan::host_ladder;
use crate::vars::{Layer, Scope};
use crate::wire::{Failure, Outcome};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A variable with one of these endings holds a secret.
const ENDINGS: &[&str] = &[
    "password",
    "passwd",
    "_pass",
    "passphrase",
    "secret",
    "token",
];

/// Shorter values are words of the language: hiding them would hide the story.
const SHORTEST: usize = 6;

const SHOWN: &str = "•••";

#[derive(Debug, Clone, Default)]
pub struct Scrub {
    /// The longest first: one secret may contain another.
    secrets: Vec<String>,
}

impl Scrub {
    /// Knows the secrets of every host's variables.
    pub fn new(inventory: &Inventory, extra: &Arc<Layer>, common: &Arc<Layer>) -> Self {
        let mut found = BTreeSet::new();
        for host in inventory.hosts.keys() {
            let ladder = host_ladder(inventory, host, common, extra, None);
            let scope = Scope::new(&ladder);
            let names: BTreeSet<&str> = ladder.names().filter(|n| is_secret(n)).collect();
            for name in names {
                if let Ok(Value::String(value)) = scope.value(name)
                    && value.chars().count() >= SHORTEST
                {
                    found.insert(value);
                }
            }
        }
        let mut secrets: Vec<String> = found.into_iter().collect();
        secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
        Self { secrets }
    }

    pub fn event(&self, mut event: Event) -> Event {
        match &mut event {
            Event::StepEnded(ended) => {
                self.text(&mut ended.title);
                if let Some(item) = &mut ended.item {
                    self.text(item);
                }
                self.outcome(&mut ended.outcome);
                for diff in &mut ended.diffs {
                    self.text(&mut diff.before);
                    self.text(&mut diff.after);
                }
            }
            Event::StepStarted { title, item, .. } => {
                self.text(title);
                if let Some(item) = item {
                    self.text(item);
                }
            }
            Event::Unreachable { failure, .. } => self.failure(failure),
            Event::Progress { text, .. } | Event::Note { text, .. } => self.text(text),
            _ => {}
        }
        event
    }

    fn outcome(&self, outcome: &mut Outcome) {
        match outcome {
            Outcome::Changed(changes) => changes.iter_mut().for_each(|c| self.text(c)),
            Outcome::Skipped(reason) => self.text(reason),
            Outcome::Failed(failure) => self.failure(failure),
            Outcome::Unchanged => {}
        }
    }

    fn failure(&self, failure: &mut Failure) {
        self.text(&mut failure.message);
        failure.detail.iter_mut().for_each(|line| self.text(line));
        if let Some(help) = &mut failure.help {
            self.text(help);
        }
    }

    fn text(&self, text: &mut String) {
        for secret in &self.secrets {
            if text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), SHOWN);
            }
        }
    }
}

fn is_secret(name: &str) -> bool {
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_wherever_it_shows() {
        let scrub = Scrub {
            secrets: vec!["s3cret-value".into()],
        };
        let failure = Failure::new("login with s3cret-value failed")
            .detail(["mysql -ps3cret-value".to_owned()]);
        let event = scrub.event(Event::Unreachable {
            host: "db-1".into(),
            failure,
        });
        assert!(!format!("{event:?}").contains("s3cret"));
    }

    #[test]
    fn names_of_secrets() {
        assert!(is_secret("db_apim_password"));
        assert!(is_secret("ansible_become_pass"));
        assert!(!is_secret("password_rule"));
    }
}
