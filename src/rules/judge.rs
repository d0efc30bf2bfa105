//! Holds rules against a site.

use super::{Accepted, Finding, Rule, Site, Stage, all};
use crate::event;
use crate::source::{Problem, Span};
use indexmap::IndexMap;

/// One thing that a rule found.
pub struct Judged {
    pub rule: &'static Rule,
    pub finding: Finding,
    /// Why somebody lives with it.
    pub accepted: Option<String>,
    /// Stops a run: not accepted, and more than a warning here.
    pub is_error: bool,
}

/// A rule that could not look at some host.
pub struct Unjudged {
    pub rule: &'static Rule,
    pub host: String,
    pub why: String,
}

/// A deployment whose plan is known, and what its owner accepts.
pub struct Judgeable {
    pub site: Site,
    pub accepted: Accepted,
    /// Why the plan is not whole; what is not there must not be judged by what is.
    pub unplanned: Option<String>,
}

impl Judgeable {
    /// By the plan alone.
    pub fn offline(&self) -> Verdicts {
        self.hold(&self.site, |stage| stage <= Stage::Plan)
    }

    /// Of a plan that is not whole: what is wrong with lines that it has, each with its place. What seems to be missing may
    /// be what could not be planned.
    pub fn written(&self) -> Verdicts {
        let mut verdicts = judge(&self.site, &self.accepted, |stage| stage <= Stage::Plan);
        let is_of_input = |judged: &Judged| judged.rule.stage == Stage::Input;
        verdicts
            .found
            .retain(|judged| judged.finding.at.is_some() || is_of_input(judged));
        verdicts
    }

    /// Every rule, with what the hosts said.
    pub fn judge(&self, surveyed: &Site) -> Verdicts {
        self.hold(surveyed, |_| true)
    }

    fn hold(&self, site: &Site, wanted: impl Fn(Stage) -> bool) -> Verdicts {
        let Some(why) = &self.unplanned else {
            return judge(site, &self.accepted, wanted);
        };
        // What people say of hosts is whole, whatever came of planning it.
        let is_of_input = |stage| stage == Stage::Input;
        let mut verdicts = judge(site, &self.accepted, |s| is_of_input(s) && wanted(s));
        let others = Verdicts::none(|stage| !is_of_input(stage) && wanted(stage), why);
        verdicts.unjudged.extend(others.unjudged);
        verdicts
    }
}

/// What came of holding rules against a site.
#[derive(Default)]
pub struct Verdicts {
    pub found: Vec<Judged>,
    pub unjudged: Vec<Unjudged>,
    /// How many rules looked at everything and found nothing.
    pub passed: usize,
}

/// Holds every rule of the stages that `wanted` names against the site.
pub fn judge(site: &Site, accepted: &Accepted, wanted: impl Fn(Stage) -> bool) -> Verdicts {
    let mut verdicts = Verdicts::default();
    for rule in all().filter(|rule| wanted(rule.stage)) {
        verdicts.hold(rule, site, accepted);
    }
    verdicts
}

/// What no rule of the stage can see, and why: no rule needs to think of it, and none seems to hold where it could not
/// look.
fn unseen(site: &Site, stage: Stage) -> Vec<(String, String)> {
    let mut unseen = Vec::new();
    if stage == Stage::Input {
        return unseen;
    }
    for node in site.nodes.iter().filter(|node| node.settings.is_err()) {
        let why = format!("the settings of {} cannot be read", node.service);
        unseen.push((node.host.clone(), why));
    }
    if stage == Stage::Plan {
        return unseen;
    }
    for host in site.hosts.values() {
        if let Some(Err(why)) = &host.survey {
            unseen.push((host.name.clone(), why.clone()));
        }
    }
    for node in site.nodes.iter().filter(|n| site.survey(&n.host).is_some()) {
        unseen.extend(site.why_unseen(node).map(|why| (node.host.clone(), why)));
    }
    unseen
}

/// The same found on several hosts is one finding of them all; the first place stands for the others.
fn merged(found: Vec<Finding>) -> Vec<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    for finding in found {
        let same = |f: &&mut Finding| f.what == finding.what && f.fix == finding.fix;
        match all.iter_mut().find(same) {
            None => all.push(finding),
            Some(known) => {
                let more = finding.hosts.into_iter();
                let more: Vec<_> = more.filter(|h| !known.hosts.contains(h)).collect();
                known.hosts.extend(more);
            }
        }
    }
    all
}

impl Judged {
    pub fn fix(&self) -> &str {
        self.finding.fix.as_deref().unwrap_or(self.rule.fix)
    }

    /// As a mistake of the input. `hide` takes known secrets out of a text; a line that may hold one is named, not
    /// shown.
    pub fn problem(&self, hide: impl Fn(&str) -> String) -> Problem {
        let hosts = self.finding.hosts.join(", ");
        let message = format!("{}: {hosts}: {}", self.rule.id, hide(&self.finding.what));
        let is_plain = |line: &str| !names_a_secret(line) && hide(line) == line;
        match &self.finding.at {
            Some(span) if is_plain(line_of(span)) => Problem::new(message).at(span),
            Some(span) => Problem::new(format!("{message}, at {}", span.place())),
            None => Problem::new(message),
        }
        .because(self.rule.why)
        .help(self.fix())
    }

