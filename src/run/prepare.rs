//! Everything that can be known before the first host is touched.

use super::depot::Depot;
use super::roll;
use super::scrub::Scrub;
use super::target;
use super::upgrade::{self, Wanted};
use crate::inventory::{HostPattern, Inventory, RETIRED, TENANTS};
use crate::plan::{self, Files, HostState, Plan, Tags, World, assumed_facts, common_layer};
use crate::playbook::{self, Groups, Pattern, Play, Playbook};
use crate::rules::Judgeable;
use crate::source::{Library, Problem, Problems, Result, Span, nearest};
use crate::vars::{Layer, Scope, Unresolved};
use crate::wire::Facts;
use indexmap::IndexMap;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The variable by which roles know that every process is to be started anew.
const RESTART: &str = "rollout_restart";

/// What was asked for on the command line.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// A name or a path.
    pub playbook: String,
    pub inventory: Vec<PathBuf>,
    pub limit: Option<String>,
    /// A pattern of hosts that leave, besides those that the inventory says.
    pub retire: Option<String>,
    /// The run is about one tenant.
    pub tenant: Option<OneTenant>,
    pub tags: Tags,
    /// `-e`, in order.
    pub extra_vars: Vec<String>,
    pub check: bool,
    pub diff: bool,
    /// Every process of a play with a `rollout:` is started anew.
    pub restart: bool,
    /// Releases in place of those that the inventory names.
    pub upgrade: Vec<Wanted>,
    /// Instead of what the plays say: every cluster goes back to the release before.
    pub rollback: bool,
    /// Connections opened at the same time.
    pub forks: usize,
    /// How long to wait for another run that holds a host.
    pub wait_lock: std::time::Duration,
    /// The folder whose `playbooks/` and `roles/` come before the built-in ones.
    pub project: PathBuf,
}

/// The tenant that a run is about. Nothing of another one is touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTenant {
    /// Of its group.
    pub name: String,
    /// Whatever the inventory says.
    pub leaves: bool,
}

/// Tells the roles which tenant a run is about; see roles/cluster.
const SCOPE: &str = "tenant_scope";

/// What all tenants share, and a run about one of them works on too.
const SHARED: [&str; 3] = ["apim", "database", "load_balancer"];

/// The input, loaded and found right.
pub struct Prepared {
    pub options: Options,
    pub inventory: Inventory,
    /// Before anybody left.
    former: Inventory,
    pub playbook: Playbook,
    pub extra: Arc<Layer>,
    pub depot: Depot,
    /// The hosts of each play, in inventory order, after `--limit`.
    pub hosts: Vec<Vec<String>>,
    pub vars_files: Vec<Vec<Arc<Layer>>>,
    pub playbook_dir: PathBuf,
    /// The plan as far as it can be known offline.
    pub plan: Plan,
    /// Of a playbook with a pattern: what the rules are held against.
    pub judgeable: Option<Judgeable>,
    /// Rendering every host's variables is dear: once, not for each connection.
    common: OnceLock<Arc<Layer>>,
}

impl Prepared {
    /// Loads and lints. Contacts nothing; all mistakes come together.
    pub fn new(options: Options) -> Result<Self> {
        let library = Library::new(&options.project);
        let mut problems = Problems::new();
        let inventory = problems.take(inventory(&options));
        let playbook = problems.take(Playbook::load(&library, &options.playbook));
        let extra = problems.take(extra_vars(&options));
        let (Some((inventory, former)), Some(playbook), Some(extra)) = (inventory, playbook, extra)
        else {
            return Err(problems);
        };
        let playbook_dir = folder_of(&options);
        let depot = Depot::new(library, vec![playbook_dir.clone(), options.project.clone()]);
        let mut prepared = Self {
            options,
            inventory,
            former,
            playbook,
            extra,
            depot,
            hosts: vec![],
            vars_files: vec![],
            playbook_dir,
            plan: Plan::default(),
            judgeable: None,
            common: OnceLock::new(),
        };
        prepared.check_rollout(&mut problems);
        prepared.check_tags(&mut problems);
        prepared.check_delegation(&mut problems);
        prepared.select(&mut problems);
        prepared.load_vars_files(&mut problems);
        prepared.check_pattern(&mut problems);
        prepared.check_targets(&mut problems);
        let is_whole = prepared.check_plays(&mut problems);
        if prepared.playbook.pattern.is_some() {
            prepared.check_rules(is_whole, &mut problems);
        }
        prepared.check_upgrade(&mut problems);
        plan::causes(problems).or(prepared)
    }

