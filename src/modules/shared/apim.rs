//! API Manager's management port, asked as one of its users.

use super::patience::{Attempt, insist};
use crate::system::{Request, Result, System, tail};
use crate::wire::Failure;
use std::time::Duration;

/// A new tenant's registry is written before its creation is answered.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Kept of an answer, in bytes.
const KEPT: u64 = 8 << 20;

/// A list of all entries of a tenant's service catalog. Any role of API Manager's own may ask for it, and being asked
/// for makes API Manager load the tenant. Source: wso2/carbon-apimgt, `BasicAuthenticationInterceptor`.
pub const SERVICES: &str = "/api/am/service-catalog/v1/services";

/// Where and as whom.
pub struct Login {
    pub url: String,
    pub user: String,
    pub password: String,
    pub validate_certs: bool,
}

pub struct Reply {
    /// `GET https://...`, for messages.
    pub asked: String,
    pub status: u16,
    pub text: String,
}

pub fn default_url() -> String {
    "https://localhost:9443".into()
}

impl Login {
    pub fn request(&self, method: &str, path: &str) -> Request {
        let base = self.url.trim_end_matches('/');
        Request {
            method: method.into(),
            login: Some((self.user.clone(), self.password.clone())),
            verify: self.validate_certs,
            timeout: TIMEOUT,
            // Admin pages answer strangers with a way to their login page.
            redirects: 0,
            ..Request::get(format!("{base}{path}"))
        }
    }
}

pub fn ask(system: &System, request: &Request) -> Result<Reply> {
    let response = system.ask(request)?;
    Ok(Reply {
        asked: request.shown(),
        status: response.status,
        text: response.text(KEPT)?,
    })
}

/// Asks until there is an answer that a started server gives. 401 is one: it goes to whoever asked.
pub fn ask_patiently(system: &System, request: &Request, limit: Duration) -> Result<Reply> {
    insist(system, limit, || {
        Ok(match ask(system, request) {
            // While a server starts, its services are missing one after the other.
            Ok(reply) if matches!(reply.status, 302 | 404 | 502..=504) => {
                Attempt::NotYet(reply.unexpected())
            }
            Ok(reply) => Attempt::Done(reply),
            Err(failure) => Attempt::NotYet(failure),
        })
    })
}

impl Reply {
    pub fn unexpected(&self) -> Failure {
        let shorten = |line: String| line.chars().take(300).collect();
        Failure::new(format!("{} answers {}", self.asked, self.status))
            .detail(tail(&self.text, 8).into_iter().map(shorten))
    }
}
