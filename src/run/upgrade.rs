//! `upgrade`: releases that the command line asks for in place of those that the inventory names.

use super::prepare::{Options, Prepared, extra_vars};
use crate::plan::{HostState, assumed_facts};
use crate::playbook::Play;
use crate::source::{Problem, Problems};
use crate::vars::{Layer, Scope};
use crate::wire::Release;
use indexmap::IndexMap;
use serde_json::Value;
use std::str::FromStr;
use std::sync::Arc;

/// The release that is asked for of one product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The first word of its variables: apim, mi, si.
    pub product: String,
    /// `None`: the version that the inventory names.
    pub version: Option<String>,
    /// 0 is the version as it was published.
    pub level: u32,
}

const PRODUCTS: [&str; 3] = ["apim", "mi", "si"];

/// `+12`, `12`, `4.5.0`, `4.5.0+12`, each also as `mi=...`. Without a product it is API-M's.
impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (product, release) = text.split_once('=').unwrap_or(("apim", text));
        if !PRODUCTS.contains(&product) {
            return Err(format!("`{product}` is none of {}", PRODUCTS.join(", ")));
        }
        let wanted = |version: Option<String>, level| Self {
            product: product.to_owned(),
            version,
            level,
        };
        let level = release.strip_prefix('+').unwrap_or(release);
        if let Ok(level) = level.parse() {
            return Ok(wanted(None, level));
        }
        let is_plain = !release.contains(['-', '/']);
        match Release::of(release).filter(|_| is_plain) {
            Some(release) => Ok(wanted(Some(release.version()), release.level())),
            None => Err(format!(
                "`{release}` is neither a level (+12) nor a version (4.5.0, 4.5.0+12)"
            )),
        }
    }
}

impl Wanted {
    /// What the inventory would say.
    fn variables(&self) -> Vec<(String, Value)> {
        let version = self.version.as_ref();
        let version = version.map(|v| (format!("{}_version", self.product), v.as_str().into()));
        let level = (format!("{}_update_level", self.product), self.level.into());
        version.into_iter().chain([level]).collect()
    }
}

/// Stronger than everything else.
pub(super) fn layered(mut layer: Layer, wanted: &[Wanted]) -> Layer {
    for (name, value) in wanted.iter().flat_map(Wanted::variables) {
        layer = layer.with(&name, value);
    }
    layer
}

/// Whose nodes may stand beside those of an older line, the inventory may say: roles/cluster.
const ROLLS: &str = "rolls_lines";

impl Prepared {
    /// Another line is known to be one before anybody is asked, where the inventory names the one that is deployed.
    pub(super) fn check_upgrade(&self, problems: &mut Problems) {
        let upgrade = &self.options.upgrade;
        for (at, wanted) in upgrade.iter().enumerate() {
            if upgrade[..at].iter().any(|w| w.product == wanted.product) {
                let message = format!("--to names {} twice", wanted.product);
                problems.push(Problem::new(message).help("one release of each product"));
                continue;
            }
            self.check_product(wanted, problems);
            let Some(release) = wanted.version.as_deref().and_then(Release::of) else {
                continue;
            };
            let said = |variable: &str| {
                self.said_before(&wanted.product, &format!("{}_{variable}", wanted.product))
            };
            let other = said("version");
            let other = other.into_iter().find(|(version, _)| {
                Release::of(version).is_some_and(|before| before.line() != release.line())
            });
            if let Some((version, hosts)) = other
                && !(said(ROLLS).contains_key("true"))
            {
                let host = hosts.first().map_or("", String::as_str);
                problems.push(another_line(wanted, &release, &version, host));
            }
        }
    }

    fn check_product(&self, wanted: &Wanted, problems: &mut Problems) {
        let Some(judgeable) = &self.judgeable else {
            return;
        };
        let mut nodes = judgeable.site.nodes.iter();
        if !nodes.any(|node| node.component.product() == wanted.product) {
            let message = format!(
                "--to names {}, and nothing of it is deployed",
                wanted.product
            );
            problems.push(Problem::new(message).help(
                "`apim-deploy inventory graph -i INVENTORY` shows the groups; apim, mi and si are the products",
            ));
        }
    }

