//! known_hosts, read as OpenSSH reads it.
//!
//! Our own, because russh's helper accepts a revoked key, and knows neither wildcards, negation, tabs nor
//! certificate authorities. Lines of `@cert-authority` never make a plain key trusted. Nothing is
//! ever written here: whom to trust is a person's decision.

use crate::wire::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey};
use sha1::Sha1;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// All files of one connection, in order.
#[derive(Debug)]
pub struct KnownHosts(Vec<Arc<File>>);

/// What the files say of a host and the key it showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Known,
    /// No key of this kind is recorded; perhaps others are.
    Unknown {
        others: Vec<Recorded>,
    },
    /// Another key of this kind is recorded.
    Changed(Recorded),
    /// Somebody marked this very key as not to be trusted.
    Revoked {
        file: PathBuf,
        line: usize,
    },
}

/// A key in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub file: PathBuf,
    pub line: usize,
    pub key: PublicKey,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    number: usize,
    marker: Marker,
    hosts: Hosts,
    /// Decoded only for the hosts that are asked for: files of thousands of lines are common.
    key: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    None,
    Revoked,
    CertAuthority,
}

#[derive(Debug)]
enum Hosts {
    Patterns(String),
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

impl KnownHosts {
    /// A file that does not exist is empty; one that cannot be read, or that others may write, is an error.
    pub fn load(paths: &[PathBuf]) -> Result<Self, Failure> {
        paths
            .iter()
            .map(|path| cached(path))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub fn judge(&self, host: &str, port: u16, key: &PublicKey) -> Verdict {
        let name = lookup_name(host, port);
        if let Some((file, line)) = self
            .matching(&name, Marker::Revoked)
            .find(|(_, line)| line.has(key))
        {
            return Verdict::Revoked {
                file: file.path.clone(),
                line: line.number,
            };
        }
        let recorded = self.recorded(&name);
        if recorded.iter().any(|r| r.key.key_data() == key.key_data()) {
            return Verdict::Known;
        }
        match recorded
            .iter()
            .find(|r| r.key.algorithm() == key.algorithm())
        {
            Some(other) => Verdict::Changed(other.clone()),
            None => Verdict::Unknown { others: recorded },
        }
    }

    /// The algorithms of the recorded keys: asked for first, so that a host with several keys shows one
    /// that we can compare.
    pub fn algorithms(&self, host: &str, port: u16) -> Vec<Algorithm> {
        self.recorded(&lookup_name(host, port))
            .iter()
            .map(|recorded| recorded.key.algorithm())
            .collect()
    }

    fn recorded(&self, name: &str) -> Vec<Recorded> {
        self.matching(name, Marker::None)
            .filter_map(|(file, line)| {
                Some(Recorded {
                    file: file.path.clone(),
                    line: line.number,
                    key: line.public_key()?,
                })
            })
            .collect()
    }

    fn matching<'a>(
        &'a self,
        name: &'a str,
        marker: Marker,
    ) -> impl Iterator<Item = (&'a File, &'a Line)> {
        self.0
            .iter()
            .flat_map(|file| file.lines.iter().map(move |line| (&**file, line)))
            .filter(move |(_, line)| line.marker == marker && line.hosts.contain(name))
    }
}

/// How OpenSSH writes a host: with its port only when that is not 22.
fn lookup_name(host: &str, port: u16) -> String {
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    match port {
        22 => host,
        _ => format!("[{host}]:{port}"),
    }
}

/// The host keys that we accept, best first. No `ssh-rsa`: its signatures use SHA-1.
pub fn acceptable() -> Vec<Algorithm> {
    let ecdsa = |curve| Algorithm::Ecdsa { curve };
    let rsa = |hash| Algorithm::Rsa { hash: Some(hash) };
    vec![
        Algorithm::Ed25519,
        ecdsa(EcdsaCurve::NistP256),
        ecdsa(EcdsaCurve::NistP384),
        ecdsa(EcdsaCurve::NistP521),
        rsa(HashAlg::Sha512),
        rsa(HashAlg::Sha256),
    ]
}

/// The acceptable algorithms, those of recorded keys first.
pub fn preferred(recorded: &[Algorithm]) -> Vec<Algorithm> {
    let mut algorithms = acceptable();
    // Stable: within both halves the best stays first. A recorded RSA key serves both of its hashes.
    algorithms.sort_by_key(|a| {
        !recorded
            .iter()
            .any(|r| r == a || matches!((r, a), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. })))
    });
    algorithms
}

