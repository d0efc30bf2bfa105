//! Asking over HTTP: names go through `resolve`, trust comes from the host's own certificates.
//!
//! A rehearsal answers `METHOD URL`, for SOAP `METHOD URL ACTION`, from its table: the exit code is the status,
//! stdout the body, and exit code 0 means that nobody answered.

use super::{Command, Result, System, resolve, together};
use crate::wire::Failure;
use base64::Engine as _;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector as _, NextTimeout, RustlsConnector, TcpConnector};

/// A question to a web server.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    /// User and password, for Basic authentication.
    pub login: Option<(String, String)>,
    /// Whether the server must prove who it is.
    pub verify: bool,
    /// For each of: connecting, the wait for the answer's head, the wait for more of its body.
    pub timeout: Duration,
    pub redirects: u32,
    /// Where to ask, whatever the host of the URL resolves to.
    pub address: Option<IpAddr>,
}

impl Request {
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: "GET".into(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
            login: None,
            verify: true,
            timeout: Duration::from_secs(30),
            redirects: 10,
            address: None,
        }
    }

    /// For messages.
    pub fn shown(&self) -> String {
        format!("{} {}", self.method, self.url)
    }

    fn all_headers(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let login = self.login.iter().map(|(user, password)| {
            let both =
                base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            ("Authorization".to_owned(), format!("Basic {both}"))
        });
        // An explicit header is the author's last word, so it comes instead of ours.
        let explicit = self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        login
            .filter(move |_| !explicit)
            .chain(self.headers.iter().cloned())
    }
}

/// The host that an address names.
pub fn host_of(url: &str) -> Option<String> {
    let address: ureq::http::Uri = url.parse().ok()?;
    address.host().map(str::to_owned)
}

/// The answer, whatever its status. The body is read by whoever wants it.
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Box<dyn Read>,
}

impl Response {
    /// The body as text, cut after `limit` bytes.
    pub fn text(self, limit: u64) -> Result<String> {
        let mut bytes = Vec::new();
        self.body
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(|e| Failure::new(format!("the answer broke off: {e}")))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// An answer whose body was read, so that it can pass between threads.
#[derive(Debug, Clone)]
pub struct Text {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Text {
    fn of(response: Response, keep: u64) -> Result<Self> {
        Ok(Self {
            status: response.status,
            headers: response.headers.clone(),
            body: response.text(keep)?,
        })
    }

    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(n, _)| n == name);
        header.map(|(_, value)| value.as_str())
    }
}

impl System {
    /// Asks all of them at the same time, and reads `keep` bytes of each body.
    pub fn ask_all(&self, requests: Vec<(Request, u64)>, within: Duration) -> Vec<Result<Text>> {
        let one = |(request, keep): (Request, u64)| Text::of(self.ask(&request)?, keep);
        if self.is_rehearsal() {
            return requests.into_iter().map(one).collect();
        }
        let names: Vec<_> = requests.iter().map(|(r, _)| r.shown()).collect();
        let answers = together::all(requests, within, |(request, keep)| {
            Text::of(ask_for_real(&request)?, keep)
        });
        let given = names.into_iter().zip(answers);
        given
            .map(|(name, answer)| {
                answer.unwrap_or_else(|| {
                    Err(Failure::new(format!("{name} was not answered in time")))
                })
            })
            .collect()
    }

    /// Asks once. A status is never a failure here; no answer is.
    pub fn ask(&self, request: &Request) -> Result<Response> {
        if self.is_rehearsal() {
            return self.rehearse_answer(request);
        }
        ask_for_real(request)
    }

