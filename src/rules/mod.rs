//! HOLD: what is known to go wrong with these products, each as a rule of its own.
//!
//! A rule looks at a [`Site`], what a run would write and what hosts said, and answers what it found. It
//! changes nothing and contacts nobody. Ids follow two lists of misconfigurations, `apim-NN` and `integration-NN`;
//! `versions-NN` are pairings of versions that do not go together; `groups-NN`, `isolation-NN`, `names-NN` and `values-NN` are
//! about what people say of hosts. To add a rule is to add a constant to
//! the table of its topic, and two cases to `tests/rules`.

mod accepted;
mod gather;
mod judge;
mod node;
mod ports;
mod signs;
mod site;
mod survey;

mod balancer;
mod cluster;
mod connections;
mod database;
mod drivers;
mod events;
mod groups;
mod host;
mod isolation;
mod keystores;
mod machines;
mod parts;
mod published;
mod running;
mod schemas;
mod secrets;
mod servers;
mod settings;
mod values;
mod versions;

mod apps;
mod capps;
mod catalog;
mod certificates;
mod coordination;
mod integration;
mod probes;
mod resources;
mod si;
mod units;

pub use accepted::{ACCEPTED, Accepted};
pub use gather::{Said, gather};
pub use judge::{Judgeable, Judged, Unjudged, Verdicts, judge};
pub use node::{Component, Node, Setting};
pub use signs::explained;
pub use site::{Host, Site, Written};
pub use survey::{Instance, Seen, Survey, request};

use crate::source::Span;
use indexmap::IndexSet;

/// The variables that rules ask for: by what roles and the inventory say, as a task of the host would see them.
pub const VARIABLES: &[&str] = &[
    ACCEPTED,
    "ansible_host",
    "api_hostname",
    "apim_db_pool_size",
    "apim_heap",
    "apim_home",
    "apim_hostname",
    "apim_java",
    "apim_java_home",
    "apim_pack",
    "apim_update_level",
    "apim_version",
    "db_apim_name",
    "db_mi_name",
    "db_port",
    "db_shared_name",
    "db_si_name",
    "db_si_persistence_name",
    "java_home",
    "lb_gateway_port",
    "lb_traffic_manager_port",
    "load_balancer_address",
    "mi_db_pool_size",
    "mi_heap",
    "mi_home",
    "mi_hostname",
    "mi_java",
    "mi_java_home",
    "mi_pack",
    "mi_public_port",
    "mi_update_level",
    "mi_version",
    "node_address",
    "production",
    "products",
    "rollout_min_healthy",
    "si_db_pool_size",
    "si_heap",
    "si_home",
    "si_hostname",
    "si_java",
    "si_java_home",
    "si_pack",
    "si_public_offset",
    "si_source_ports",
    "si_update_level",
    "si_version",
    "tenant_domain",
    "wso2_env_dir",
    "wso2_home",
    "wso2_user",
];

/// Something that is known to go wrong.
pub struct Rule {
    pub id: &'static str,
    /// What must hold, as one phrase.
    pub title: &'static str,
    pub severity: Severity,
    pub stage: Stage,
    /// What happens otherwise.
    pub why: &'static str,
    /// How to mend it, unless a finding knows better.
    pub fix: &'static str,
    /// Where this is written down, or the issue it comes from.
    pub source: &'static str,
    pub check: fn(&Site) -> Vec<Finding>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
    /// A warning, and an error where `production` is true.
    Production,
}

/// When a rule can be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Offline, by what people say of hosts: whether or not it could be planned.
    Input,
    /// Offline, by what would be written.
    Plan,
    /// By what the hosts are like.
    Host,
    /// By what the running nodes do.
    Running,
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Plan => "plan",
            Self::Host => "host",
            Self::Running => "running",
        }
    }
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Production => "warning; in production: error",
        }
    }

    /// Whether a finding stops a run.
    pub fn is_error(self, production: bool) -> bool {
        match self {
            Self::Error => true,
            Self::Warning => false,
            Self::Production => production,
        }
    }
}

/// Every rule, by topic.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    let topics = [
        groups::RULES,
        isolation::NAMES,
        isolation::RULES,
        values::RULES,
        balancer::RULES,
        cluster::RULES,
        connections::RULES,
        database::RULES,
        drivers::RULES,
        events::RULES,
        ports::RULES,
        host::RULES,
        running::RULES,
        schemas::RULES,
        keystores::RULES,
        parts::RULES,
        published::RULES,
        secrets::RULES,
        servers::RULES,
        settings::RULES,
        machines::RULES,
        versions::RULES,
        apps::RULES,
        capps::RULES,
        probes::RULES,
        resources::RULES,
        catalog::RULES,
        certificates::RULES,
        coordination::RULES,
        integration::RULES,
        si::RULES,
        units::RULES,
    ];
    topics.into_iter().flatten()
}

/// What a rule found, or why it could not look. Holds no secret: values that may be one are compared, never shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Those that are concerned.
    pub hosts: Vec<String>,
    /// One phrase, lower case, no final stop.
    pub what: String,
    /// In a file as it would be written.
    pub at: Option<Span>,
    /// When it says more than the rule's own.
    pub fix: Option<String>,
    /// Not found wrong: it could not be judged, and `what` says why.
    pub is_unjudged: bool,
}

impl Finding {
    pub fn on(host: &str, what: impl Into<String>) -> Self {
        Self::among([host], what)
    }

    pub fn among<'h>(hosts: impl IntoIterator<Item = &'h str>, what: impl Into<String>) -> Self {
        // Two nodes may be on one host.
        let hosts: IndexSet<&str> = hosts.into_iter().collect();
        Self {
            hosts: hosts.into_iter().map(str::to_owned).collect(),
            what: what.into(),
            at: None,
            fix: None,
            is_unjudged: false,
        }
    }

    /// The host did not say what the rule has to know. A rule that cannot look must never seem to hold.
    pub fn unjudged(host: &str, why: impl Into<String>) -> Self {
        Self {
            is_unjudged: true,
            ..Self::on(host, why)
        }
    }

    /// A fact of a survey, or the note that nobody could see it.
    pub fn seen<'s, T>(host: &str, fact: &'s Seen<T>) -> Result<&'s T, Self> {
        match fact {
            Seen::Known(fact) => Ok(fact),
            Seen::Unknown { why } => Err(Self::unjudged(host, why.as_str())),
        }
    }

    /// At a place that may not be known; one that is known already stays.
    #[must_use]
    pub fn placed(mut self, span: Option<&Span>) -> Self {
        self.at = self.at.or_else(|| span.cloned());
        self
    }

    #[must_use]
    pub fn at(mut self, span: &Span) -> Self {
        self.at = Some(span.clone());
        self
    }

    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}