    /// A restart, an upgrade or a way back of a playbook that rolls nothing would do nothing, and say that it had.
    fn check_rollout(&self, problems: &mut Problems) {
        let options = &self.options;
        let wants = options.restart || options.rollback || !options.upgrade.is_empty();
        let rolls = self.playbook.plays.iter().any(|p| p.rollout.is_some());
        if wants && !rolls {
            let message = format!("no play of `{}` has a `rollout`", self.playbook.name);
            problems.push(Problem::new(message).help(
                "name a playbook that deploys clusters, such as standard-ha, or write `rollout:` in the play",
            ));
        }
    }

    /// Every host that some play of this run has, in inventory order.
    pub fn all_hosts(&self) -> Vec<String> {
        self.inventory
            .hosts
            .keys()
            .filter(|h| self.hosts.iter().any(|play| play.contains(h)))
            .cloned()
            .collect()
    }

    /// What must never be shown.
    pub fn scrub(&self) -> Scrub {
        let common = self.common_without_facts();
        let ladders: Vec<_> = (0..self.playbook.plays.len())
            .filter_map(|at| {
                // Plays and roles say the same of every host.
                let host = self.hosts.get(at)?.first()?;
                let state = HostState::new(host, &assumed_facts(host), vec![]);
                Some(
                    self.world(at, Arc::clone(&common))?
                        .ladder(&state, None, &[]),
                )
            })
            .collect();
        Scrub::new(&self.inventory, &self.extra, &common, &ladders)
    }

    /// The layer that is the same for all hosts, as far as it is known before they are asked.
    pub fn common_without_facts(&self) -> Arc<Layer> {
        Arc::clone(self.common.get_or_init(|| self.common(&BTreeMap::new())))
    }

    /// The layer that is the same for all hosts, with what is known of facts.
    pub fn common(&self, facts: &BTreeMap<String, Arc<Layer>>) -> Arc<Layer> {
        // Never relative for templates: steps run elsewhere.
        let dir = std::path::absolute(&self.playbook_dir);
        let dir = dir.unwrap_or_else(|_| self.playbook_dir.clone());
        Arc::new(common_layer(
            &self.inventory,
            &dir.display().to_string(),
            &self.extra,
            facts,
        ))
    }