    fn rehearse_answer(&self, request: &Request) -> Result<Response> {
        // Of SOAP's operations, which share an address, this header tells which is meant.
        let action = request
            .headers
            .iter()
            .find(|(name, _)| name == "SOAPAction");
        let action = action.map(|(_, action)| action.trim_matches('"'));
        let words = [request.method.as_str(), request.url.as_str()];
        let output = self.run(&Command::new(words.into_iter().chain(action)))?;
        match u16::try_from(output.code) {
            Ok(status) if status > 0 => Ok(Response {
                status,
                headers: Vec::new(),
                body: Box::new(std::io::Cursor::new(output.stdout)),
            }),
            _ => Err(Failure::new(format!(
                "{} got no answer: {}",
                request.shown(),
                output.stderr
            ))),
        }
    }
}

fn ask_for_real(request: &Request) -> Result<Response> {
    ask_by(&agent(request)?, request)
}

/// By an agent that keeps its connections: those of one agent go to one address, with one way to trust.
pub(super) fn ask_by(agent: &ureq::Agent, request: &Request) -> Result<Response> {
    let call = prepared(request)?;
    let response = agent.run(call).map_err(|e| unanswered(request, &e))?;
    let (head, body) = response.into_parts();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Response {
        status: head.status.as_u16(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
            .collect(),
        body: Box::new(body.into_reader()),
    })
}

fn prepared(request: &Request) -> Result<ureq::http::Request<Vec<u8>>> {
    let wrong = |e| Failure::new(format!("{} cannot be asked: {e}", request.shown()));
    let mut call = ureq::http::Request::builder()
        .method(request.method.as_str())
        .uri(&request.url);
    for (name, value) in request.all_headers() {
        call = call.header(name, value);
    }
    call.body(request.body.clone().unwrap_or_default())
        .map_err(wrong)
}

pub(super) fn agent(request: &Request) -> Result<ureq::Agent> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(request.redirects)
        .max_redirects_will_error(false)
        .allow_non_standard_methods(true)
        // The worker's own environment must not send a question for 127.0.0.1 through a proxy.
        .proxy(None)
        .user_agent("apim-deploy")
        .timeout_connect(Some(request.timeout))
        .timeout_recv_response(Some(request.timeout))
        .timeout_per_read(Some(request.timeout))
        .tls_config(trust(request)?)
        .build();
    let connector = ().chain(TcpConnector::default()).chain(RustlsConnector::default());
    let resolver = ByFiles {
        address: request.address,
    };
    Ok(ureq::Agent::with_parts(config, connector, resolver))
}

fn trust(request: &Request) -> Result<TlsConfig> {
    let roots = if request.verify && request.url.starts_with("https") {
        host_roots()?
    } else {
        RootCerts::Specific(Arc::new(Vec::new()))
    };
    Ok(TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .disable_verification(!request.verify)
        .root_certs(roots)
        .build())
}

fn host_roots() -> Result<RootCerts> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.iter().map(ToString::to_string);
        return Err(
            Failure::new("this host has no certificates of authorities to trust")
                .detail(why)
                .help("install the package `ca-certificates`, or say `validate_certs: false`"),
        );
    }
    let roots = found
        .certs
        .iter()
        .map(|c| Certificate::from_der(c).to_owned());
    Ok(RootCerts::Specific(Arc::new(roots.collect())))
}

fn unanswered(request: &Request, e: &ureq::Error) -> Failure {
    let reason = reason(e);
    let failure = Failure::new(format!("{} got no answer: {reason}", request.shown()));
    // rustls speaks through an input error of the handshake, so only the words are left.
    match reason.contains("certificate") {
        true => failure.help(
            "add the server's authority to this host's trusted certificates, or say `validate_certs: false`",
        ),
        false => failure,
    }
}

/// Without the words that ureq and the standard library put around the reason.
fn reason(e: &ureq::Error) -> String {
    match e {
        ureq::Error::Io(e) => match e.kind() {
            std::io::ErrorKind::ConnectionRefused => "connection refused".into(),
            _ => e.to_string(),
        },
        other => other.to_string(),
    }
}

/// Resolves as the rest of the worker does.
#[derive(Debug)]
struct ByFiles {
    /// Instead of what the files say.
    address: Option<IpAddr>,
}

impl Resolver for ByFiles {
    fn resolve(
        &self,
        uri: &ureq::http::Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> std::result::Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
            Some("https") => 443,
            _ => 80,
        });
        let mut all = self.empty();
        // ureq's list holds 16.
        let addresses = match self.address {
            Some(address) => vec![address],
            None => resolve::addresses(host)?,
        };
        for address in addresses.into_iter().take(16) {
            all.push(SocketAddr::new(address, port));
        }
        Ok(all)
    }
}
