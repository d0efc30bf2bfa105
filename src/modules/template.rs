//! `template`: a file rendered on the controller.
//!
//! Rendering needs every variable, so it happens there; the host only sees the text.

use super::shared::attributes::Attributes;
use super::shared::content::{self, Source};
use super::shared::permissions::Permissions;
use super::shared::placed::{self, Change, Placed, Rules};
use super::{Brings, Fault, Kind, Module, Review, shared};
use crate::system::{Result, System};
use crate::wire::{Content, Failure};
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The template's name, for messages.
    src: Option<String>,
    /// The rendered text, put here by the controller.
    #[serde(default, deserialize_with = "content::read")]
    content: Option<Content>,
    dest: PathBuf,
    owner: Option<String>,
    group: Option<String>,
    mode: Option<Permissions>,
    #[serde(default)]
    backup: bool,
    #[serde(default = "shared::yes")]
    force: bool,
    validate: Option<String>,
}

impl Template {
    fn placed(&self) -> Result<Placed<'_>> {
        let content = self.content.as_ref().ok_or_else(|| {
            let name = self.src.as_deref().unwrap_or("the template");
            Failure::new(format!("{name} was not rendered"))
        })?;
        Ok(Placed {
            dest: self.dest.clone(),
            source: Source::Sent(content),
            attributes: Attributes {
                owner: self.owner.as_deref(),
                group: self.group.as_deref(),
                mode: self.mode.as_ref(),
            },
            rules: Rules {
                force: self.force,
                backup: self.backup,
                validate: self.validate.as_deref(),
            },
        })
    }
}

impl Module for Template {
    const NAME: &'static str = "template";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "a file rendered on the controller";
    const EXAMPLE: &'static str = r#"template:
  src: deployment.toml
  dest: "{{ apim_home }}/repository/conf/deployment.toml"
  owner: "{{ apim_user }}"
  mode: "0640"
"#;
    const BRINGS: Brings = Brings::Template;
    type Change = Change;

    fn review(&self, review: &mut Review<'_>) {
        review.absolute("dest", self.dest.as_path());
        if self.src.is_none() && self.content.is_none() {
            review.push(Fault::new("`template` needs `src`, a template's name"));
        }
        review.hear(
            Some("validate"),
            placed::validator(self.validate.as_deref()),
        );
    }

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        system.note("dest", self.dest.display().to_string());
        self.placed()?.check(system)
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        self.placed()?.apply(system, &change)
    }
}