impl Line {
    fn parse(number: usize, text: &str) -> Option<Self> {
        let mut fields = text.split_whitespace();
        let first = fields.next().filter(|field| !field.starts_with('#'))?;
        let (marker, hosts) = match first {
            "@revoked" => (Marker::Revoked, fields.next()?),
            "@cert-authority" => (Marker::CertAuthority, fields.next()?),
            // A marker of a later OpenSSH must not turn into a trusted host.
            marker if marker.starts_with('@') => return None,
            hosts => (Marker::None, hosts),
        };
        Some(Self {
            number,
            marker,
            hosts: Hosts::parse(hosts)?,
            key: format!("{} {}", fields.next()?, fields.next()?),
        })
    }

    /// `None` for kinds of key that we do not speak.
    fn public_key(&self) -> Option<PublicKey> {
        PublicKey::from_openssh(&self.key).ok()
    }

    /// Compares the key itself: `PublicKey` would compare comments, too.
    fn has(&self, key: &PublicKey) -> bool {
        self.public_key()
            .is_some_and(|own| own.key_data() == key.key_data())
    }
}

impl Hosts {
    fn parse(text: &str) -> Option<Self> {
        let Some(hashed) = text.strip_prefix("|1|") else {
            return Some(Self::Patterns(text.to_ascii_lowercase()));
        };
        let (salt, hash) = hashed.split_once('|')?;
        Some(Self::Hashed {
            salt: BASE64.decode(salt).ok()?,
            hash: BASE64.decode(hash).ok()?,
        })
    }

    fn contain(&self, name: &str) -> bool {
        match self {
            Self::Patterns(patterns) => matches_list(patterns, name),
            Self::Hashed { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
                .map(|hmac| hmac.chain_update(name))
                .is_ok_and(|hmac| hmac.verify_slice(hash).is_ok()),
        }
    }
}

/// One pattern must match, and none with `!` in front.
fn matches_list(patterns: &str, name: &str) -> bool {
    let mut found = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(not) if matches(not.as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => found |= matches(pattern.as_bytes(), name.as_bytes()),
        }
    }
    found
}

/// `*` and `?`, in time proportional to the product of both lengths at worst.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                // The last star takes one more character.
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, n) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// What tells one state of a file from another.
type Stamp = (u64, u64, i64, i64);

/// Parsed files: hundreds of connections read the same ones.
static CACHE: Mutex<Vec<(PathBuf, Stamp, Arc<File>)>> = Mutex::new(Vec::new());

fn cached(path: &Path) -> Result<Arc<File>, Failure> {
    let Some(stamp) = stamp(path)? else {
        return Ok(Arc::new(File {
            path: path.into(),
            lines: Vec::new(),
        }));
    };
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, _, file)) = cache.iter().find(|(p, s, _)| p == path && *s == stamp) {
        return Ok(Arc::clone(file));
    }
    let file = Arc::new(read(path)?);
    cache.retain(|(p, _, _)| p != path);
    cache.push((path.into(), stamp, Arc::clone(&file)));
    Ok(file)
}

/// `None` when there is no file.
fn stamp(path: &Path) -> Result<Option<Stamp>, Failure> {
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(path, &e.to_string())),
    };
    if meta.is_dir() {
        return Err(unreadable(path, "it is a directory"));
    }
    if meta.is_file() && meta.permissions().mode() & 0o002 != 0 {
        return Err(
            unreadable(path, "everyone may write to it, so it proves nothing")
                .help(format!("chmod o-w {}", path.display())),
        );
    }
    Ok(Some((
        meta.ino(),
        meta.size(),
        meta.mtime(),
        meta.mtime_nsec(),
    )))
}

fn read(path: &Path) -> Result<File, Failure> {
    let bytes = std::fs::read(path).map_err(|e| unreadable(path, &e.to_string()))?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().enumerate();
    Ok(File {
        path: path.into(),
        lines: lines
            .filter_map(|(at, line)| Line::parse(at + 1, line))
            .collect(),
    })
}

