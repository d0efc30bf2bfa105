//! Reads the common kinds of value, each with one sentence for what is no such value.

use super::keyword;
use super::{Settings, pattern};
use crate::source::{Entry, Mapping, Node, Problem, Problems, Span, Yaml};
use crate::vars::{Layer, Variable, check_condition, check_texts};
use std::sync::Arc;

/// Reads nodes and collects what is wrong with them.
#[derive(Default)]
pub struct Reader {
    pub problems: Problems,
}

/// Whether a text holds a template, so that it can't be judged before the run.
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// A node's text, when it is plain and can be judged now.
pub fn literal(node: &Node) -> Option<&str> {
    node.as_text().filter(|text| !is_template(text))
}

/// What variables, groups and registers may be called.
pub fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Reader {
    pub fn wrong(&mut self, span: &Span, message: impl Into<String>, help: impl Into<String>) {
        self.problems
            .push(Problem::new(message).at(span).help(help));
    }

    fn wanted(&mut self, entry: &Entry, what: &str, help: &str) {
        let message = format!("`{}` wants {what}, not {}", entry.key, entry.value.kind());
        self.wrong(&entry.value.span, message, help);
    }

    pub fn map<'n>(&mut self, node: &'n Node, what: &str, help: &str) -> Option<&'n Mapping> {
        let map = node.as_map();
        if map.is_none() {
            self.wrong(
                &node.span,
                format!("{what} is a mapping, not {}", node.kind()),
                help,
            );
        }
        map
    }

    /// A list; nothing at all is an empty one.
    pub fn list<'n>(&mut self, entry: &'n Entry, help: &str) -> &'n [Node] {
        match &entry.value.value {
            Yaml::List(items) => items,
            Yaml::Null => &[],
            _ => {
                self.wanted(entry, "a list", help);
                &[]
            }
        }
    }

    /// One node or a list of them.
    pub fn one_or_more(&mut self, entry: &Entry) -> Vec<Node> {
        match &entry.value.value {
            Yaml::List(items) => items.clone(),
            Yaml::Null => vec![],
            _ => vec![entry.value.clone()],
        }
    }

    pub fn boolean(&mut self, entry: &Entry) -> Option<bool> {
        match entry.value.value {
            Yaml::Bool(truth) => Some(truth),
            _ => {
                self.wanted(
                    entry,
                    "true or false",
                    "it is read before any variable is known",
                );
                None
            }
        }
    }

    /// True, false, or a template that gives it during the run.
    pub fn switch(&mut self, entry: &Entry) -> Option<Node> {
        let is_fit = match &entry.value.value {
            Yaml::Bool(_) => true,
            Yaml::Text(text) => is_template(text),
            _ => false,
        };
        if !is_fit {
            self.wanted(
                entry,
                "true, false or a template",
                "write `true` or `false`, without quotes",
            );
        }
        is_fit.then(|| entry.value.clone())
    }

    /// Text that may hold templates.
    pub fn words(&mut self, entry: &Entry) -> Option<Node> {
        if entry.value.as_text().is_none() {
            self.wanted(entry, "text", "quote it if it is meant as text");
            return None;
        }
        Some(entry.value.clone())
    }

    /// A number, or a template that gives one.
    pub fn number(&mut self, entry: &Entry) -> Option<Node> {
        let is_fit = match &entry.value.value {
            Yaml::Int(n) => *n >= 0,
            Yaml::Text(text) => is_template(text),
            _ => false,
        };
        if !is_fit {
            self.wrong(
                &entry.value.span,
                format!("`{}` wants a whole number of zero or more", entry.key),
                "write it without quotes and without a unit",
            );
        }
        is_fit.then(|| entry.value.clone())
    }

    /// Text that is known now.
    pub fn plain(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = literal(node);
        if text.is_none() {
            self.wrong(
                &node.span,
                format!("{what} is plain text"),
                "it is read before any variable is known",
            );
        }
        text.map(ToOwned::to_owned)
    }

    /// A name for a variable.
    pub fn name(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = self.plain(node, what)?;
        if !is_name(&text) {
            self.wrong(
                &node.span,
                format!("`{text}` can't be the name of a variable"),
                "use letters, digits and `_`, not starting with a digit",
            );
            return None;
        }
        Some(text)
    }

    /// `when` and its kind: all must hold.
    pub fn conditions(&mut self, entry: &Entry) -> Vec<Node> {
        let conditions = self.one_or_more(entry);
        for condition in &conditions {
            check_condition(condition, &mut self.problems);
        }
        conditions
    }

    /// A list, or text with commas.
    pub fn tags(&mut self, entry: &Entry) -> Vec<String> {
        let mut tags = vec![];
        for node in self.one_or_more(entry) {
            let text = self.plain(&node, "a tag").unwrap_or_default();
            tags.extend(
                text.split(',')
                    .map(str::trim)
                    .filter(|t| !t.is_empty())
                    .map(ToOwned::to_owned),
            );
        }
        tags
    }

    /// A mapping of variables as one layer.
    pub fn layer(&mut self, node: &Node, origin: &str) -> Layer {
        let mut layer = Layer::new(origin);
        if node.value == Yaml::Null {
            return layer;
        }
        let Some(map) = self.map(node, "a set of variables", "write `name: value`") else {
            return layer;
        };
        for entry in &map.entries {
            if !is_name(&entry.key) {
                self.wrong(
                    &entry.key_span,
                    format!("`{}` can't be the name of a variable", entry.key),
                    "use letters, digits and `_`, not starting with a digit",
                );
            }
            check_texts(&entry.value, &mut self.problems);
            layer
                .variables
                .insert(entry.key.clone(), Variable::Written(entry.value.clone()));
        }
        layer
    }

    /// The `vars` of a play, a block, a task or a use of a role.
    pub fn vars(&mut self, map: &Mapping, origin: &str) -> Vec<Arc<Layer>> {
        map.get("vars")
            .map(|node| self.layer(node, origin))
            .filter(|layer| !layer.variables.is_empty())
            .map(Arc::new)
            .into_iter()
            .collect()
    }

    pub fn settings(&mut self, map: &Mapping) -> Settings {
        let mut settings = Settings::default();
        for entry in &map.entries {
            match entry.key.as_str() {
                "become" => settings.r#become = self.switch(entry),
                "become_user" => settings.become_user = self.words(entry),
                "check_mode" => settings.check_mode = self.switch(entry),
                "delegate_to" => settings.delegate_to = self.words(entry),
                "diff" => settings.diff = self.switch(entry),
                "environment" => settings.environment = self.environment(entry),
                "ignore_errors" => settings.ignore_errors = self.switch(entry),
                "no_log" => settings.no_log = self.switch(entry),
                "run_once" => settings.run_once = self.switch(entry),
                _ => continue,
            }
            check_texts(&entry.value, &mut self.problems);
        }
        settings
    }

    fn environment(&mut self, entry: &Entry) -> Vec<Node> {
        let nodes = self.one_or_more(entry);
        for node in &nodes {
            if node.as_map().is_none() && !node.as_text().is_some_and(is_template) {
                self.wrong(
                    &node.span,
                    format!("`environment` wants a mapping, not {}", node.kind()),
                    "write `JAVA_HOME: /opt/java`",
                );
            }
        }
        nodes
    }

    /// Refuses keys that `place` does not take.
    pub fn only(&mut self, map: &Mapping, place: &str, known: &[&[&str]]) {
        for entry in &map.entries {
            if !known
                .iter()
                .any(|words| words.contains(&entry.key.as_str()))
            {
                self.problems.push(keyword::unknown(entry, place, known));
            }
        }
    }

    /// `serial`: a count, a percentage, or a list of them.
    pub fn serial(&mut self, entry: &Entry) -> Option<Node> {
        let parts = self.one_or_more(entry);
        if parts.is_empty() || !parts.iter().all(is_batch) {
            let wrong = parts.iter().find(|part| !is_batch(part));
            let span = wrong.map_or(&entry.value.span, |part| &part.span);
            self.wrong(
                span,
                "`serial` says how many hosts go at the same time",
                "write a count (`1`), a percentage (`\"30%\"`), or a list of them (`[1, \"50%\"]`)",
            );
        }
        Some(entry.value.clone())
    }

    /// `rollout`: a mapping of its policy, or a template that gives one.
    pub fn rollout(&mut self, entry: &Entry) -> Option<Node> {
        let is_fit = match &entry.value.value {
            Yaml::Map(_) => true,
            Yaml::Text(text) => is_template(text),
            _ => false,
        };
        if !is_fit {
            self.wanted(
                entry,
                "a mapping or a template that gives one",
                "write `rollout: \"{{ rollout }}\"`; the variables are in roles/rotation/defaults",
            );
        }
        check_texts(&entry.value, &mut self.problems);
        is_fit.then(|| entry.value.clone())
    }

    pub fn percentage(&mut self, entry: &Entry) -> Option<Node> {
        let is_fit = match &entry.value.value {
            Yaml::Int(n) => (0..=100).contains(n),
            Yaml::Text(text) => {
                is_template(text) || pattern::percent(text).is_some_and(|p| p <= 100)
            }
            _ => false,
        };
        if !is_fit {
            self.wrong(
                &entry.value.span,
                format!("`{}` is a percentage from 0 to 100", entry.key),
                "write it as `30`",
            );
        }
        Some(entry.value.clone())
    }
}

fn is_batch(node: &Node) -> bool {
    match &node.value {
        Yaml::Int(count) => *count > 0,
        Yaml::Text(text) => {
            is_template(text)
                || text.parse::<u32>().is_ok_and(|count| count > 0)
                || pattern::percent(text).is_some_and(|p| (1..=100).contains(&p))
        }
        _ => false,
    }
}
