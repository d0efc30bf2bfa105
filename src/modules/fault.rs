//! What is wrong with a task's parameters, as far as they tell without a host.
//!
//! The controller asks before anything is touched, the worker asks again: what it is sent may have been
//! unknown until then.

use super::Module;
use crate::system::host_of;
use crate::wire::Failure;
use serde_json::Value;
use std::fmt::Display;
use std::path::Path;

/// One mistake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fault {
    /// Where it is, from the parameter inwards; empty when it is about several, or about one that is missing.
    pub path: Vec<Part>,
    /// What stands there. Kept apart, since `no_log` hides it.
    value: Option<String>,
    /// In place of "`PARAMETER` cannot be `VALUE`".
    message: String,
    /// Why it is wrong, or what would be right.
    pub reason: String,
    pub help: Option<String>,
    /// The words that could stand there.
    pub choices: Vec<String>,
}

/// A step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Key(String),
    At(usize),
}

impl Fault {
    /// About several parameters, or a missing one.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    /// A parameter that has another value than it may have.
    pub fn of(parameter: &str, value: impl Display, reason: impl Into<String>) -> Self {
        Self {
            path: vec![Part::Key(parameter.to_owned())],
            value: Some(value.to_string()),
            reason: reason.into(),
            ..Self::default()
        }
    }

    #[must_use]
    pub fn at(mut self, path: Vec<Part>) -> Self {
        self.path = path;
        self
    }

    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// One of these was wanted.
    #[must_use]
    pub fn one_of(mut self, choices: &[&str]) -> Self {
        let quoted: Vec<_> = choices.iter().map(|c| format!("`{c}`")).collect();
        self.reason = match quoted.len() {
            1 => format!("it can only be {}", quoted.join("")),
            _ => format!("it is one of {}", quoted.join(", ")),
        };
        self.choices = choices.iter().map(|&c| c.to_owned()).collect();
        self
    }

    /// What stands there, where a word of a list was wanted.
    pub fn word(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }

    /// `requests[0].url`
    pub fn place(&self) -> String {
        let mut place = String::new();
        for part in &self.path {
            match part {
                Part::Key(key) if place.is_empty() => place.push_str(key),
                Part::Key(key) => place.push_str(&format!(".{key}")),
                Part::At(at) => place.push_str(&format!("[{at}]")),
            }
        }
        place
    }

    /// The sentence about it, for a task of this module.
    pub fn said(&self, module: &str) -> String {
        let message = match &self.value {
            None => self.message.clone(),
            Some(value) if value.trim().is_empty() => format!("`{}` cannot be empty", self.place()),
            Some(value) => format!("`{}` cannot be `{}`", self.place(), short(value)),
        };
        match message.starts_with(&format!("`{module}`")) {
            true => message,
            false => format!("`{module}`: {message}"),
        }
    }

    /// Without what the task must not show.
    #[must_use]
    pub fn hidden(self) -> Self {
        if self.path.is_empty() {
            return self;
        }
        Self {
            message: format!("`{}` has a value that it cannot have", self.place()),
            value: None,
            reason: "hidden (no_log)".to_owned(),
            choices: vec![],
            ..self
        }
    }
}

/// The first line of a value, as far as it helps to find it.
fn short(value: &str) -> String {
    const SHOWN: usize = 60;
    let line = value.trim().lines().next().unwrap_or_default();
    match line.chars().count() > SHOWN || line.len() < value.trim().len() {
        true => line.chars().take(SHOWN).chain("...".chars()).collect(),
        false => line.to_owned(),
    }
}

/// All mistakes of one task. Never empty when it travels as an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// As the worker tells it.
    pub fn failure(&self, module: &str) -> Failure {
        let said = |fault: &Fault| match fault.reason.as_str() {
            "" => fault.said(module),
            reason => format!("{}: {reason}", fault.said(module)),
        };
        let mut all = self.0.iter();
        let Some(first) = all.next() else {
            return Failure::new(format!("`{module}` does not take these parameters"));
        };
        Failure {
            message: said(first),
            detail: all.map(said).collect(),
            help: first.help.clone(),
        }
    }
}

