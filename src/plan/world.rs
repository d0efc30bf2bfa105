//! Everything that stays the same while one play is planned: what people wrote, and the ladder of variables
//! for a host and a task.

use super::content::Files;
use super::state::HostState;
use super::tags::Tags;
use crate::inventory::{Inventory, Tenant};
use crate::playbook::{Play, Playbook, Role, Task};
use crate::vars::{Ladder, Layer, Scope, Variable};
use crate::wire::Facts;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct World<'a> {
    pub inventory: &'a Inventory,
    pub playbook: &'a Playbook,
    pub play: &'a Play,
    pub extra: Arc<Layer>,
    pub files: &'a dyn Files,
    pub tags: Tags,
    pub check: bool,
    /// The play's hosts, for `ansible_play_hosts`; `begin` tells of those of the batch.
    pub play_hosts: Vec<String>,
    /// The same for every host of the batch.
    of_batch: Arc<Layer>,
    /// Loaded `vars_files`.
    pub vars_files: Vec<Arc<Layer>>,
    /// The same for every host: `groups`, `hostvars`, `tenants`, folders.
    pub common: Arc<Layer>,
    /// Defaults and vars of all roles of the play, weaker than those of a task's own role.
    role_defaults: Vec<Arc<Layer>>,
    role_vars: Vec<Arc<Layer>>,
    /// Tasks that includes brought in; they live as long as the play is walked.
    included: elsa::FrozenVec<Box<[Task]>>,
}

impl<'a> World<'a> {
    #[expect(
        clippy::too_many_arguments,
        reason = "one constructor, called twice; a builder would hide what is missing"
    )]
    pub fn new(
        inventory: &'a Inventory,
        playbook: &'a Playbook,
        play: &'a Play,
        extra: Arc<Layer>,
        files: &'a dyn Files,
        tags: Tags,
        check: bool,
        common: Arc<Layer>,
    ) -> Self {
        let roles = &play.roles;
        Self {
            inventory,
            playbook,
            play,
            extra,
            files,
            tags,
            check,
            play_hosts: vec![],
            of_batch: Arc::default(),
            vars_files: vec![],
            common,
            role_defaults: roles.iter().map(|r| Arc::clone(&r.defaults)).collect(),
            role_vars: roles.iter().map(|r| Arc::clone(&r.vars)).collect(),
            included: elsa::FrozenVec::new(),
        }
    }

    /// A batch of `play_hosts` goes.
    pub fn begin(&mut self, batch: Vec<String>) {
        let layer = Layer::new("magic variables")
            .with("ansible_play_hosts", self.play_hosts.clone())
            .with("ansible_play_batch", batch);
        self.of_batch = Arc::new(layer);
    }

    /// The tasks of a role's file as `include` brings them in.
    pub(super) fn include(&self, include: &Task, tasks: &[Task]) -> &[Task] {
        let tasks = tasks.iter().map(|t| t.included_by(include)).collect();
        self.included.push_get(tasks)
    }

    /// The variables that hold for a host in this play, before any task adds its own.
    pub fn ladder(&self, host: &HostState, task: Option<&Task>, over: &[Arc<Layer>]) -> Ladder {
        let role = task.and_then(|t| t.role.as_ref());
        let mut ladder = Ladder::default();
        ladder.push(Arc::new(
            Layer::new("connection defaults").with("ansible_host", host.name.as_str()),
        ));
        for layer in &self.role_defaults {
            ladder.push(Arc::clone(layer));
        }
        if let Some(role) = role {
            ladder.push(Arc::clone(&role.defaults));
        }
        for layer in self.inventory.layers(&host.name) {
            ladder.push(layer);
        }
        ladder.push(Arc::clone(&host.facts));
        ladder.push(Arc::clone(&self.play.vars));
        for layer in &self.vars_files {
            ladder.push(Arc::clone(layer));
        }
        for layer in &self.role_vars {
            ladder.push(Arc::clone(layer));
        }
        if let Some(role) = role {
            ladder.push(Arc::clone(&role.vars));
        }
        for layer in task.map(|t| t.vars.as_slice()).unwrap_or_default() {
            ladder.push(Arc::clone(layer));
        }
        ladder.push(Arc::clone(&host.learned));
        for layer in over {
            ladder.push(Arc::clone(layer));
        }
        ladder.push(Arc::clone(&self.extra));
        ladder.push(Arc::clone(&self.common));
        ladder.push(Arc::clone(&self.of_batch));
        ladder.push(Arc::new(self.magic(host, role.map(Arc::as_ref))));
        ladder
    }

    /// What no one can override.
    fn magic(&self, host: &HostState, role: Option<&Role>) -> Layer {
        let short = host.name.split('.').next().unwrap_or_default();
        let mut layer = Layer::new("magic variables")
            .with("inventory_hostname", host.name.as_str())
            .with("inventory_hostname_short", short)
            .with(
                "group_names",
                Value::from(self.inventory.group_names(&host.name)),
            )
            .with("ansible_check_mode", self.check);
        if let Some(role) = role {
            layer = layer.with("role_name", role.name.as_str());
        }
        layer
    }
}

