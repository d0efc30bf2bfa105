//! `upstreams`: a cluster's list of nodes for a balancer, rendered on the controller.
//!
//! Like `template`, except that nodes which are out stay out, whoever took them out: who writes the list need not know of them.

use super::shared::attributes::Attributes;
use super::shared::content::{self, Source};
use super::shared::lists::Engine;
use super::shared::permissions::Permissions;
use super::shared::placed::{Change, Placed, Rules};
use super::shared::rotation::Drains;
use super::shared::{haproxy, nginx};
use super::{Brings, Fault, Kind, Module, Review};
use crate::system::{Result, System};
use crate::wire::{Content, Failure};
use serde::Deserialize;
use std::path::PathBuf;

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

impl Upstreams {
    fn wanted(&self, system: &System) -> Result<Content> {
        let name = self.src.as_deref().unwrap_or("the list");
        let content = self
            .content
            .as_ref()
            .ok_or_else(|| Failure::new(format!("{name} was not rendered")))?;
        let bytes = content::bytes(&Source::Sent(content), system)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Failure::new(format!("{name} is no text")).help("balancers read text"))?;
        let present = system.read(&self.dest)?.unwrap_or_default();
        let present = String::from_utf8_lossy(&present);
        Ok(Content::Text(match self.engine {
            // Somebody else's hand alone: whom we took out, the kernel refuses.
            Engine::Nginx => nginx::kept_down(&text, &present),
            Engine::Haproxy => {
                let kept = haproxy::kept_disabled(&text, &present);
                let drains = Drains::read(system)?;
                let drained = drains.of(&self.cluster);
                drained.fold(kept, |text, node| haproxy::marked(&text, node, true))
            }
        }))
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

    fn review(&self, review: &mut Review<'_>) {
        review.absolute("dest", self.dest.as_path());
        review.filled("cluster", self.cluster.as_str());
        if self.src.is_none() && self.content.is_none() {
            review.push(Fault::new("`upstreams` needs `src`, a template's name"));
        }
    }

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        let content = self.wanted(system)?;
        self.placed(&content).check(system)
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        let content = self.wanted(system)?;
        self.placed(&content).apply(system, &change)
    }
}