/// Goes through the parameters of one task and gathers what is wrong with them.
pub struct Review<'a> {
    params: &'a Value,
    aliases: &'static [(&'static str, &'static str)],
    found: Vec<Fault>,
}

impl<'a> Review<'a> {
    /// All that is wrong with a module's parameters.
    pub(super) fn of<M: Module>(module: &M, params: &'a Value) -> Vec<Fault> {
        let mut review = Self {
            params,
            aliases: M::ALIASES,
            found: vec![],
        };
        module.review(&mut review);
        review.found
    }

    /// Whether the task gives it, as opposed to leaving it to its default.
    pub fn is_given(&self, parameter: &str) -> bool {
        self.params.get(self.written(parameter)).is_some()
    }

    pub fn push(&mut self, mut fault: Fault) {
        if let Some(Part::Key(key)) = fault.path.first_mut() {
            *key = self.written(key).to_owned();
        }
        self.found.push(fault);
    }

    /// Of what a check says that a host's look needs as well.
    pub fn hear<T>(&mut self, parameter: Option<&str>, said: Result<T, Failure>) {
        let Err(failure) = said else { return };
        let reason = failure.detail.last().cloned().unwrap_or_default();
        self.push(Fault {
            path: parameter
                .map(|p| Part::Key(p.to_owned()))
                .into_iter()
                .collect(),
            message: failure.message,
            reason,
            help: failure.help,
            ..Fault::default()
        });
    }

    /// The worker's own folder is nobody's concern, so a path starts at the root.
    pub fn absolute<'p>(&mut self, parameter: &str, path: impl Into<Option<&'p Path>>) {
        if let Some(path) = path.into().filter(|path| !path.is_absolute()) {
            let fault = Fault::of(
                parameter,
                path.display(),
                "a path on the host starts with `/`",
            );
            self.push(match path.starts_with("~") {
                true => fault.help("write the folder out: there is no `~` here"),
                false => fault.help("write it in full, from `/` on"),
            });
        }
    }

    pub fn filled<'p>(&mut self, parameter: &str, text: impl Into<Option<&'p str>>) {
        if let Some(text) = text.into().filter(|text| text.trim().is_empty()) {
            self.push(Fault::of(parameter, text, ""));
        }
    }

    /// An address that a web server can be asked at.
    pub fn web(&mut self, parameter: &str, url: &str) {
        let scheme = url.split_once("://").filter(|_| host_of(url).is_some());
        let scheme = scheme.map(|(scheme, _)| scheme.to_ascii_lowercase());
        let reason = match scheme.as_deref() {
            Some("http" | "https") => return,
            Some(_) => "only `http` and `https` are spoken here",
            None => "it is no address of the web",
        };
        let help = "write it in full, such as `https://localhost:9443/services`";
        self.push(Fault::of(parameter, url, reason).help(help));
    }

    /// A user's or a group's name, as the files in `/etc` can hold it.
    pub fn account<'p>(&mut self, parameter: &str, name: impl Into<Option<&'p str>>) {
        let Some(name) = name.into() else { return };
        let cannot = |c: char| c.is_whitespace() || matches!(c, ':' | ',' | '/');
        if name.trim().is_empty() || name.starts_with('-') || name.contains(cannot) {
            let reason = "a name has no spaces, `:`, `,` and `/`, and no `-` at its start";
            self.push(Fault::of(parameter, name, reason));
        }
    }

    /// The name that the task uses.
    fn written<'n>(&'n self, parameter: &'n str) -> &'n str {
        let alias = self
            .aliases
            .iter()
            .find(|(alias, name)| *name == parameter && self.params.get(*alias).is_some());
        alias.map_or(parameter, |(alias, _)| alias)
    }
}
