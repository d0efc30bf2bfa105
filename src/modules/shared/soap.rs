//! What Carbon's admin services speak: SOAP 1.1, one operation a call.

use super::apim::{Login, Reply};
use crate::system::{Request, Result};
use crate::wire::Failure;
use roxmltree::{Document, Node};
use std::collections::BTreeMap;

const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";

/// A call of an operation whose parameters are elements with the prefix `p`.
pub fn request(
    login: &Login,
    path: &str,
    namespace: &str,
    operation: &str,
    parameters: &str,
) -> Request {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <s:Envelope xmlns:s=\"{ENVELOPE}\"><s:Body>\
         <p:{operation} xmlns:p=\"{namespace}\">{parameters}</p:{operation}>\
         </s:Body></s:Envelope>"
    );
    Request {
        headers: vec![
            ("Content-Type".into(), "text/xml; charset=UTF-8".into()),
            ("SOAPAction".into(), format!("\"urn:{operation}\"")),
        ],
        body: Some(body.into_bytes()),
        ..login.request("POST", path)
    }
}

/// An element that holds a text, whatever it is.
pub fn element(prefix: &str, name: &str, text: &str) -> Result<String> {
    let is_legal = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    if !text.chars().all(is_legal) {
        return Err(Failure::new(format!(
            "`{name}` holds a control character, which XML cannot carry"
        )));
    }
    Ok(format!(
        "<{prefix}:{name}>{}</{prefix}:{name}>",
        escaped(text)
    ))
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // A reader makes one line end of any, unless it is written so.
            '\r' => out.push_str("&#13;"),
            c => out.push(c),
        }
        out
    })
}

/// The fields of the bean that came back; none where nothing comes back.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer(BTreeMap<String, String>);

impl Answer {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Trouble {
    /// The login.
    Refused,
    /// What the service says is wrong.
    Fault(String),
    /// No service speaks so.
    Unreadable(Failure),
}

/// Reads an answer. An operation without a result may answer nothing at all.
pub fn understood(reply: &Reply) -> std::result::Result<Answer, Trouble> {
    if matches!(reply.status, 401 | 403) {
        return Err(Trouble::Refused);
    }
    let is_fine = matches!(reply.status, 200 | 202);
    if is_fine && reply.text.trim().is_empty() {
        return Ok(Answer::default());
    }
    let document =
        Document::parse(&reply.text).map_err(|_| Trouble::Unreadable(reply.unexpected()))?;
    if let Some(words) = fault(&document) {
        let is_login = words.contains("Access Denied") || words.contains("login first");
        return Err(match is_login {
            true => Trouble::Refused,
            false => Trouble::Fault(words),
        });
    }
    match is_fine {
        true => Ok(bean(&document)),
        false => Err(Trouble::Unreadable(reply.unexpected())),
    }
}

fn fault(document: &Document<'_>) -> Option<String> {
    let fault = document
        .descendants()
        .find(|node| node.has_tag_name((ENVELOPE, "Fault")))?;
    let words = fault
        .children()
        .find(|node| node.tag_name().name() == "faultstring")
        .and_then(|node| node.text());
    let first_line = words.unwrap_or_default().lines().next().unwrap_or_default();
    Some(match first_line.trim() {
        "" => "no reason is given".to_owned(),
        words => words.to_owned(),
    })
}

/// The prefixes change from version to version, so only the names count.
fn bean(document: &Document<'_>) -> Answer {
    let returned = document
        .descendants()
        .find(|node| node.tag_name().name() == "return");
    let fields = returned.into_iter().flat_map(|node| node.children());
    let fields = fields.filter(Node::is_element);
    Answer(
        fields
            .map(|field| {
                let text = field.text().unwrap_or_default().trim();
                (field.tag_name().name().to_owned(), text.to_owned())
            })
            .collect(),
    )
}
