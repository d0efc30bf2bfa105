//! `tenant add`, `tenant list`, `tenant remove`: runs of a playbook about one tenant, and a look at all of them.

use super::{OutputArgs, carry_out, refuse, tell};
use crate::exit::Exit;
use crate::plan::Tags;
use crate::run::{self, OneTenant, Options, Prepared};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What asks the hosts of all tenants.
const LIST: &str = "tenant-list";

/// API Manager's own configuration names no tenant, so no node of it is begun.
const UNTOUCHED: &str = "apim";

#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Onboard one tenant: hosts, schemas, registration, routes; nothing of another tenant is touched
    #[command(after_help = "\
A tenant is a group below `tenants` in the inventory. What is run is the playbook standard-ha-multitenant,
for this tenant's hosts, API Manager, the database and the balancer alone, and what all share is left as it is.
Run again, it changes nothing; stopped half-way, it goes on from there.

Examples:
  apim-deploy tenant add acme -i prod.yaml
  apim-deploy tenant add acme -i prod.yaml --check --diff")]
    Add(AddArgs),
    /// Show each tenant: its state in API Manager, how many of its hosts serve, its route; changes nothing
    #[command(after_help = "\
Asks each host once. A node serves when its unit is active and its health endpoint is good; a route is open
when the balancer answers for the cluster's name with one of the cluster's own hosts.

Examples:
  apim-deploy tenant list -i prod.yaml
  apim-deploy tenant list -i prod.yaml --output json

Exit codes: 0 everything could be asked, 2 the input is wrong, 5 something could not be asked: its cell says why.")]
    List(ListArgs),
    /// Offboard one tenant: routes, catalog entries, activation, services, in this order; data stays
    #[command(after_help = "\
The service catalog is asked first: as long as an API uses a service of the tenant, the run stops, names the API, and
has changed nothing (exit code 3). The tenant is deactivated, never deleted: `tenant add` brings it back. Its schemas and
database users stay, with --purge too.

The inventory may say `state: absent` of the tenant already. If not, it leaves for now: the next full run brings it
back, unless that is written.

Examples:
  apim-deploy tenant remove acme -i prod.yaml --check
  apim-deploy tenant remove acme -i prod.yaml
  apim-deploy tenant remove acme -i prod.yaml --purge")]
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
pub struct CommonArgs {
    /// Inventory file or folder; may be given several times
    #[arg(short, long, required = true)]
    inventory: Vec<PathBuf>,
    /// Variables that win over all others: KEY=VALUE, a JSON or YAML mapping, or @FILE
    #[arg(short, long, value_name = "VARS")]
    extra_vars: Vec<String>,
    /// The folder whose playbooks/, roles/, files/ and templates/ come before the built-in ones
    #[arg(long, default_value = ".", value_name = "DIR")]
    project: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
pub struct RunOneArgs {
    /// The tenant, as its group is called
    name: String,
    /// The playbook that deploys tenants: a name (of ./playbooks or built in) or a path
    #[arg(long, default_value = "standard-ha-multitenant")]
    playbook: String,
    /// Only look: say what would change, change nothing
    #[arg(long)]
    check: bool,
    /// Show how the content of files differs
    #[arg(long)]
    diff: bool,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
pub struct AddArgs {
    #[command(flatten)]
    run: RunOneArgs,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
pub struct RemoveArgs {
    #[command(flatten)]
    run: RunOneArgs,
    /// Also remove products, state and secrets from the tenant's hosts; schemas and database users stay
    #[arg(long)]
    purge: bool,
}

pub fn main(command: &TenantCommand) -> Exit {
    match command {
        TenantCommand::Add(args) => run_for(&args.run, false, &[]),
        TenantCommand::Remove(args) => {
            let more: &[&str] = if args.purge { &["purge=true"] } else { &[] };
            run_for(&args.run, true, more)
        }
        TenantCommand::List(args) => list(args),
    }
}

fn run_for(args: &RunOneArgs, leaves: bool, extra_vars: &[&str]) -> Exit {
    let mut options = Options {
        playbook: args.playbook.clone(),
        tenant: Some(OneTenant {
            name: args.name.clone(),
            leaves,
        }),
        tags: Tags {
            only: vec![],
            skip: vec![UNTOUCHED.to_owned()],
        },
        check: args.check,
        diff: args.diff,
        ..options(&args.common)
    };
    let more = extra_vars.iter().map(|text| (*text).to_owned());
    options.extra_vars.extend(more);
    match carry_out(options, &args.common.output) {
        Ok((ended, _)) => Exit::from(&ended),
        Err(exit) => exit,
    }
}

/// What people have to know after a run about a tenant.
pub fn afterwards(prepared: &Prepared) -> Option<String> {
    let tenant = prepared.options.tenant.as_ref()?;
    if !tenant.leaves
        && prepared
            .inventory
            .tenants()
            .iter()
            .filter(|t| !t.is_absent)
            .count()
            == 1
    {
        return Some(format!(
            "`{0}` is the only tenant: API Manager loads tenants at its start only once a full run has deployed it with one; \
             until `apim-deploy run {1}`, the first call of `{0}` after a restart is answered with 404",
            tenant.name, prepared.playbook.name
        ));
    }
    let is_back_soon = prepared.inventory.leaves_for_now(&tenant.name);
    is_back_soon.then(|| {
        format!(
            "the inventory still has `{0}`, and the next full run brings it back; to keep it away write \
             `state: absent` under the `vars` of the group `{0}`",
            tenant.name
        )
    })
}

fn list(args: &ListArgs) -> Exit {
    let prepared = match Prepared::new(Options {
        playbook: LIST.to_owned(),
        check: true,
        ..options(&args.common)
    }) {
        Ok(prepared) => prepared,
        Err(problems) => return refuse(&problems),
    };
    // Left out of the list without a word otherwise.
    let mistakes = prepared.inventory.tenant_mistakes();
    if !mistakes.is_empty() {
        return refuse(&mistakes);
    }
    let listed = tell(
        &args.common.output,
        prepared.scrub(),
        async |worker, teller, stop| Ok(run::list_tenants(&prepared, worker, teller, stop).await),
    );
    match listed {
        Ok((ended, _)) => Exit::from(&ended),
        Err(exit) => exit,
    }
}

fn options(common: &CommonArgs) -> Options {
    Options {
        inventory: common.inventory.clone(),
        extra_vars: common.extra_vars.clone(),
        project: common.project.clone(),
        forks: usize::from(common.output.forks),
        wait_lock: std::time::Duration::from_secs(common.output.wait_lock),
        ..Options::default()
    }
}