    pub fn world(&self, at: usize, common: Arc<Layer>) -> Option<World<'_>> {
        let play = self.playbook.plays.get(at)?;
        let mut world = World::new(
            &self.inventory,
            &self.playbook,
            play,
            Arc::clone(&self.extra),
            &self.depot,
            self.options.tags.clone(),
            self.options.check,
            common,
        );
        world.play_hosts = self.hosts.get(at).cloned().unwrap_or_default();
        world.vars_files = self.vars_files.get(at).cloned().unwrap_or_default();
        Some(world)
    }

    fn select(&mut self, problems: &mut Problems) {
        let limit = self.limit(problems);
        let common = self.common_without_facts();
        for at in 0..self.playbook.plays.len() {
            let pattern = problems.take(self.hosts_pattern(at, &common)).flatten();
            let mut hosts = vec![];
            if let Some(pattern) = pattern {
                problems.extend(self.check_play_hosts(&pattern));
                hosts = problems
                    .take(pattern.select(&self.inventory))
                    .unwrap_or_default();
            }
            if let Some(limit) = &limit {
                hosts.retain(|h| limit.contains(h));
            }
            self.hosts.push(hosts);
        }
        if problems.is_empty() && self.hosts.iter().all(Vec::is_empty) {
            problems.push(
                Problem::new(format!("no play of `{}` has a host", self.playbook.name)).help(
                    "`apim-deploy inventory graph -i INVENTORY` shows the groups; \
                     README.md lists those that the playbooks know",
                ),
            );
        }
    }

    fn hosts_of_play(&self, at: usize, common: &Arc<Layer>) -> Result<Vec<String>> {
        match self.hosts_pattern(at, common)? {
            Some(pattern) => pattern.select(&self.inventory),
            None => Ok(vec![]),
        }
    }

    pub(super) fn hosts_pattern(
        &self,
        at: usize,
        common: &Arc<Layer>,
    ) -> Result<Option<HostPattern>> {
        let Some(world) = self.world(at, Arc::clone(common)) else {
            return Ok(None);
        };
        let text = plan::hosts_text(&world)?;
        HostPattern::parse(&text, Some(&world.play.hosts.span)).map(Some)
    }

    /// The hosts of this run that leave, and that the play would have if they stayed.
    pub fn leaving(&self, at: usize) -> Vec<String> {
        let pattern = self.hosts_pattern(at, &self.common_without_facts());
        let Ok(Some(pattern)) = pattern else {
            return vec![];
        };
        let run = self.all_hosts();
        let mut hosts = pattern.select(&self.former).unwrap_or_default();
        hosts.retain(|host| self.inventory.is_retired(host) && run.contains(host));
        hosts
    }

    fn limit(&self, problems: &mut Problems) -> Option<Vec<String>> {
        if let Some(tenant) = &self.options.tenant {
            let shared = SHARED.iter().flat_map(|g| self.inventory.hosts_of(g));
            let own = self.inventory.hosts_of(&tenant.name).into_iter();
            let hosts = own.chain(self.inventory.retired_from(&tenant.name));
            return Some(hosts.chain(shared).map(str::to_owned).collect());
        }
        let text = self.options.limit.as_deref()?;
        let hosts = HostPattern::limit(text).and_then(|pattern| {
            let hosts = pattern.select(&self.inventory)?;
            match hosts.is_empty() {
                true => Err(self.nobody(text).into()),
                false => pattern.complaints(&self.inventory).or(hosts),
            }
        });
        Some(problems.take(hosts).unwrap_or_default())
    }

    fn nobody(&self, limit: &str) -> Problem {
        let inventory = &self.inventory;
        let known = inventory.hosts.keys().chain(inventory.groups.keys());
        let near = nearest(limit, known.map(String::as_str));
        let help = match near.filter(|near| *near != limit) {
            _ if inventory.is_retired(limit) => {
                format!("`{limit}` is retired; `--limit {RETIRED}` means those that are")
            }
            Some(near) => format!("did you mean `{near}`?"),
            None => "`apim-deploy inventory graph -i INVENTORY` shows what there is".into(),
        };
        Problem::new(format!("--limit `{limit}` matches no host")).help(help)
    }

    fn load_vars_files(&mut self, problems: &mut Problems) {
        let common = self.common_without_facts();
        for at in 0..self.playbook.plays.len() {
            let layers = match self.world(at, Arc::clone(&common)) {
                Some(world) => self.vars_files_of(world.play, &common, problems),
                None => vec![],
            };
            self.vars_files.push(layers);
        }
    }

    fn vars_files_of(
        &self,
        play: &Play,
        common: &Arc<Layer>,
        problems: &mut Problems,
    ) -> Vec<Arc<Layer>> {
        let mut ladder = crate::vars::Ladder::default();
        ladder.push(Arc::clone(common));
        ladder.push(Arc::clone(&play.vars));
        ladder.push(Arc::clone(&self.extra));
        let scope = Scope::new(&ladder);
        let mut layers = Vec::new();
        for node in &play.vars_files {
            let loaded = scope.text(node).map_err(as_problems).and_then(|name| {
                let path = self.playbook_dir.join(&name);
                let path = if path.is_file() {
                    path
                } else {
                    PathBuf::from(&name)
                };
                let help = "a path begins in the playbook's folder, or where the command was typed";
                playbook::vars_file(&path).map_err(|p| p.placed(&node.span, help))
            });
            layers.extend(problems.take(loaded).map(Arc::new));
        }
        layers
    }

    fn check_pattern(&self, problems: &mut Problems) {
        let Some(pattern) = &self.playbook.pattern else {
            if self.options.tenant.is_some() {
                problems.extend(self.inventory.tenant_mistakes());
            }
            return;
        };
        for problem in pattern.check(&self.inventory) {
            problems.push(problem);
        }
        self.check_tenants(pattern, problems);
        self.check_groups(pattern, problems);
        self.check_packs(&pattern.packs, problems);
    }

    fn check_tenants(&self, pattern: &Pattern, problems: &mut Problems) {
        if pattern.knows(TENANTS) {
            problems.extend(self.inventory.tenant_mistakes());
        } else if let Some(group) = self.inventory.groups.get(TENANTS) {
            problems.push(
                Problem::new(format!("pattern `{}` knows no tenants", pattern.name))
                    .at(&group.span)
                    .help(format!(
                        "use `standard-ha-multitenant`, or take the group `{TENANTS}` out"
                    )),
            );
        }
    }

    fn check_packs(&self, packs: &[crate::source::Node], problems: &mut Problems) {
        let Some(first) = self.inventory.hosts.keys().next() else {
            return;
        };
        let common = self.common_without_facts();
        let Some(world) = self.world(0, common) else {
            return;
        };
        let host = HostState::new(first, &assumed_facts(first), vec![]);
        // Role defaults of every play: the pattern stands before all of them.
        let mut ladder = world.ladder(&host, None, &[]);
        for at in 1..self.playbook.plays.len() {
            if let Some(other) = self.world(at, Arc::clone(&world.common)) {
                let defaults = other.ladder(&host, None, &[]).layers;
                ladder.layers.splice(0..0, defaults);
            }
        }
        let scope = Scope::new(&ladder);
        for node in packs {
            match scope.render(node) {
                Err(unresolved) => problems.extend(as_problems(unresolved)),
                Ok(value) => {
                    for name in texts(&value) {
                        if let Err(error) = self.depot.find(None, "files", &name) {
                            problems.push(
                                Problem::new(plan::missing(&name))
                                    .at(&node.span)
                                    .because(error)
                                    .help("download it from WSO2 and put it there, or set the variable that names it"),
                            );
                        }
                    }
                }
            }
        }
    }

    fn check_targets(&self, problems: &mut Problems) {
        let common = self.common_without_facts();
        for host in self.all_hosts() {
            let ladder = plan::host_ladder(&self.inventory, &host, &common, &self.extra, None);
            let target = target::target(&host, &ladder, None);
            // What is wrong without having been written is the host's name.
            let written = self.inventory.hosts.get(&host).map(|h| &h.span);
            problems.take(match written {
                Some(span) => target
                    .map_err(|p| p.placed(span, "name it by another name, or set `ansible_host`")),
                None => target,
            });
        }
    }

    /// Undefined variables, wrong parameters and missing files show now. Answers whether all could be planned.
    fn check_plays(&mut self, problems: &mut Problems) -> bool {
        let (plan, found) = self.planned(&self.hosts, &self.options.tags);
        let is_whole = found.is_empty();
        self.plan = plan;
        problems.extend(found);
        is_whole
    }

    /// Plans every play for its hosts as if they were plain machines: as much of it as can be.
    pub(super) fn planned(&self, hosts: &[Vec<String>], tags: &Tags) -> (Plan, Problems) {
        let mut problems = Problems::new();
        let assumed: BTreeMap<String, Facts> = self
            .inventory
            .hosts
            .keys()
            .map(|h| (h.clone(), assumed_facts(h)))
            .collect();
        let mut states: IndexMap<String, HostState> = assumed
            .iter()
            .map(|(h, facts)| (h.clone(), HostState::new(h, facts, vec![])))
            .collect();
        let facts = states
            .iter()
            .map(|(h, s)| (h.clone(), Arc::clone(&s.facts)))
            .collect();
        let common = self.common(&facts);
        let mut plan = Plan::default();
        for (at, hosts) in hosts.iter().enumerate() {
            let Some(mut world) = self.world(at, Arc::clone(&common)) else {
                continue;
            };
            world.tags = tags.clone();
            problems.extend(self.check_leaving(at, &world));
            let everyone: Vec<HostState> = hosts
                .iter()
                .filter_map(|h| states.get(h).cloned())
                .collect();
            for cluster in problems
                .take(roll::read(&world, &everyone))
                .into_iter()
                .flatten()
            {
                problems.extend(roll::check(&world, &cluster, &everyone));
            }
            let mut hosts: IndexMap<String, HostState> = hosts
                .iter()
                .filter_map(|h| Some((h.clone(), states.get(h)?.clone())))
                .collect();
            let (previewed, found) = plan::preview(&mut world, &mut hosts);
            plan.plays.push(previewed);
            problems.extend(found);
            states.extend(hosts);
        }
        (plan, problems)
    }

    /// Whether those that leave a play's clusters can be taken out.
    fn check_leaving(&self, at: usize, world: &World<'_>) -> Problems {
        let mut problems = Problems::new();
        if world.play.rollout.is_none() {
            return problems;
        }
        let hosts = self.leaving(at).into_iter();
        let hosts: Vec<_> = hosts
            .map(|host| HostState::new(&host, &assumed_facts(&host), vec![]))
            .collect();
        let clusters = problems.take(roll::read(world, &hosts));
        for cluster in clusters.into_iter().flatten() {
            for host in hosts.iter().filter(|h| cluster.hosts.contains(&h.name)) {
                problems.extend(roll::check_leaving(world, &cluster, host));
            }
        }
        problems
    }

    /// The hosts of a play without `--limit`.
    pub fn everyone_of(&self, at: usize) -> Vec<String> {
        self.hosts_of_play(at, &self.common_without_facts())
            .unwrap_or_default()
    }

    /// The hosts of each play without `--limit`.
    pub(super) fn everywhere(&self) -> Vec<Vec<String>> {
        (0..self.playbook.plays.len())
            .map(|at| self.everyone_of(at))
            .collect()
    }
}

