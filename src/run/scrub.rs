//! Keeps secrets out of the story: programs echo what they are given, so whatever goes to a listener
//! is searched for the values of secret variables.
//!
//! This is the second line. The first is that secrets travel in steps marked `no_log` and files marked
//! `secret`, whose texts never leave the host.

use crate::event::{Answer, Event, Health, InRotation, NodeStatus, Standing, TenantState};
use crate::inventory::Inventory;
use crate::plan::host_ladder;
use crate::vars::{Ladder, Layer, Scope, Variable, is_secret, secrets_within};
use crate::wire::survey::Seen;
use crate::wire::{Failure, Outcome};
use regex::{Regex, RegexBuilder};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Shorter values are words of the language: hiding them would hide the story.
const SHORTEST: usize = 6;

const SHOWN: &str = "•••";

#[derive(Debug, Clone, Default)]
pub struct Scrub {
    /// The longest first: one secret may contain another.
    secrets: Vec<String>,
    /// All of them at once: a thousand hosts may have a secret each.
    any: Option<Regex>,
}

impl Scrub {
    /// Knows the secrets of every host's variables, those inside mappings included, and of what else `ladders`
    /// hold: files of variables, plays, roles.
    pub fn new(
        inventory: &Inventory,
        extra: &Arc<Layer>,
        common: &Arc<Layer>,
        ladders: &[Ladder],
    ) -> Self {
        let mut found = BTreeSet::new();
        for host in inventory.hosts.keys() {
            find(
                &host_ladder(inventory, host, common, extra, None),
                &mut found,
            );
        }
        for ladder in ladders {
            find(ladder, &mut found);
        }
        if let Some(Variable::Data(hostvars)) = common.variables.get("hostvars") {
            secrets_within(hostvars, false, SHORTEST, &mut found);
        }
        Self::of(found)
    }

    fn of(found: BTreeSet<String>) -> Self {
        let mut secrets: Vec<String> = found.into_iter().collect();
        secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
        let all: Vec<String> = secrets.iter().map(|s| regex::escape(s)).collect();
        let any = (!all.is_empty())
            .then(|| {
                RegexBuilder::new(&all.join("|"))
                    .size_limit(256 << 20)
                    .build()
            })
            .and_then(Result::ok);
        Self { secrets, any }
    }

    /// A text that holds no secret any more.
    pub fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        self.text(&mut text);
        text
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
            Event::Judged(told) => {
                told.found.iter_mut().for_each(|j| self.text(&mut j.found));
                told.unjudged.iter_mut().for_each(|u| self.text(&mut u.why));
            }
            Event::Evidence(seen) => seen.failure.iter_mut().for_each(|f| self.text(f)),
            Event::Moved { failure, .. } => failure.iter_mut().for_each(|f| self.text(f)),
            Event::RolledOut { why, hosts, .. } => {
                self.text(why);
                hosts.iter_mut().for_each(|(_, what)| self.text(what));
            }
            Event::Nodes(nodes) | Event::NodesAgain(nodes) => {
                nodes.iter_mut().for_each(|n| self.node(n))
            }
            Event::Tenants(tenants) => tenants.iter_mut().for_each(|t| self.tenant(t)),
            _ => {}
        }
        event
    }

    fn node(&self, node: &mut NodeStatus) {
        node.fault.iter_mut().for_each(|why| self.text(why));
        for change in node.pending.iter_mut().flatten() {
            self.text(change);
        }
        for (_, seen) in &mut node.rotation {
            if let InRotation::Unknown(why) | InRotation::Drained { reason: why, .. } = seen {
                self.text(why);
            }
        }
    }

    fn tenant(&self, tenant: &mut TenantState) {
        if let Standing::Unknown(why) = &mut tenant.apim {
            self.text(why);
        }
        for cluster in &mut tenant.clusters {
            for node in &mut cluster.nodes {
                if let Health::Fails(why) | Health::Unknown(why) = &mut node.health {
                    self.text(why);
                }
            }
            for route in &mut cluster.routes {
                if let Seen::Unknown { why } = &mut route.configured {
                    self.text(why);
                }
                if let Answer::Nobody(why) | Answer::Unknown(why) = &mut route.answer {
                    self.text(why);
                }
            }
        }
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
        if let Some(any) = &self.any {
            if any.is_match(text) {
                *text = any.replace_all(text, SHOWN).into_owned();
            }
            return;
        }
        for secret in &self.secrets {
            if text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), SHOWN);
            }
        }
    }
}

fn find(ladder: &Ladder, found: &mut BTreeSet<String>) {
    let scope = Scope::new(ladder);
    let names: BTreeSet<&str> = ladder.names().filter(|n| is_secret(n)).collect();
    for name in names {
        if let Ok(value) = scope.value(name) {
            secrets_within(&value, true, SHORTEST, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_wherever_it_shows() {
        let mut found = BTreeSet::new();
        let value =
            serde_json::json!({"a": {"db_password": "s3cret-value", "db_user": "somebody"}});
        secrets_within(&value, false, SHORTEST, &mut found);
        let scrub = Scrub::of(found);
        assert_eq!(scrub.hide("somebody, s3cret-value"), "somebody, •••");
        let failure = Failure::new("login with s3cret-value failed")
            .detail(["mysql -ps3cret-value".to_owned()]);
        let event = scrub.event(Event::Unreachable {
            host: "db-1".into(),
            failure,
        });
        assert!(!format!("{event:?}").contains("s3cret"));
    }
}
