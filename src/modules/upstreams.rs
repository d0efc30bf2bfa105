//! `upstreams`: a cluster's list of nodes for a balancer, rendered on the controller.
//!
//! Like `template`, except that nodes which are out stay out, whoever took them out: who writes the list need not know of them.

use super::shared::attributes::Attributes;
use super::shared::content::{self, Source};
use super::shared::permissions::Permissions;
use super::shared::placed::{Change, Placed, Rules};
use super::shared::rotation::Drains;
use super::shared::{haproxy, nginx};
use super::{Brings, Kind, Module};
use crate::system::{Result, System};
use crate::wire::{Content, Failure};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Keeps a cluster's list of nodes as rendered, but for those that are out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstreams {
    /// The template's name, for messages.
    src: Option<String>,
    /// The rendered text, put here by the controller.
    #[serde(default, deserialize_with = "content::read")]
    content: Option<Content>,
    /// The same as `drain` knows it by.
    cluster: String,
    #[serde(default)]
    engine: Engine,
    dest: PathBuf,
    mode: Option<Permissions>,
}

/// Whose list it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Engine {
    #[default]
    Nginx,
    Haproxy,
}

impl Engine {
    /// The list, in which who is out of the present one stays out. Of NGINX that is somebody else's hand alone: whom
    /// we took out, the kernel refuses.
    fn kept_out(self, text: &str, present: &str) -> String {
        match self {
            Self::Nginx => nginx::kept_down(text, present),
            Self::Haproxy => haproxy::kept_disabled(text, present),
        }
    }

    /// The same for a node that we took out.
    fn drained(self, text: String, node: &str) -> String {
        match self {
            Self::Nginx => text,
            Self::Haproxy => haproxy::marked(&text, node, true),
        }
    }

    fn has(self, text: &str, node: &str) -> bool {
        match self {
            Self::Nginx => nginx::has(text, node),
            Self::Haproxy => haproxy::has(text, node),
        }
    }

    /// What else must know that the records have changed.
    fn told(self, system: &System, list: &Path, drains: &Drains) -> Result<()> {
        match (self, list.parent()) {
            (Self::Nginx, Some(folder)) => nginx::keep_out(system, folder, drains),
            _ => Ok(()),
        }
    }
}

impl Upstreams {
    fn wanted(&self, system: &System) -> Result<Content> {
        let name = self.src.as_deref().unwrap_or("the list");
        let content = self.content.as_ref().ok_or_else(|| {
            Failure::new(format!("{name} was not rendered")).help("give `src`, a template's name")
        })?;
        let bytes = content::bytes(&Source::Sent(content), system)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Failure::new(format!("{name} is no text")).help("balancers read text"))?;
        let present = system.read(&self.dest)?.unwrap_or_default();
        let present = String::from_utf8_lossy(&present);
        let kept = self.engine.kept_out(&text, &present);
        let drains = Drains::read(system)?;
        let marked = drains
            .of(&self.cluster)
            .fold(kept, |text, node| self.engine.drained(text, node));
        Ok(Content::Text(marked))
    }

    fn forget_the_gone(&self, system: &System, content: &Content) -> Result<()> {
        let Content::Text(text) = content else {
            return Ok(());
        };
        let mut drains = Drains::read(system)?;
        let gone: Vec<String> = drains
            .of(&self.cluster)
            .filter(|node| !self.engine.has(text, node))
            .map(ToOwned::to_owned)
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        for node in &gone {
            drains.set(system, &self.cluster, node, None)?;
        }
        self.engine.told(system, &self.dest, &drains)
    }

    fn placed<'a>(&'a self, content: &'a Content) -> Placed<'a> {
        Placed {
            dest: self.dest.clone(),
            source: Source::Sent(content),
            attributes: Attributes {
                owner: None,
                group: None,
                mode: self.mode.as_ref(),
            },
            rules: Rules {
                force: true,
                backup: false,
                validate: None,
            },
        }
    }
}

impl Module for Upstreams {
    const NAME: &'static str = "upstreams";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str =
        "a cluster's list of nodes for NGINX or HAProxy, in which those that are out stay out";
    const EXAMPLE: &'static str = r#"upstreams:
  src: cluster.conf
  cluster: apim
  dest: /etc/nginx/clusters/apim.http.conf
  mode: "0644"
"#;
    const BRINGS: Brings = Brings::Template;
    type Change = Change;

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        let content = self.wanted(system)?;
        self.placed(&content).check(system)
    }

    /// Who left for good is no longer out: if it comes back, it is a new node.
    fn apply(&self, system: &System, change: Change) -> Result<()> {
        let content = self.wanted(system)?;
        self.placed(&content).apply(system, &change)?;
        self.forget_the_gone(system, &content)
    }
}