/// Without the hosts that leave in this run, and with them.
fn inventory(options: &Options) -> Result<(Inventory, Inventory)> {
    let mut inventory = Inventory::load(&options.inventory)?;
    let former = inventory.clone();
    let mut retire = options.retire.as_ref();
    if let Some(tenant) = &options.tenant {
        inventory.ask_for_tenant(&tenant.name, tenant.leaves)?;
        retire = Some(&tenant.name).filter(|_| tenant.leaves);
    }
    let retire = match retire {
        Some(text) => Some(HostPattern::parse(text, None)?),
        None => None,
    };
    inventory.retire(retire.as_ref())?;
    Ok((inventory, former))
}

impl Groups for Inventory {
    fn names(&self) -> Vec<&str> {
        self.groups.keys().map(String::as_str).collect()
    }

    fn count(&self, group: &str) -> usize {
        self.hosts_of(group).len()
    }

    fn retired(&self, group: &str) -> Vec<&str> {
        self.retired_from(group)
    }

    fn place(&self, group: &str) -> Option<Span> {
        self.groups.get(group).map(|g| g.span.clone())
    }
}

pub(super) fn extra_vars(options: &Options) -> Result<Arc<Layer>> {
    let mut layer = Layer::new("extra vars");
    let mut problems = Problems::new();
    for text in &options.extra_vars {
        if let Some(more) = problems.take(playbook::extra_vars(text)) {
            layer.variables.extend(more.variables);
        }
    }
    if let Some(tenant) = &options.tenant {
        layer = layer.with(SCOPE, tenant.name.as_str());
    }
    if options.restart {
        layer = layer.with(RESTART, true);
    }
    layer = upgrade::layered(layer, &options.upgrade);
    problems.or(Arc::new(layer))
}

/// Where the playbook is; for a built-in one, the project.
fn folder_of(options: &Options) -> PathBuf {
    let path = Path::new(&options.playbook);
    match path.parent() {
        Some(parent) if path.is_file() && parent == Path::new("") => PathBuf::from("."),
        Some(parent) if path.is_file() => parent.to_path_buf(),
        _ => options.project.clone(),
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) if !text.is_empty() => vec![text.clone()],
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        _ => vec![],
    }
}

pub(super) fn as_problems(unresolved: Unresolved) -> Problems {
    match unresolved {
        Unresolved::Wrong(problem) => (*problem).into(),
        Unresolved::Pending { name, .. } => {
            Problem::new(format!("`{name}` is not known before the run")).into()
        }
    }
}
