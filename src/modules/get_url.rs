//! `get_url`: a file from a web server, whole or not at all.

use super::shared::attributes::{Attribute, Attributes};
use super::shared::permissions::Permissions;
use super::shared::words::seconds;
use super::{Kind, Module, Review};
use crate::system::{FileKind, Request, Response, Result, System, digest_of};
use crate::wire::Failure;
use serde::Deserialize;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GetUrl {
    url: String,
    /// A folder takes the file under the name that it has in the URL.
    dest: PathBuf,
    /// `sha256:` and 64 hex digits. With it, a file that is there is known to be right or wrong.
    #[serde(default)]
    checksum: Option<String>,
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    mode: Option<Permissions>,
    /// Without a checksum: fetch it even if a file is there.
    #[serde(default)]
    force: bool,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default, alias = "username")]
    url_username: Option<String>,
    #[serde(default, alias = "password")]
    url_password: Option<String>,
    #[serde(default = "yes")]
    validate_certs: bool,
    /// In seconds without a byte.
    #[serde(default = "ten_seconds", deserialize_with = "seconds")]
    timeout: Duration,
    /// What was fetched by force can't be told from what was there.
    #[serde(skip)]
    fetched: Cell<bool>,
}

fn yes() -> bool {
    true
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

pub enum Change {
    Download { what: &'static str },
    Attribute(Attribute),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Download { what } => f.write_str(what),
            Self::Attribute(attribute) => attribute.fmt(f),
        }
    }
}

impl Module for GetUrl {
    const NAME: &'static str = "get_url";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "a file from a web server, whole or not at all";
    const EXAMPLE: &'static str = "\
get_url:
  url: https://repo1.maven.org/maven2/org/postgresql/postgresql/42.7.4/postgresql-42.7.4.jar
  dest: /opt/wso2/drivers/
  checksum: sha256:188976721ead8e8627eb6d8389d500dccc0c9bebd885268a3047180274a6031e
  mode: \"0644\"
";
    const ALIASES: &'static [(&'static str, &'static str)] =
        &[("username", "url_username"), ("password", "url_password")];
    type Change = Change;

    fn review(&self, review: &mut Review<'_>) {
        review.web("url", &self.url);
        review.absolute("dest", self.dest.as_path());
        review.hear(Some("checksum"), self.sha256());
        if self.wants_folder() {
            review.hear(Some("dest"), self.named());
        }
    }

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        let dest = self.file(system)?;
        let wanted = self.sha256()?;
        system.note("dest", dest.display().to_string());
        let Some(found) = system.meta(&dest)? else {
            return Ok(vec![Change::Download { what: "download" }]);
        };
        let is_other = match wanted {
            Some(wanted) => system.digest(&dest)?.as_deref() != Some(wanted),
            None => self.force && !self.fetched.get(),
        };
        let download = is_other.then_some(Change::Download {
            what: "download again",
        });
        let attributes = self.attributes().differences(system, &found)?;
        Ok(download
            .into_iter()
            .chain(attributes.into_iter().map(Change::Attribute))
            .collect())
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        let dest = self.file(system)?;
        match change {
            Change::Attribute(attribute) => attribute.settle(system, &dest),
            Change::Download { .. } => self.download(system, &dest),
        }
    }
}

impl GetUrl {
    fn attributes(&self) -> Attributes<'_> {
        Attributes {
            owner: self.owner.as_deref(),
            group: self.group.as_deref(),
            mode: self.mode.as_ref(),
        }
    }

    fn file(&self, system: &System) -> Result<PathBuf> {
        let is_folder = self.wants_folder()
            || system
                .meta(&self.dest)?
                .is_some_and(|m| m.kind == FileKind::Directory);
        match is_folder {
            true => self.named(),
            false => Ok(self.dest.clone()),
        }
    }

    fn wants_folder(&self) -> bool {
        self.dest.as_os_str().as_encoded_bytes().ends_with(b"/")
    }

    /// In the folder, under the name that it has in the URL.
    fn named(&self) -> Result<PathBuf> {
        let path = self.url.split(['?', '#']).next().unwrap_or_default();
        match path.rsplit('/').next() {
            Some(name) if !matches!(name, "" | "." | "..") => Ok(self.dest.join(name)),
            _ => Err(
                Failure::new(format!("{} does not end in a file's name", self.url))
                    .help("name the file in `dest`"),
            ),
        }
    }

    fn sha256(&self) -> Result<Option<&str>> {
        let Some(checksum) = self.checksum.as_deref() else {
            return Ok(None);
        };
        let hex = checksum.strip_prefix("sha256:").map(str::trim);
        let is_hex = |h: &&str| h.len() == 64 && h.bytes().all(|b| b.is_ascii_hexdigit());
        match hex.filter(is_hex) {
            Some(hex) => Ok(Some(hex)),
            None => Err(Failure::new(format!("`{checksum}` is no checksum"))
                .help("write `sha256:` and the 64 hex digits that `sha256sum` prints")),
        }
    }

    fn download(&self, system: &System, dest: &Path) -> Result<()> {
        let mut response = self.answered(system)?;
        let found = system.meta(dest)?;
        system.progress(&format!("downloading {}", self.url));
        system.write_approved(
            dest,
            &mut response.body,
            self.attributes().bits(found.as_ref()),
            self.attributes().numbers(system, found.as_ref())?,
            &|fresh| self.approve(fresh),
        )?;
        self.fetched.set(true);
        Ok(())
    }

    fn answered(&self, system: &System) -> Result<Response> {
        let password = self.url_password.clone().unwrap_or_default();
        let request = Request {
            headers: self.headers.clone().into_iter().collect(),
            login: self.url_username.clone().map(|user| (user, password)),
            verify: self.validate_certs,
            timeout: self.timeout,
            ..Request::get(&self.url)
        };
        let response = system.ask(&request)?;
        match response.status {
            200 => Ok(response),
            status => Err(Failure::new(format!(
                "{} answers {status}, not 200",
                request.shown()
            ))),
        }
    }

    /// The download must be what was asked for before it takes its place.
    fn approve(&self, fresh: &Path) -> Result<()> {
        let Some(wanted) = self.sha256()? else {
            return Ok(());
        };
        let got = digest_of(fresh)
            .map_err(|e| Failure::new(format!("the download cannot be read again: {e}")))?;
        match got.eq_ignore_ascii_case(wanted) {
            true => Ok(()),
            false => Err(Failure::new(format!(
                "{} has the sha256 {got}, not {wanted}; nothing was put in place",
                self.url
            ))
            .help(
                "either the file was changed at its source, or `checksum` is of another version",
            )),
        }
    }
}
