//! Whether the machine that answers is the one that is meant; and why a connection ended.

use super::known_hosts::{KnownHosts, Recorded, Verdict};
use super::{Lost, Target};
use crate::wire::Failure;
use russh::client::{DisconnectReason, Handler, Session};
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};
use std::sync::{Arc, Mutex, PoisonError};

/// What is learned inside russh and asked for outside.
#[derive(Debug, Clone, Default)]
pub struct Remarks(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    distrust: Option<Failure>,
    goodbye: Option<String>,
}

impl Remarks {
    /// Why the host key was not accepted.
    pub fn distrust(&self) -> Option<Lost> {
        self.noted().distrust.clone().map(Lost::Refused)
    }

    /// Why the connection ended.
    pub fn goodbye(&self) -> Option<String> {
        self.noted().goodbye.clone()
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Judges the host key.
pub struct Trust {
    target: Target,
    known: KnownHosts,
    remarks: Remarks,
}

impl Trust {
    pub fn new(target: Target, known: KnownHosts, remarks: Remarks) -> Self {
        Self {
            target,
            known,
            remarks,
        }
    }

    fn judge(&self, key: &PublicKeyOrCertificate) -> Result<(), Failure> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else {
            // Never asked for, since none is in our preferences.
            return Err(Failure::new(format!(
                "{} proves itself with a certificate, which is not supported",
                self.target.shown()
            )));
        };
        match self.known.judge(&self.target.address, self.target.port, key) {
            Verdict::Known => Ok(()),
            Verdict::Unknown { others } => Err(self.unknown(key, &others)),
            Verdict::Changed(recorded) => Err(self.changed(key, &recorded)),
            Verdict::Revoked { file, line } => Err(Failure::new(format!(
                "the host key of {} is revoked by {}:{line}: {}",
                self.target.shown(),
                file.display(),
                fingerprint(key)
            ))
            .help("whoever answers there holds a key that was given up: find out why before anything else")),
        }
    }

    fn unknown(&self, key: &PublicKey, others: &[Recorded]) -> Failure {
        let word = word(&key.algorithm());
        let recorded = others.iter().map(|other| {
            format!(
                "recorded, and not shown by the host: {} in {}:{}",
                fingerprint(&other.key),
                other.file.display(),
                other.line
            )
        });
        Failure::new(format!("the host key of {} is not known: {}", self.target.shown(), fingerprint(key)))
            .detail(recorded)
            .help(format!(
                "compare the fingerprint with `ssh-keygen -lf /etc/ssh/ssh_host_{word}_key.pub` on the host; when they are equal, trust it: ssh-keyscan -t {word} -p {} {} >> {}",
                self.target.port,
                self.target.address,
                self.file()
            ))
    }

    fn changed(&self, key: &PublicKey, recorded: &Recorded) -> Failure {
        let file = recorded.file.display();
        let entry = match self.target.port {
            22 => self.target.address.clone(),
            port => format!("'[{}]:{port}'", self.target.address),
        };
        Failure::new(format!("the host key of {} has changed: another machine may be answering", self.target.shown()))
            .detail([
                format!("shown    {}", fingerprint(key)),
                format!("recorded {} in {file}:{}", fingerprint(&recorded.key), recorded.line),
            ])
            .help(format!(
                "if the host was installed anew, compare the new fingerprint on its console, then forget the old key: ssh-keygen -R {entry} -f {file}"
            ))
    }

    fn file(&self) -> String {
        self.target.known_hosts.first().map_or_else(
            || "~/.ssh/known_hosts".to_owned(),
            |file| file.display().to_string(),
        )
    }
}

fn fingerprint(key: &PublicKey) -> String {
    format!(
        "{} {}",
        word(&key.algorithm()).to_uppercase(),
        key.fingerprint(HashAlg::Sha256)
    )
}

/// As ssh-keyscan and the names of host key files have it.
fn word(algorithm: &Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Ed25519 => "ed25519",
        Algorithm::Ecdsa { .. } => "ecdsa",
        _ => "rsa",
    }
}

impl Handler for Trust {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let verdict = self.judge(key);
        let trusted = verdict.is_ok();
        self.remarks.noted().distrust = verdict.err();
        Ok(trusted)
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        let (goodbye, result) = match reason {
            DisconnectReason::ReceivedDisconnect(said) => (said.message, Ok(())),
            DisconnectReason::Error(e) => (in_words(&e), Err(e)),
        };
        self.remarks.noted().goodbye = Some(goodbye);
        result
    }

    async fn auth_banner(&mut self, _: &str, _: &mut Session) -> Result<(), Self::Error> {
        // Legal notices; the people who should read them are not at this terminal.
        Ok(())
    }
}

/// russh's errors for people who know neither russh nor the protocol.
pub fn in_words(e: &russh::Error) -> String {
    match e {
        russh::Error::KeepaliveTimeout | russh::Error::InactivityTimeout => {
            "no sign of life any more".to_owned()
        }
        russh::Error::HUP
        | russh::Error::Disconnect
        | russh::Error::SendError
        | russh::Error::RecvError => "the other end hung up".to_owned(),
        russh::Error::NoCommonAlgo { kind, theirs, .. } => {
            format!(
                "no {kind:?} algorithm in common; it offers only {}",
                theirs.join(", ")
            )
        }
        other => other.to_string(),
    }
}