    fn told(&self) -> event::Judged {
        event::Judged {
            rule: self.rule.id.to_owned(),
            is_error: self.is_error,
            hosts: self.finding.hosts.clone(),
            found: self.finding.what.clone(),
            place: self.finding.at.as_ref().map(Span::place),
            why: self.rule.why.to_owned(),
            fix: self.fix().to_owned(),
            accepted: self.accepted.clone(),
        }
    }
}

fn line_of(span: &Span) -> &str {
    let text = &span.file.text;
    let before = text.get(..span.range.start).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    text[start..].lines().next().unwrap_or_default()
}

fn names_a_secret(line: &str) -> bool {
    let line = line.to_lowercase();
    let words = ["pass", "secret", "token", "key", "@"];
    words.iter().any(|word| line.contains(word))
}

impl Verdicts {
    fn hold(&mut self, rule: &'static Rule, site: &Site, accepted: &Accepted) {
        let (blind, found): (Vec<_>, Vec<_>) =
            (rule.check)(site).into_iter().partition(|f| f.is_unjudged);
        let blind = blind
            .into_iter()
            .flat_map(|f| f.hosts.into_iter().map(move |host| (host, f.what.clone())));
        let blind: Vec<_> = blind.chain(unseen(site, rule.stage)).collect();
        self.passed += usize::from(found.is_empty() && blind.is_empty());
        let blind = blind.into_iter();
        self.unjudged
            .extend(blind.map(|(host, why)| Unjudged { rule, host, why }));
        let is_error = rule.severity.is_error(site.is_production());
        self.found.extend(merged(found).into_iter().map(|finding| {
            let accepted = accepted.reason(rule.id, &finding.hosts);
            Judged {
                rule,
                is_error: is_error && accepted.is_none(),
                finding,
                accepted,
            }
        }));
    }

    /// Nothing was looked at, for one reason.
    pub fn none(wanted: impl Fn(Stage) -> bool, why: &str) -> Self {
        let unjudged = all()
            .filter(|rule| wanted(rule.stage))
            .map(|rule| Unjudged {
                rule,
                host: String::new(),
                why: why.to_owned(),
            });
        Self {
            unjudged: unjudged.collect(),
            ..Self::default()
        }
    }

    pub fn errors(&self) -> impl Iterator<Item = &Judged> {
        self.found.iter().filter(|judged| judged.is_error)
    }

    /// For the listeners. What could not be judged for one reason is one entry.
    pub fn told(&self) -> event::Judgement {
        // By host and reason, then by rules and reason: a table of few lines, whatever the number of rules and hosts.
        let mut of_host: IndexMap<(&str, &str), Vec<String>> = IndexMap::new();
        for one in &self.unjudged {
            let rules = of_host.entry((&one.host, &one.why)).or_default();
            if !rules.iter().any(|id| id == one.rule.id) {
                rules.push(one.rule.id.to_owned());
            }
        }
        let mut of_rules: IndexMap<(Vec<String>, &str), Vec<String>> = IndexMap::new();
        for ((host, why), rules) in of_host {
            let hosts = of_rules.entry((rules, why)).or_default();
            hosts.extend(Some(host.to_owned()).filter(|host| !host.is_empty()));
        }
        let unjudged = of_rules
            .into_iter()
            .map(|((rules, why), hosts)| event::Unjudged {
                rules,
                hosts,
                why: why.to_owned(),
            })
            .collect();
        event::Judgement {
            found: self.found.iter().map(Judged::told).collect(),
            unjudged,
            passed: self.passed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Host, Severity};

    #[test]
    fn what_is_fine_for_trying_out_is_an_error_in_production() {
        let site = |production: serde_json::Value| {
            let variables = [("production".to_owned(), production)];
            Site::new(vec![Host {
                name: "a".into(),
                variables: variables.into_iter().collect(),
                ..Host::default()
            }])
        };
        // The command line says everything as text.
        let said = [
            (true.into(), true),
            ("true".into(), true),
            ("Yes".into(), true),
            (1.into(), true),
            (false.into(), false),
            ("false".into(), false),
            ("no".into(), false),
        ];
        for (production, is_meant) in said {
            let is_production = site(production).is_production();
            assert_eq!(Severity::Production.is_error(is_production), is_meant);
            assert!(Severity::Error.is_error(is_production));
            assert!(!Severity::Warning.is_error(is_production));
        }
    }

    #[test]
    fn one_finding_of_two_hosts_is_told_once() {
        let found = vec![
            Finding::on("a", "x"),
            Finding::on("b", "x"),
            Finding::on("b", "y"),
        ];
        let all = merged(found);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].hosts, ["a", "b"]);
    }
}