fn unreadable(path: &Path, why: &str) -> Failure {
    Failure::new(format!(
        "the known hosts file {} cannot be used: {why}",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const ED: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINZ12loqQDfp9UdhqA9d1c2/qmQSBX2Nth9mZojyH1eV";
    const ED2: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMGqvx0084tm7J+fFQpYLgAXmOIq75utBzhU3k6KkFqT";
    const EC: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBBiYl7UQxpGPWp5MhJBjeffPubCqe0atrzbNJO33rKVxA+NGyZlIyrIFWigfXgb6cbVb8YyqDFdkz2czSnIBAc0=";

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).unwrap()
    }

    fn files(text: &str) -> (tempfile::TempDir, PathBuf, KnownHosts) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        std::fs::write(&path, text).unwrap();
        let known = KnownHosts::load(std::slice::from_ref(&path)).unwrap();
        (dir, path, known)
    }

    fn judge(text: &str, host: &str, port: u16) -> Verdict {
        files(text).2.judge(host, port, &key(ED))
    }

    #[test]
    fn lines_are_found_where_ssh_keygen_finds_them() {
        let (dir, path, _) = files(&format!(
            "# comment\nplain {ED}\n10.0.0.1,alias\t{ED}\n[ported]:2222 {ED}\n*.example.com,!bad.example.com {ED}\nUPPER {ED}\n"
        ));
        let hashed = dir.path().join("hashed");
        std::fs::write(&hashed, format!("secret {ED}\n[secret]:2222 {ED}\n")).unwrap();
        let status = Command::new("ssh-keygen")
            .args(["-q", "-H", "-f"])
            .arg(&hashed)
            .output()
            .unwrap()
            .status;
        assert!(status.success());
        let table = [
            ("plain", 22),
            ("plain", 2222),
            ("10.0.0.1", 22),
            ("alias", 22),
            ("ali", 22),
            ("ported", 2222),
            ("ported", 22),
            ("a.example.com", 22),
            ("bad.example.com", 22),
            ("example.com", 22),
            ("upper", 22),
            ("secret", 22),
            ("secret", 2222),
            ("secret", 2223),
        ];
        for file in [path, hashed] {
            let known = KnownHosts::load(std::slice::from_ref(&file)).unwrap();
            for (host, port) in table {
                let asked = Command::new("ssh-keygen")
                    .args(["-F", &lookup_name(host, port), "-f"])
                    .arg(&file)
                    .output()
                    .unwrap();
                let ours = known.judge(host, port, &key(ED)) == Verdict::Known;
                assert_eq!(
                    ours,
                    asked.status.success(),
                    "{host} {port} in {}",
                    file.display()
                );
            }
        }
    }

    #[test]
    fn another_key_of_the_same_kind_is_a_change_with_its_line() {
        let Verdict::Changed(recorded) = judge(&format!("# first\n\nh {ED2}\n"), "h", 22) else {
            panic!("not seen")
        };
        assert_eq!(recorded.line, 3);
        assert_eq!(recorded.key.key_data(), key(ED2).key_data());
    }

    #[test]
    fn a_key_of_another_kind_is_unknown_and_its_algorithm_is_asked_for_first() {
        let (_dir, _, known) = files(&format!("h {EC}\n"));
        assert!(
            matches!(known.judge("h", 22, &key(ED)), Verdict::Unknown { others } if others.len() == 1)
        );
        let first = preferred(&known.algorithms("h", 22)).remove(0);
        assert_eq!(first, key(EC).algorithm());
    }

    #[test]
    fn a_revoked_key_is_refused_even_beside_a_line_that_trusts_it() {
        let text = format!("h {ED}\n@revoked * {ED} stolen\n");
        assert!(matches!(
            judge(&text, "h", 22),
            Verdict::Revoked { line: 2, .. }
        ));
    }

    #[test]
    fn an_authority_makes_no_plain_key_trusted() {
        let unknown = Verdict::Unknown { others: vec![] };
        assert_eq!(
            judge(&format!("@cert-authority * {ED}\n"), "h", 22),
            unknown
        );
        assert_eq!(judge(&format!("@later-marker h {ED}\n"), "h", 22), unknown);
    }

    #[test]
    fn comments_do_not_make_keys_differ() {
        assert_eq!(judge(&format!("h {ED} root@h\n"), "h", 22), Verdict::Known);
    }

    #[test]
    fn a_missing_file_is_empty_and_a_doubtful_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(KnownHosts::load(&[dir.path().join("missing")]).is_ok());
        assert!(KnownHosts::load(&[dir.path().into()]).is_err());
        let open = dir.path().join("open");
        std::fs::write(&open, "").unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(KnownHosts::load(&[open]).is_err());
    }

    #[test]
    fn stars_backtrack() {
        assert!(matches(b"*a*b", b"xaxxab"));
        assert!(!matches(b"*a*b", b"xaxxa"));
        assert!(matches(b"gw-?", b"gw-1"));
    }
}
