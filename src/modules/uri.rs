//! `uri`: asks a web server, once or until it answers as it should.

use super::shared::patience::{Attempt, insist};
use super::shared::words::{Statuses, percent, seconds};
use super::{Fault, Kind, Module, Review};
use crate::system::{Request, Result, System, tail};
use crate::wire::Failure;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uri {
    url: String,
    /// Where to ask, whatever the host of the URL resolves to; empty: there. Ansible has nothing like it.
    #[serde(default)]
    address: String,
    #[serde(default = "get")]
    method: String,
    /// Text, or a structure for `json` and `form`.
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    body_format: Format,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
    #[serde(default, alias = "user")]
    url_username: Option<String>,
    #[serde(default, alias = "password")]
    url_password: Option<String>,
    /// A login is always sent at once, so this changes nothing; Ansible's playbooks have it.
    #[serde(default)]
    #[expect(dead_code, reason = "always true here")]
    force_basic_auth: bool,
    #[serde(default)]
    status_code: Statuses,
    /// `register` sees the body as `content`.
    #[serde(default)]
    return_content: bool,
    #[serde(default = "yes")]
    validate_certs: bool,
    #[serde(default)]
    follow_redirects: Redirects,
    /// In seconds, for one question.
    #[serde(default = "half_a_minute", deserialize_with = "seconds")]
    timeout: Duration,
    /// In seconds: asks again until the status is right.
    #[serde(default, deserialize_with = "seconds")]
    retry_for: Duration,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Raw,
    Json,
    #[serde(rename = "form", alias = "form-urlencoded")]
    Form,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Redirects {
    All,
    /// Only of questions that change nothing.
    #[default]
    Safe,
    None,
}

fn get() -> String {
    "GET".into()
}

fn yes() -> bool {
    true
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

/// Of RFC 9110, and PATCH of RFC 5789. CONNECT opens a tunnel, which is no question.
const METHODS: &[&str] = &[
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE",
];

/// Kept of an answer, in bytes.
const KEPT: u64 = 8 << 20;

/// An answer that was read.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    text: String,
}

impl Module for Uri {
    const NAME: &'static str = "uri";
    const KIND: Kind = Kind::Probe;
    const ABOUT: &'static str = "asks a web server, once or until it answers as it should";
    const EXAMPLE: &'static str = "\
uri:
  url: https://localhost:9443/api/am/admin/v4/tenants
  url_username: admin
  url_password: \"{{ admin_password }}\"
  status_code: [200, 404]
  validate_certs: false
  return_content: true
  retry_for: 120
";
    const ALIASES: &'static [(&'static str, &'static str)] =
        &[("user", "url_username"), ("password", "url_password")];
    type Change = String;

    fn review(&self, review: &mut Review<'_>) {
        review.web("url", &self.url);
        let method = self.method.to_uppercase();
        if !METHODS.contains(&method.as_str()) {
            let reason = format!("it is one of {}", METHODS.join(", "));
            review.push(Fault::of("method", &self.method, reason));
        }
        let statuses = self.status_code.0.iter();
        for status in statuses.filter(|status| !(100..=599).contains(*status)) {
            review.push(Fault::of(
                "status_code",
                status,
                "an HTTP status is from 100 to 599",
            ));
        }
        review.hear(Some("address"), self.address());
        review.hear(Some("body"), self.encoded());
    }

    fn check(&self, system: &System) -> Result<Vec<String>> {
        let request = self.request()?;
        insist(system, self.retry_for, || {
            let answer = match self.ask(system, &request) {
                Ok(answer) => answer,
                Err(failure) => return Ok(Attempt::NotYet(failure)),
            };
            self.note(system, &answer);
            Ok(match self.status_code.0.contains(&answer.status) {
                true => Attempt::Done(vec![]),
                false => Attempt::NotYet(self.wrong_status(&request, &answer)),
            })
        })
    }

    fn apply(&self, _: &System, _: String) -> Result<()> {
        Ok(())
    }
}

impl Uri {
    /// The body of an answer with the right status, for other modules: what is asked may change something there, so it
    /// is asked once, and nothing of it is noted.
    pub fn asked(&self, system: &System) -> Result<String> {
        let request = self.request()?;
        let answer = self.ask(system, &request)?;
        match self.status_code.0.contains(&answer.status) {
            true => Ok(answer.text),
            false => Err(self.wrong_status(&request, &answer)),
        }
    }

    fn request(&self) -> Result<Request> {
        let method = self.method.to_uppercase();
        let is_safe = matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS");
        let follow = match self.follow_redirects {
            Redirects::All => true,
            Redirects::Safe => is_safe,
            Redirects::None => false,
        };
        let password = self.url_password.clone().unwrap_or_default();
        Ok(Request {
            method,
            headers: self.all_headers(),
            body: self.encoded()?,
            login: self.url_username.clone().map(|user| (user, password)),
            verify: self.validate_certs,
            timeout: self.timeout,
            redirects: if follow { 10 } else { 0 },
            address: self.address()?,
            ..Request::get(&self.url)
        })
    }

    fn address(&self) -> Result<Option<IpAddr>> {
        if self.address.is_empty() {
            return Ok(None);
        }
        self.address.parse().map(Some).map_err(|_| {
            Failure::new(format!("`address` is no address: {}", self.address))
                .help("give an IP address; names go into `url`")
        })
    }

    fn all_headers(&self) -> Vec<(String, String)> {
        let given = self
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), plain(value)));
        let mut headers: Vec<_> = given.collect();
        let has_type = headers
            .iter()
            .any(|(n, _)| n.eq_ignore_ascii_case("content-type"));
        let content_type = match self.body_format {
            Format::Raw => None,
            Format::Json => Some("application/json"),
            Format::Form => Some("application/x-www-form-urlencoded"),
        };
        if let (Some(kind), false, true) = (content_type, has_type, self.body.is_some()) {
            headers.push(("Content-Type".into(), kind.into()));
        }
        headers
    }

    fn encoded(&self) -> Result<Option<Vec<u8>>> {
        let Some(body) = &self.body else {
            return Ok(None);
        };
        let text = match (self.body_format, body) {
            // Text is taken as already encoded, as in Ansible.
            (_, Value::String(text)) => text.clone(),
            (Format::Json, other) => other.to_string(),
            (Format::Form, Value::Object(fields)) => form(fields),
            _ => {
                return Err(Failure::new(
                    "`body` is no text, and `body_format` does not say how to write it",
                )
                .help("say `body_format: json` or `form`"));
            }
        };
        Ok(Some(text.into_bytes()))
    }

    fn ask(&self, system: &System, request: &Request) -> Result<Answer> {
        let response = system.ask(request)?;
        Ok(Answer {
            status: response.status,
            headers: response.headers.clone(),
            text: response.text(KEPT)?,
        })
    }

    fn note(&self, system: &System, answer: &Answer) {
        system.note("url", self.url.clone());
        system.note("status", answer.status);
        let headers: Map<_, _> = answer
            .headers
            .iter()
            .map(|(name, value)| (name.replace('-', "_"), value.clone().into()))
            .collect();
        system.note("headers", headers);
        if let Ok(json) = serde_json::from_str::<Value>(&answer.text) {
            system.note("json", json);
        }
        if self.return_content {
            system.note("content", answer.text.clone());
        }
    }

    fn wrong_status(&self, request: &Request, answer: &Answer) -> Failure {
        let first: Vec<_> = answer.text.lines().take(8).collect();
        Failure::new(format!(
            "{} answers {}, not {}",
            request.shown(),
            answer.status,
            self.status_code
        ))
        .detail(
            tail(&first.join("\n"), 8)
                .into_iter()
                .map(|l| l.chars().take(300).collect()),
        )
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn form(fields: &Map<String, Value>) -> String {
    let pairs: Vec<_> = fields
        .iter()
        .flat_map(|(name, value)| match value {
            Value::Array(many) => many.iter().map(|v| (name, plain(v))).collect(),
            one => vec![(name, plain(one))],
        })
        .map(|(name, value)| format!("{}={}", percent(name), percent(&value)))
        .collect();
    pairs.join("&")
}