/// The layer that is the same for all hosts. `hostvars` holds what the inventory and the facts
/// say of each host; a variable that cannot be resolved there is left out.
pub fn common_layer(
    inventory: &Inventory,
    playbook_dir: &str,
    extra: &Arc<Layer>,
    facts: &BTreeMap<String, Arc<Layer>>,
) -> Layer {
    let mut groups = Map::new();
    for name in inventory.groups.keys() {
        groups.insert(name.clone(), inventory.hosts_of(name).into());
    }
    let (absent, present): (Vec<Tenant>, Vec<Tenant>) =
        inventory.tenants().into_iter().partition(|t| t.is_absent);
    let base = Layer::new("magic variables")
        .with("groups", groups)
        .with("tenants", present.iter().map(tenant).collect::<Value>())
        .with(
            "tenants_absent",
            absent.iter().map(leaving_tenant).collect::<Value>(),
        )
        .with("inventory_dir", inventory.dir.display().to_string())
        .with("inventory_file", inventory.file.display().to_string())
        .with("playbook_dir", playbook_dir);
    let mut hostvars = Map::new();
    let shared = Arc::new(base.clone());
    for host in inventory.hosts.keys() {
        let vars = vars_of(inventory, host, &shared, extra, facts.get(host));
        hostvars.insert(host.clone(), Value::Object(vars));
    }
    base.with("hostvars", hostvars)
}

fn tenant(tenant: &Tenant) -> Value {
    let Tenant {
        name,
        domain,
        mi,
        si,
        ..
    } = tenant;
    json!({ "name": name, "domain": domain, "mi": mi, "si": si })
}

fn leaving_tenant(tenant: &Tenant) -> Value {
    json!({ "name": tenant.name, "domain": tenant.domain })
}

fn vars_of(
    inventory: &Inventory,
    host: &str,
    common: &Arc<Layer>,
    extra: &Arc<Layer>,
    facts: Option<&Arc<Layer>>,
) -> Map<String, Value> {
    let ladder = host_ladder(inventory, host, common, extra, facts);
    let scope = Scope::new(&ladder);
    let names: std::collections::BTreeSet<_> = ladder.names().collect();
    names
        .into_iter()
        .filter(|name| !matches!(ladder.get(name), Some(Variable::Pending(_))))
        .filter_map(|name| Some((name.to_owned(), scope.value(name).ok()?)))
        .collect()
}

/// What the inventory alone (and the facts, once they are in) says of a host: enough for its connection.
pub fn host_ladder(
    inventory: &Inventory,
    host: &str,
    common: &Arc<Layer>,
    extra: &Arc<Layer>,
    facts: Option<&Arc<Layer>>,
) -> Ladder {
    let mut ladder = Ladder::default();
    ladder.push(Arc::new(
        Layer::new("connection defaults").with("ansible_host", host),
    ));
    for layer in inventory.layers(host) {
        ladder.push(layer);
    }
    if let Some(facts) = facts {
        ladder.push(Arc::clone(facts));
    }
    ladder.push(Arc::clone(extra));
    ladder.push(Arc::clone(common));
    ladder.push(Arc::new(
        Layer::new("magic variables")
            .with("inventory_hostname", host)
            .with("group_names", Value::from(inventory.group_names(host))),
    ));
    ladder
}

/// What `lint` and an offline `plan` suppose of a host that nobody has asked yet: a plain Debian 12.
pub fn assumed_facts(host: &str) -> Facts {
    let text = str::to_owned;
    Facts {
        hostname: text(host),
        fqdn: text(host),
        architecture: text("x86_64"),
        system: text("Linux"),
        kernel: text("6.1.0"),
        distribution: text("Debian"),
        distribution_version: text("12"),
        distribution_major_version: text("12"),
        distribution_release: text("bookworm"),
        os_family: text("Debian"),
        pkg_mgr: text("apt"),
        service_mgr: text("systemd"),
        processor_vcpus: 2,
        memtotal_mb: 4096,
        swaptotal_mb: 0,
        all_ipv4_addresses: vec![text("192.0.2.1")],
        all_ipv6_addresses: vec![],
        default_ipv4: text("192.0.2.1"),
        boot_id: text("00000000-0000-0000-0000-000000000000"),
        user_id: text("root"),
        epoch_ms: 0,
    }
}
