//! `upgrade` and `rollback`: runs that bring another release, by rollouts.

use super::{RunArgs, carry_out, options};
use crate::exit::Exit;
use crate::run::{Options, Prepared, Wanted};
use clap::Args;

#[derive(Debug, Args)]
pub struct UpgradeArgs {
    #[command(flatten)]
    run: RunArgs,
    /// The release to bring; may be given for several products (apim, the default, mi, si)
    #[arg(long, required = true, value_name = "[PRODUCT=]VERSION[+LEVEL]")]
    to: Vec<Wanted>,
}

pub const UPGRADE_HELP: &str = "\
A run with these releases in place of those that the inventory names. Packs are looked for before anything else;
releases are unpacked on all hosts before any service is touched; then each node is taken out of the balancer's rotation,
stopped, changed, started, proved healthy and put back, before the next one is touched. What else differs is brought along,
so look with --check first.

A level is one of WSO2 Updates: a pack of version 4.5.0 at level 12 is called wso2am-4.5.0.12.zip. A version without a level
is the version as it was published. Another product line (4.5 to 4.6) shares no database with this one and is refused:
playbooks/migrate.yaml is API Manager's way there, `mi_rolls_lines` (roles/cluster) may be Micro Integrator's.

Afterwards the inventory has to name the new releases: the lines to write are shown, and a run that would bring an older
release back is refused until they stand there. `apim-deploy rollback` goes back.

Examples:
  apim-deploy upgrade standard-ha -i prod.yaml --to +12 --check
  apim-deploy upgrade standard-ha -i prod.yaml --to +12              level 12 of the API-M version that is deployed
  apim-deploy upgrade standard-ha -i prod.yaml --to 4.5.0+12 --to mi=+3 --to si=4.3.1
  apim-deploy upgrade standard-ha -i prod.yaml --to mi=+3 -l mi-1    one node first; later the others, without -l

Exit codes: 0 it is so, 2 the input is wrong or a pack is missing, 3 a node must not go there, and nothing was changed,
7 the new release proved bad and the old one serves; others as for run.";

pub const ROLLBACK_HELP: &str = "\
Each cluster's nodes that run its newest release go back to the one that they ran before, with the files that they had then:
through the same rollout as every change, gateways before control planes. Asked for again, there is nothing to go back to,
and nothing is touched. One upgrade can be taken back, for as long as its release runs; never across a product line.

Nodes on which a stopped upgrade had not begun stay as they are. Afterwards the inventory has to name the old releases again:
a run brings what it names.

Examples:
  apim-deploy rollback standard-ha -i prod.yaml --check
  apim-deploy rollback standard-ha -i prod.yaml
  apim-deploy rollback standard-ha -i prod.yaml -l mi";

pub fn upgrade(args: &UpgradeArgs) -> Exit {
    carried(
        Options {
            upgrade: args.to.clone(),
            ..run_options(&args.run)
        },
        &args.run,
    )
}

pub fn rollback(args: &RunArgs) -> Exit {
    carried(
        Options {
            rollback: true,
            ..run_options(args)
        },
        args,
    )
}

fn run_options(args: &RunArgs) -> Options {
    Options {
        check: args.check,
        diff: args.diff,
        ..options(&args.input, &args.output)
    }
}

fn carried(options: Options, args: &RunArgs) -> Exit {
    match carry_out(options, &args.output) {
        Ok((ended, _)) => Exit::from(&ended),
        Err(exit) => exit,
    }
}

/// What people have to know after an upgrade.
pub fn afterwards(prepared: &Prepared) -> Option<String> {
    let lines = prepared.to_be_written();
    let is_due = !prepared.options.check && !lines.is_empty();
    is_due.then(|| {
        format!(
            "write {} into the inventory: a run that would bring an older release back is refused",
            lines.join(", ")
        )
    })
}
