//! `certificate`: a trusted certificate under an alias of a Java keystore.
//!
//! keytool rewrites a keystore in place, and a server may read it meanwhile, so keytool works on a
//! copy that is then renamed into place. Passwords travel in the child's environment.

use super::shared::content::{self, Source};
use super::shared::keytool;
use super::{Brings, Fault, Kind, Module, Review};
use crate::system::{Command, Result, System, certificates, hex};
use crate::wire::{Content, Failure};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::path::PathBuf;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    keystore: PathBuf,
    password: String,
    alias: String,
    /// PEM; only its first certificate counts.
    #[serde(default, deserialize_with = "content::read")]
    content: Option<Content>,
    /// A file on the host, with `remote_src: true`; otherwise the controller turns it into `content`.
    #[serde(default)]
    src: Option<PathBuf>,
    #[serde(default)]
    remote_src: bool,
    #[serde(default)]
    java_home: Option<PathBuf>,
    /// Where keytool is, if neither in `java_home` nor on the path.
    #[serde(default)]
    keytool: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Import,
    Replace,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Import => "import",
            Self::Replace => "replace",
        })
    }
}

impl Module for Certificate {
    const NAME: &'static str = "certificate";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "keeps a trusted certificate in a Java keystore";
    const EXAMPLE: &'static str = "\
certificate:
  keystore: /opt/wso2/apim/current/repository/resources/security/client-truststore.jks
  password: \"{{ truststore_password }}\"
  alias: lb
  src: certs/lb.pem
  java_home: /usr/lib/jvm/java-17-openjdk-amd64
";
    const BRINGS: Brings = Brings::File;
    type Change = Change;

    fn review(&self, review: &mut Review<'_>) {
        review.absolute("keystore", self.keystore.as_path());
        review.filled("alias", self.alias.as_str());
        match &self.src {
            Some(src) if self.remote_src => review.absolute("src", src.as_path()),
            None if self.content.is_none() => review.push(
                Fault::new("`certificate` has no certificate")
                    .help("give `content`, `src`, or `src` with `remote_src: true`"),
            ),
            _ => {}
        }
    }

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        let wanted = fingerprint(&self.pem(system)?)
            .ok_or_else(|| Failure::new("what is to be imported is no certificate in PEM"))?;
        system.note("sha256", wanted.clone());
        Ok(match self.found(system)? {
            None => vec![Change::Import],
            Some(found) if found == wanted => vec![],
            Some(_) => vec![Change::Replace],
        })
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        let pem = self.pem(system)?;
        let copy = self.copy_path();
        if let Some(bytes) = system.read(&self.keystore)? {
            system.write(&copy, &mut bytes.as_slice(), Some(0o600), None)?;
        }
        let result = self.edit(system, &pem, change);
        // Whatever came of it, no copy of a keystore stays behind.
        system.remove(&copy).and(result)
    }
}

impl Certificate {
    fn pem(&self, system: &System) -> Result<String> {
        let source = match (&self.content, &self.src) {
            (Some(content), _) => Source::Sent(content),
            (None, Some(src)) if self.remote_src => Source::Host(src),
            _ => {
                return Err(Failure::new(
                    "`certificate` was not brought its certificate",
                ));
            }
        };
        let bytes = content::bytes(&source, system)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The fingerprint of what is under the alias.
    fn found(&self, system: &System) -> Result<Option<String>> {
        if system.meta(&self.keystore)?.is_none() {
            return Ok(None);
        }
        let output = system.run(&self.keytool("-list", &self.keystore, &["-rfc"]))?;
        match output.ok() {
            true => Ok(fingerprint(&output.stdout)),
            false if output.stdout.contains("does not exist") => Ok(None),
            false => Err(keytool::refused(&self.keystore, &output)),
        }
    }

    fn edit(&self, system: &System, pem: &str, change: Change) -> Result<()> {
        let copy = self.copy_path();
        if change == Change::Replace {
            self.must(system, &self.keytool("-delete", &copy, &[]))?;
        }
        let import = self
            .keytool("-importcert", &copy, &["-noprompt"])
            .input(pem);
        self.must(system, &import)?;
        let edited = system.read(&copy)?.unwrap_or_default();
        system.write(&self.keystore, &mut edited.as_slice(), None, None)
    }

    fn keytool(&self, verb: &str, keystore: &std::path::Path, more: &[&str]) -> Command {
        let program = match &self.keytool {
            Some(keytool) => keytool.display().to_string(),
            None => keytool::program(self.java_home.as_deref()),
        };
        let words = [verb, "-alias", &self.alias];
        keytool::command(&program, &words, keystore, &self.password, more)
    }

    fn must(&self, system: &System, command: &Command) -> Result<()> {
        let output = system.run(command)?;
        match output.ok() {
            true => Ok(()),
            false => Err(keytool::refused(&self.keystore, &output)),
        }
    }

    /// Beside the keystore, since it has to be renamed; keytool insists on a path of its own.
    fn copy_path(&self) -> PathBuf {
        let mut name = std::ffi::OsString::from(".apim-deploy-");
        name.push(self.keystore.file_name().unwrap_or_default());
        self.keystore.with_file_name(name)
    }
}

/// The sha256 of the first certificate in PEM text, in lower-case hex.
fn fingerprint(pem: &str) -> Option<String> {
    let der = certificates(pem).into_iter().next()?;
    Some(hex(&Sha256::digest(der)))
}
