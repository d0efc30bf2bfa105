//! `self_signed`: a private key and a certificate that it signed itself, for trials and first starts.

use super::shared::attributes::Attributes;
use super::shared::permissions::Permissions;
use super::{Fault, Kind, Module, Review};
use crate::system::{Command, Result, System};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Keeps a key and a certificate for `names`. Both are made anew when one is missing, when they do not
/// belong together, when the names differ, or when the certificate has expired.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfSigned {
    key: PathBuf,
    cert: PathBuf,
    /// Host names and addresses; the first is also the subject.
    names: Vec<String>,
    #[serde(default = "a_year")]
    days: u32,
    /// Of both files.
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    group: Option<String>,
    /// Of the key; the certificate is for everybody.
    #[serde(default)]
    mode: Option<Permissions>,
}

fn a_year() -> u32 {
    365
}

#[derive(Debug)]
pub struct Make {
    why: String,
}

impl fmt::Display for Make {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "make key and certificate: {}", self.why)
    }
}

impl Module for SelfSigned {
    const NAME: &'static str = "self_signed";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "keeps a key and a self-signed certificate for some names";
    const EXAMPLE: &'static str = "\
self_signed:
  key: /etc/ssl/private/lb.key
  cert: /etc/ssl/certs/lb.pem
  names: [api.example.com, \"*.gw.example.com\", 10.0.0.5]
  days: 825
";
    type Change = Make;

    fn review(&self, review: &mut Review<'_>) {
        review.absolute("key", self.key.as_path());
        review.absolute("cert", self.cert.as_path());
        if self.names.is_empty() {
            review.push(Fault::of("names", "", "a certificate needs at least one"));
        }
        for name in &self.names {
            review.filled("names", name.as_str());
        }
    }

    fn check(&self, system: &System) -> Result<Vec<Make>> {
        let why = self.trouble(system)?;
        Ok(Vec::from_iter(why.map(|why| Make { why })))
    }

    fn apply(&self, system: &System, _: Make) -> Result<()> {
        let (key, cert) = (fresh(&self.key), fresh(&self.cert));
        let made = system.expect(&self.request(&key, &cert)).and_then(|_| {
            // The key first: should we die in between, the two do not belong together and are made again.
            self.put(system, &key, &self.key, Some(0o600))?;
            self.put(system, &cert, &self.cert, Some(0o644))
        });
        system.remove(&key).and(system.remove(&cert)).and(made)
    }
}

impl SelfSigned {
    /// Why the pair has to be made; `None` when it is good.
    fn trouble(&self, system: &System) -> Result<Option<String>> {
        for path in [&self.key, &self.cert] {
            if system.meta(path)?.is_none() {
                return Ok(Some(format!("there is no {}", path.display())));
            }
        }
        let found = self.names_in_cert(system)?;
        let wanted: BTreeSet<_> = self.names.iter().map(|n| normal(n)).collect();
        if found != wanted {
            let found: Vec<_> = found.into_iter().collect();
            return Ok(Some(format!("it is for {}", found.join(", "))));
        }
        if !self
            .openssl(
                system,
                &["x509", "-checkend", "0", "-noout", "-in"],
                &self.cert,
            )?
            .0
        {
            return Ok(Some("it has expired".into()));
        }
        let of_key = self.openssl(system, &["pkey", "-pubout", "-in"], &self.key)?;
        let of_cert = self.openssl(system, &["x509", "-pubkey", "-noout", "-in"], &self.cert)?;
        Ok((of_key.1 != of_cert.1).then(|| "the key is not the certificate's".into()))
    }

    fn names_in_cert(&self, system: &System) -> Result<BTreeSet<String>> {
        let (_, text) = self.openssl(
            system,
            &["x509", "-noout", "-ext", "subjectAltName", "-in"],
            &self.cert,
        )?;
        let names = text.split([',', '\n']).filter_map(|part| {
            let part = part.trim();
            part.strip_prefix("DNS:")
                .or_else(|| part.strip_prefix("IP Address:"))
        });
        Ok(names.map(normal).collect())
    }

    /// Whether it succeeded, and what it said.
    fn openssl(&self, system: &System, words: &[&str], path: &Path) -> Result<(bool, String)> {
        let path = path.display().to_string();
        let argv = ["openssl"]
            .into_iter()
            .chain(words.iter().copied())
            .chain([path.as_str()]);
        let output = system.run(&Command::new(argv))?;
        Ok((output.ok(), output.stdout))
    }

    fn request(&self, key: &Path, cert: &Path) -> Command {
        let (days, key, cert) = (
            self.days.to_string(),
            key.display().to_string(),
            cert.display().to_string(),
        );
        Command::new([
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-sha256",
            "-days",
            &days,
            "-config",
            "/dev/stdin",
            "-keyout",
            &key,
            "-out",
            &cert,
        ])
        .input(self.config())
    }

    /// A configuration of our own: that of the distribution would make it a certificate authority,
    /// which careful clients refuse as a server.
    fn config(&self) -> String {
        // A subject may hold 64 letters; the names themselves are in the extension.
        let subject: String = self
            .names
            .iter()
            .take(1)
            .flat_map(|n| n.chars())
            .take(64)
            .collect();
        let names: Vec<_> = self.names.iter().map(|name| alternative(name)).collect();
        format!(
            "[req]\nprompt = no\ndistinguished_name = subject\nx509_extensions = server\n\
             [subject]\nCN = {subject}\n\
             [server]\nbasicConstraints = critical, CA:FALSE\nextendedKeyUsage = serverAuth\nsubjectAltName = {}\n",
            names.join(", ")
        )
    }

    fn put(&self, system: &System, from: &Path, to: &Path, usual: Option<u32>) -> Result<()> {
        let attributes = Attributes {
            owner: self.owner.as_deref(),
            group: self.group.as_deref(),
            mode: self.mode.as_ref().filter(|_| to == self.key),
        };
        let bytes = system.read(from)?.unwrap_or_default();
        let owner = attributes.numbers(system, None)?;
        system.write(
            to,
            &mut bytes.as_slice(),
            attributes.bits(None).or(usual),
            owner,
        )
    }
}

/// Where openssl writes it first.
fn fresh(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".apim-deploy-");
    name.push(path.file_name().unwrap_or_default());
    path.with_file_name(name)
}

fn alternative(name: &str) -> String {
    match name.parse::<IpAddr>() {
        Ok(address) => format!("IP:{address}"),
        Err(_) => format!("DNS:{name}"),
    }
}

/// openssl writes IPv6 addresses without `::`.
fn normal(name: &str) -> String {
    name.parse::<IpAddr>()
        .map_or_else(|_| name.to_lowercase(), |address| address.to_string())
}
