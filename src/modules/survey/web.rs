//! What servers answer over HTTP.

use super::{Scene, at_most};
use crate::system::{Request, Result, Text};
use crate::wire::Failure;
use crate::wire::survey::{HttpAnswer, HttpFacts, HttpRequest};
use serde_json::Value;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

pub fn look(scene: &Scene<'_>, asked: &[HttpRequest]) -> Vec<HttpAnswer> {
    let requests: Vec<_> = logins(scene, asked)
        .into_iter()
        .zip(asked)
        .map(|(token, asked)| token.map(|token| (question(asked, token), keep(asked))))
        .collect();
    let sent: Vec<_> = requests.iter().filter_map(|r| r.clone().ok()).collect();
    let mut answers = scene
        .system
        .ask_all(sent, at_most(scene.system, PATIENCE * 2))
        .into_iter();
    let mut answer = |request: Result<_>| {
        request?;
        let answer = answers.next();
        answer.unwrap_or_else(|| Err(Failure::new("it was not asked")))
    };
    requests
        .into_iter()
        .zip(asked)
        .map(|(request, asked)| HttpAnswer {
            name: asked.name.clone(),
            answer: answer(request).map(|text| told(scene, &text)).into(),
        })
        .collect()
}

fn keep(asked: &HttpRequest) -> u64 {
    const MOST: u32 = 65_536;
    asked.keep.min(MOST).into()
}

fn told(scene: &Scene<'_>, answer: &Text) -> HttpFacts {
    HttpFacts {
        status: answer.status,
        location: answer.header("location").map(|l| scene.mask.line(l)),
        body: scene.mask.clean(&answer.body),
    }
}

fn question(asked: &HttpRequest, token: Option<String>) -> Request {
    let bearer = token.map(|token| ("Authorization".to_owned(), format!("Bearer {token}")));
    Request {
        headers: bearer.into_iter().collect(),
        ..plain(asked, &asked.url)
    }
}

fn plain(asked: &HttpRequest, url: &str) -> Request {
    let password = asked.password.clone().unwrap_or_default();
    Request {
        login: asked.user.clone().map(|user| (user, password)),
        verify: false,
        timeout: PATIENCE,
        redirects: 0,
        ..Request::get(url)
    }
}

/// For each question the token that opens it, or none where none is needed.
fn logins(scene: &Scene<'_>, asked: &[HttpRequest]) -> Vec<Result<Option<String>>> {
    const LONGEST: u64 = 65_536;
    let login = |asked: &HttpRequest| Some((plain(asked, asked.login.as_ref()?), LONGEST));
    let questions = asked.iter().filter_map(login).collect();
    let mut answers = scene
        .system
        .ask_all(questions, at_most(scene.system, PATIENCE * 2))
        .into_iter();
    let mut token = |asked: &HttpRequest| match (
        &asked.login,
        asked.login.as_ref().and_then(|_| answers.next()),
    ) {
        (Some(_), Some(answer)) => token(&answer?).map(Some),
        _ => Ok(None),
    };
    asked.iter().map(&mut token).collect()
}

/// Source: wso2/micro-integrator, the management API's `/login`.
fn token(answer: &Text) -> Result<String> {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let token = body.get("AccessToken").and_then(Value::as_str);
    token.map(ToOwned::to_owned).ok_or_else(|| {
        Failure::new(format!(
            "the login answers {} and gives no token",
            answer.status
        ))
    })
}