    /// What a variable is without the wishes of the command line, and on which hosts of the product's clusters.
    fn said_before(&self, product: &str, variable: &str) -> IndexMap<String, Vec<String>> {
        let mut found: IndexMap<String, Vec<String>> = IndexMap::new();
        let options = Options {
            upgrade: vec![],
            ..self.options.clone()
        };
        let Ok(extra) = extra_vars(&options) else {
            return found;
        };
        let common = self.common_without_facts();
        for (at, play) in self.playbook.plays.iter().enumerate() {
            if play.rollout.is_none() || !self.deploys(play, product) {
                continue;
            }
            let Some(mut world) = self.world(at, Arc::clone(&common)) else {
                continue;
            };
            world.extra = Arc::clone(&extra);
            for host in &self.hosts[at] {
                let state = HostState::new(host, &assumed_facts(host), vec![]);
                let ladder = world.ladder(&state, None, &[]);
                if let Ok(value) = Scope::new(&ladder).value(variable) {
                    let value = value.as_str().map_or(value.to_string(), ToOwned::to_owned);
                    found.entry(value).or_default().push(host.clone());
                }
            }
        }
        found
    }

    /// By the role that is called as the product; a playbook without such roles may deploy it anywhere.
    fn deploys(&self, play: &Play, product: &str) -> bool {
        let has = |play: &Play| play.roles.iter().any(|role| role.name == product);
        has(play) || !self.playbook.plays.iter().any(has)
    }

    /// What the inventory has to say now, `name: value`: until it does, the next run is refused.
    pub fn to_be_written(&self) -> Vec<String> {
        let wishes = self.options.upgrade.iter();
        let wishes =
            wishes.flat_map(|wanted| wanted.variables().into_iter().map(move |v| (wanted, v)));
        let missing = wishes.filter_map(|(wanted, (name, value))| {
            let plain = value.as_str().map_or(value.to_string(), ToOwned::to_owned);
            let before = self.said_before(&wanted.product, &name);
            if before.keys().all(|said| *said == plain) {
                return None;
            }
            let hosts = before.values().flatten();
            let place = hosts
                .filter_map(|host| self.place_of(host, &name))
                .map(|place| place.place())
                .find(|place| !place.is_empty());
            let place = place.map_or(String::new(), |place| format!(" (in place of {place})"));
            Some(format!("`{name}: {value}`{place}"))
        });
        missing.collect()
    }
}

fn another_line(wanted: &Wanted, release: &Release, version: &str, host: &str) -> Problem {
    let product = &wanted.product;
    Problem::new(format!(
        "{product} {release} is of another line than {version}, which the inventory names for {host}"
    ))
    .because("nodes of two lines must not work beside each other on one database, so they are never changed one by one")
    .help(way_there(product, release, Release::of(version).as_ref()))
}

/// Every product has another way to another line; to an older one there is none: `rollback` never crosses a line.
/// Sources: playbooks/migrate.yaml; roles/cluster on `mi_rolls_lines`, with the lines of which it can be true in its
/// vars/main.yaml; docs-mi upgrading-wso2-mi.md.
fn way_there(product: &str, release: &Release, before: Option<&Release>) -> String {
    if before.is_some_and(|before| release < before) {
        return format!(
            "no run goes back to an older line: an old one is deployed on hosts and databases of its own; name a release of the \
             line that the inventory names, or a newer one than {release}"
        );
    }
    match product {
        "mi" => format!(
            "ask WSO2 whether nodes of both may meet: if so, `mi_rolls_lines: true` in the inventory lets {release} be rolled out, up \
             to 4.5; else, and from 4.6 on, deploy it as a cluster of its own, on other hosts and another schema"
        ),
        "si" => format!(
            "deploy {release} as a cluster of its own, on other hosts and other schemas; playbooks/migrate.yaml moves API Manager alone"
        ),
        _ => format!(
            "deploy {release} on hosts of its own and follow playbooks/migrate.yaml, which says the steps"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::Wanted;

    #[test]
    fn releases_are_named_in_short() {
        let shown = |text: &str| {
            text.parse().map(|w: Wanted| {
                let version = w.version.unwrap_or_else(|| "-".into());
                format!("{} {version} {}", w.product, w.level)
            })
        };
        for (text, meant) in [
            ("+12", "apim - 12"),
            ("12", "apim - 12"),
            ("4.5.0", "apim 4.5.0 0"),
            ("4.5.0+12", "apim 4.5.0 12"),
            ("mi=+3", "mi - 3"),
            ("si=4.3.1+2", "si 4.3.1 2"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(meant), "{text}");
        }
        for wrong in ["", "+", "4.x", "4.5.0+", "am=4.5.0", "wso2am-4.5.0", "mi="] {
            assert!(shown(wrong).is_err(), "{wrong}");
        }
    }
}
