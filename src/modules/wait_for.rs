//! `wait_for`: waits for a port or a path, as Ansible does.

use super::shared::log::pattern;
use super::shared::patience::{Patience, spoken};
use super::shared::words::seconds;
use super::{Fault, Kind, Module, Review};
use crate::system::{Result, System};
use crate::wire::Failure;
use regex::bytes::Regex;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitFor {
    #[serde(default = "this_host")]
    host: String,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    path: Option<PathBuf>,
    /// In the file, or in what the port's server says of its own accord.
    #[serde(default)]
    search_regex: Option<String>,
    #[serde(default)]
    state: State,
    /// All of these in seconds.
    #[serde(default = "five_minutes", deserialize_with = "seconds")]
    timeout: Duration,
    #[serde(default, deserialize_with = "seconds")]
    delay: Duration,
    #[serde(default = "one_second", deserialize_with = "seconds")]
    sleep: Duration,
    #[serde(default = "five_seconds", deserialize_with = "seconds")]
    connect_timeout: Duration,
    /// Said instead of our own words when it did not happen.
    #[serde(default)]
    msg: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    #[default]
    Started,
    Present,
    Stopped,
    Absent,
    Drained,
}

fn this_host() -> String {
    "127.0.0.1".into()
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

fn one_second() -> Duration {
    Duration::from_secs(1)
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

impl Module for WaitFor {
    const NAME: &'static str = "wait_for";
    const KIND: Kind = Kind::Probe;
    const ABOUT: &'static str = "waits for a port or a path to appear or to go";
    const EXAMPLE: &'static str = "wait_for:\n  port: 9443\n  timeout: 600\n  sleep: 2\n";
    type Change = String;

    fn review(&self, review: &mut Review<'_>) {
        if self.state == State::Drained {
            review.push(Fault::new("`wait_for` does not support `state: drained`").help(
                "`state: stopped` waits until the port is closed; `instance` waits until a service is gone",
            ));
        }
        match (self.port, &self.path) {
            (Some(_), Some(_)) => review.push(
                Fault::new("`wait_for` takes `port` or `path`, not both").help("write two tasks"),
            ),
            (None, None) if self.search_regex.is_some() => {
                review.push(Fault::new(
                    "`search_regex` needs a `port` or a `path` to look at",
                ));
            }
            (None, None) if !review.is_given("timeout") => review.push(
                Fault::new("`wait_for` has nothing to wait for")
                    .help("give `port` or `path`; a `timeout` alone is a pause"),
            ),
            (Some(0), None) => review.push(Fault::of("port", 0, "a port is from 1 to 65535")),
            _ => {}
        }
        review.filled("host", self.host.as_str());
        review.absolute("path", self.path.as_deref());
        review.hear(Some("search_regex"), self.wanted());
    }

    fn check(&self, system: &System) -> Result<Vec<String>> {
        let wanted = self.wanted()?;
        Patience::new(system, self.delay).rest(self.delay);
        let patience = Patience::new(system, self.timeout);
        if self.port.is_none() && self.path.is_none() {
            patience.rest(self.timeout);
            return Ok(vec![]);
        }
        while self.is_there(system, wanted.as_ref())? != self.wants_it() {
            if patience.is_over() {
                return Err(self.too_late());
            }
            let waited = spoken(patience.waited());
            system.progress(&format!("waiting since {waited} for {}", self.shown()));
            patience.rest(self.sleep);
        }
        Ok(vec![])
    }

    fn apply(&self, _: &System, _: String) -> Result<()> {
        Ok(())
    }
}

impl WaitFor {
    fn wanted(&self) -> Result<Option<Regex>> {
        let wanted = self.search_regex.as_deref();
        wanted.map(bytes_pattern).transpose()
    }

    fn wants_it(&self) -> bool {
        matches!(self.state, State::Started | State::Present)
    }

    fn is_there(&self, system: &System, wanted: Option<&Regex>) -> Result<bool> {
        match (self.port, &self.path, wanted) {
            (Some(port), _, None) => system.is_open(&self.host, port, self.connect_timeout),
            (Some(port), _, Some(wanted)) => {
                let heard = system.hear(&self.host, port, self.connect_timeout)?;
                Ok(heard.is_some_and(|bytes| wanted.is_match(&bytes)))
            }
            (None, Some(path), None) => Ok(system.meta(path)?.is_some()),
            (None, Some(path), Some(wanted)) => Ok(system
                .read(path)?
                .is_some_and(|bytes| wanted.is_match(&bytes))),
            (None, None, _) => Ok(self.wants_it()),
        }
    }

    fn shown(&self) -> String {
        let verb = if self.wants_it() { "" } else { " to go" };
        let pattern = self.search_regex.as_ref().map(|r| format!("`{r}` in "));
        let thing = match (self.port, &self.path) {
            (Some(port), _) => format!("port {port} of {}", self.host),
            (None, path) => path
                .as_deref()
                .unwrap_or_else(|| "".as_ref())
                .display()
                .to_string(),
        };
        format!("{}{thing}{verb}", pattern.unwrap_or_default())
    }

    fn too_late(&self) -> Failure {
        Failure::new(self.msg.clone().unwrap_or_else(|| {
            format!(
                "waited {} in vain for {}",
                spoken(self.timeout),
                self.shown()
            )
        }))
    }
}

fn bytes_pattern(text: &str) -> Result<Regex> {
    // Checked as text first: its error is the one that people know.
    pattern(text)?;
    Regex::new(&format!("(?m){text}"))
        .map_err(|e| Failure::new(format!("`{text}` is no regular expression: {e}")))
}
