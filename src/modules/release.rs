//! `release`: whether a node may go from the release that it runs to the one that is wanted.
//!
//! Levels of a version, and versions of a line, share their tables: nodes with either work side by side for as long as a
//! rollout takes. Two lines never share a database, so another line is another procedure. Source: docs-apim
//! install-and-setup/upgrading-wso2-api-manager/upgrading-guidelines.md.

use super::{Kind, Module};
use crate::system::{Result, System};
use crate::wire::{Failure, Release as Name};
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    product: Product,
    /// The link that says which release runs.
    link: PathBuf,
    /// The release that is wanted.
    target: PathBuf,
    /// The wanted release may be older than the one that runs.
    #[serde(default)]
    older: bool,
    /// Nodes of the line that runs and of the wanted one may work side by side.
    #[serde(default)]
    rolls: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Product {
    Apim,
    Mi,
    Si,
}

impl Product {
    /// The first word of its variables.
    fn word(self) -> &'static str {
        match self {
            Self::Apim => "apim",
            Self::Mi => "mi",
            Self::Si => "si",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Apim => "API Manager",
            Self::Mi => "Micro Integrator",
            Self::Si => "Streaming Integrator",
        }
    }

    /// To another line. Sources: playbooks/migrate.yaml; roles/cluster on `mi_rolls_lines`.
    fn way_there(self, wanted: &Name) -> String {
        match self {
            Self::Apim => format!(
                "deploy {wanted} on hosts of its own and follow playbooks/migrate.yaml, which says the steps"
            ),
            Self::Mi => format!(
                "ask WSO2 about `mi_rolls_lines`, or deploy {wanted} as a cluster of its own, on other hosts and another schema"
            ),
            Self::Si => {
                format!("deploy {wanted} as a cluster of its own, on other hosts and other schemas")
            }
        }
    }
}

impl Module for Release {
    const NAME: &'static str = "release";
    const KIND: Kind = Kind::Look;
    const ABOUT: &'static str =
        "stops the host where a node must not go from the release that it runs to another one";
    const EXAMPLE: &'static str = "\
release:
  product: apim
  link: /opt/wso2/apim/current
  target: /opt/wso2/apim/releases/4.5.0+12
  older: false
  rolls: false
";
    type Change = String;

    fn check(&self, system: &System) -> Result<Vec<String>> {
        // A first installation replaces nothing.
        let Some(runs) = system.read_link(&self.link)? else {
            return Ok(vec![]);
        };
        if runs == self.target {
            return Ok(vec![]);
        }
        let (runs, wanted) = (named(&runs)?, named(&self.target)?);
        if runs.line() != wanted.line() && !(self.rolls && wanted > runs) {
            return Err(self.another_line(&runs, &wanted));
        }
        if wanted < runs && !self.older {
            return Err(self.an_older_one(&runs, &wanted));
        }
        Ok(vec![])
    }

    fn apply(&self, _: &System, _: String) -> Result<()> {
        Ok(())
    }
}

impl Release {
    fn another_line(&self, runs: &Name, wanted: &Name) -> Failure {
        let (name, word) = (self.product.name(), self.product.word());
        Failure::new(format!(
            "{name} {runs} runs here, and {wanted} is of another line: its nodes must not work beside these on one database, \
             so they are never changed one by one"
        ))
        .help(format!(
            "to stay, write {} into the inventory; to go there, {}",
            lines(word, runs),
            self.product.way_there(wanted)
        ))
    }

    fn an_older_one(&self, runs: &Name, wanted: &Name) -> Failure {
        let (name, word) = (self.product.name(), self.product.word());
        Failure::new(format!(
            "{name} {runs} runs here, and this run would bring the older {wanted} back"
        ))
        .help(format!(
            "to stay, write {} into the inventory; to go back to what ran before, `apim-deploy rollback`; to install the older \
             one all the same, `-e release_may_be_older=true`",
            lines(word, runs)
        ))
    }
}

/// What the inventory says of this release.
fn lines(word: &str, release: &Name) -> String {
    format!(
        "`{word}_version: \"{}\"` and `{word}_update_level: {}`",
        release.version(),
        release.level()
    )
}

fn named(path: &Path) -> Result<Name> {
    Name::of(&path.to_string_lossy()).ok_or_else(|| {
        Failure::new(format!(
            "nobody can tell which version {} is",
            path.display()
        ))
        .help("the folder of a release is called by its version and level, as in releases/4.5.0+12")
    })
}
