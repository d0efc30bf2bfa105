//! Knocking at many ports of other hosts at once: is it open, what does it say, what does it present.
//!
//! A rehearsal answers `connect HOST:PORT` from its table: exit code 0 is an open port, any other the number of
//! the error, and stdout what the server says first. `tls HOST:PORT` answers what it presents, in PEM.

use super::{Command, Result, System, pem, resolve, together};
use crate::wire::Failure;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One port, and what is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Knock {
    pub host: String,
    pub port: u16,
    pub want: Want,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// That it is open.
    Open,
    /// What the server says of its own accord.
    Greeting,
    /// The certificates that it presents.
    Chain,
}

/// An open port.
#[derive(Debug, Clone)]
pub struct Knocked {
    pub took: Duration,
    /// Empty unless asked for.
    pub greeting: Vec<u8>,
    /// In DER, the server's own first; `None` unless asked for.
    pub chain: Option<Result<Vec<Vec<u8>>>>,
}

/// For one connection.
const PATIENCE: Duration = Duration::from_secs(2);

impl System {
    /// Knocks at all of them at the same time; `None` where the turn did not come `within` this time.
    pub fn knock_all(
        &self,
        knocks: Vec<Knock>,
        within: Duration,
    ) -> Vec<Option<io::Result<Knocked>>> {
        match self.is_rehearsal() {
            true => knocks
                .iter()
                .map(|k| Some(self.rehearse_knock(k)))
                .collect(),
            false => together::all(knocks, within, knock),
        }
    }

    fn rehearse_knock(&self, knock: &Knock) -> io::Result<Knocked> {
        let silent = |_: Failure| io::Error::from(io::ErrorKind::TimedOut);
        let output = self
            .run(&resolve::rehearsed(&knock.host, knock.port))
            .map_err(silent)?;
        if !output.ok() {
            return Err(io::Error::from_raw_os_error(output.code));
        }
        let shown = format!("{}:{}", knock.host, knock.port);
        let chain = || {
            Ok(pem::certificates(
                &self.run(&Command::new(["tls", &shown]))?.stdout,
            ))
        };
        Ok(Knocked {
            took: Duration::ZERO,
            greeting: output.stdout.into_bytes(),
            chain: (knock.want == Want::Chain).then(chain),
        })
    }
}

fn knock(knock: Knock) -> io::Result<Knocked> {
    let began = Instant::now();
    let stream = resolve::connect(&knock.host, knock.port, PATIENCE)?;
    let took = began.elapsed();
    let (greeting, chain) = match knock.want {
        Want::Open => (Vec::new(), None),
        Want::Greeting => (resolve::listen(stream, PATIENCE), None),
        Want::Chain => (Vec::new(), Some(presented(&knock.host, stream))),
    };
    Ok(Knocked {
        took,
        greeting,
        chain,
    })
}

/// The certificates of a handshake, also of one that fails later on: a server may want one from us.
fn presented(host: &str, mut stream: TcpStream) -> Result<Vec<Vec<u8>>> {
    let wrong = |e: &dyn std::fmt::Display| Failure::new(format!("no TLS handshake: {e}"));
    let name = ServerName::try_from(host.to_owned()).map_err(|e| wrong(&e))?;
    let witness = Arc::new(Witness::default());
    let config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong(&e))?
        .dangerous()
        .with_custom_certificate_verifier(witness.clone())
        .with_no_client_auth();
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(|e| wrong(&e))?;
    stream
        .set_read_timeout(Some(PATIENCE))
        .map_err(|e| wrong(&e))?;
    let mut last = None;
    while connection.is_handshaking() && last.is_none() {
        last = connection.complete_io(&mut stream).err();
    }
    let chain = witness.chain();
    match last {
        Some(e) if chain.is_empty() => Err(wrong(&e)),
        _ => Ok(chain),
    }
}

fn provider() -> rustls::crypto::CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

/// Keeps what it is shown and believes it: nothing is ever sent over such a connection.
#[derive(Debug, Default)]
struct Witness(Mutex<Vec<Vec<u8>>>);

impl Witness {
    fn chain(&self) -> Vec<Vec<u8>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let all = std::iter::once(own).chain(others);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = all.map(|c| c.to_vec()).collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
