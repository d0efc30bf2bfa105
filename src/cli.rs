//! The commands and their flags; one short function per command.

mod catalogue;
mod manual;
mod stop;
mod tenant;
mod typed;
mod upgrade;

use crate::event::{Ended, Event, Listener, Recap};
use crate::exit::Exit;
use crate::inventory::Inventory;
use crate::plan::{Line, Tags};
use crate::report::{self, Board, Json, Lines, Report};
use crate::run::{self, Options, Prepared, Scrub, Teller};
use crate::source::Problems;
use crate::ssh::Worker;
use crate::worker;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use stop::stop_on_signals;
use tokio::sync::watch;
use typed::typed;

/// Deploys and operates WSO2 API Manager clusters on virtual machines, over SSH, without an agent.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
A first deployment:
  apim-deploy lint standard-ha -i prod.yaml          what is missing or wrong
  apim-deploy check standard-ha -i prod.yaml         what is wrong on the hosts
  apim-deploy run  standard-ha -i prod.yaml --check  what would change
  apim-deploy run  standard-ha -i prod.yaml          make it so

Exit codes:
  0   everything asked for is true now
  2   the input is wrong; nothing was contacted
  3   preflight failed; nothing was changed
  4   stopped with part of the change made; the same command goes on from there
  5   only unreachable hosts are the reason
  6   another run is at work on a host; nothing was changed
  7   a change proved bad and was taken back; the old state serves
  8   a node is neither what it was nor what it should be; a person is needed
  10  `plan --detailed-exitcode`: there are changes
  70  a bug in this program
  130 interrupted";

#[derive(Debug, Subcommand)]
enum Command {
    /// Make everything that a playbook says true, on every host that it concerns
    #[command(after_help = "\
Examples:
  apim-deploy run standard-ha -i prod.yaml
  apim-deploy run standard-ha -i prod.yaml --check --diff
  apim-deploy run standard-ha -i prod.yaml -l mi -e mi_heap=2g")]
    Run(RunArgs),
    /// Show what a run would change, with differences: `run --check --diff`
    #[command(after_help = "\
Examples:
  apim-deploy plan standard-ha -i prod.yaml
  apim-deploy plan standard-ha -i prod.yaml --detailed-exitcode --output json")]
    Plan(PlanArgs),
    /// Find mistakes in playbook, inventory, variables and packs; contacts nothing
    #[command(after_help = "\
Plans every play for every host, as a run does, with assumed facts. Names every mistake that it
finds, with its place and a way to mend it.

Examples:
  apim-deploy lint standard-ha -i prod.yaml
  apim-deploy lint ./site.yaml -i hosts.ini -e @secrets.yaml")]
    Lint(InputArgs),
    /// Hold every rule against the plan and the hosts; changes nothing
    #[command(after_help = "\
Asks every host once what it is like: clock, disk, JDK, keystores, ports, what its nodes answer. Then holds the
rules against what the playbook would write and what the hosts said, and prints one table. A rule
that does not fit an environment is accepted in its inventory, with the reason:
  accepted_rules: { apim-50: \"reached from a private network only\" }

Examples:
  apim-deploy check standard-ha -i prod.yaml
  apim-deploy check standard-ha -i prod.yaml -l mi --output json
  apim-deploy check --rules

Exit codes: 0 no rule finds an error, 2 the input is wrong, 3 a rule found an error or a host refused us, 5 a host
could not be reached and nothing else is wrong.")]
    Check(CheckArgs),
    /// Start every process of the clusters anew, node by node, while the others serve
    #[command(after_help = "\
A run in which every process is started anew, also where nothing differs: what differs is brought along, so look
with --check first. Each node is taken out of the balancer's rotation, stopped, started, proved healthy and
put back, before the next one is touched. How many at once, how long each must prove itself and what happens
when one fails are the variables `rollout_*`.

Examples:
  apim-deploy restart standard-ha -i prod.yaml
  apim-deploy restart standard-ha -i prod.yaml -l mi
  apim-deploy restart standard-ha -i prod.yaml -l apim-2 --check")]
    Restart(RunArgs),
    /// Bring another release, an update level for one, node by node, while the others serve
    #[command(after_help = upgrade::UPGRADE_HELP)]
    Upgrade(upgrade::UpgradeArgs),
    /// Go back to the releases before the last upgrade, node by node, while the others serve
    #[command(after_help = upgrade::ROLLBACK_HELP)]
    Rollback(RunArgs),
    /// Show every node: its release, whether it serves, its place in the balancer's rotation, what a run would change
    #[command(after_help = "\
Asks what a rollout asks before it acts, and changes nothing. With --watch it looks again and again over the same
connections: a terminal shows the latest look, a file or a pipe gets the first one and then a line for each thing that
changed. It holds the hosts' locks meanwhile, so no run can begin before it ends.

Examples:
  apim-deploy status standard-ha -i prod.yaml
  apim-deploy status standard-ha -i prod.yaml -l mi --output json
  apim-deploy status standard-ha -i prod.yaml --watch 5

Exit codes: 0 everything could be asked, or a watch was ended with Ctrl-C; 2 the input is wrong, 3 a host refused us,
5 a host could not be reached.")]
    Status(StatusArgs),
    /// Bring tenants with clusters of their own, look at them, take them away
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Look into an inventory
    #[command(subcommand)]
    Inventory(InventoryCommand),
    /// List the kinds of task, or show the manual of one
    Modules {
        /// The module to explain
        name: Option<String>,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell to complete in
        shell: clap_complete::Shell,
    },
    /// The far end of a connection; started by apim-deploy itself
    #[command(hide = true)]
    Worker {
        /// Become this user first
        #[arg(long = "as")]
        user: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum InventoryCommand {
    /// Print all hosts and groups as JSON, as `ansible-inventory --list` does
    List(InventoryArgs),
    /// Print the tree of groups, as `ansible-inventory --graph` does
    Graph(InventoryArgs),
    /// Print one host's variables as JSON
    Host {
        /// The host, as the inventory names it
        name: String,
        #[command(flatten)]
        inventory: InventoryArgs,
    },
}

#[derive(Debug, Args)]
struct InventoryArgs {
    /// Inventory file or folder; may be given several times
    #[arg(short, long, required = true)]
    inventory: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct InputArgs {
    /// A playbook: a name (of ./playbooks or built in, such as standard-ha) or a path
    playbook: String,
    // Not `InventoryArgs`: clap tells whether optional arguments are there only by those of one struct.
    /// Inventory file or folder; may be given several times
    #[arg(short, long, required = true)]
    inventory: Vec<PathBuf>,
    /// Only these hosts: a pattern such as `mi:!mi-2`, or @FILE
    #[arg(short, long, value_name = "PATTERN")]
    limit: Option<String>,
    /// Hosts that leave, as if the inventory said `state: absent`: a pattern such as `mi-3`; out of rotation first, stopped last
    #[arg(long, value_name = "PATTERN")]
    retire: Option<String>,
    /// Only tasks with one of these tags
    #[arg(short, long, value_delimiter = ',')]
    tags: Vec<String>,
    /// No task with one of these tags
    #[arg(long, value_delimiter = ',', value_name = "TAGS")]
    skip_tags: Vec<String>,
    /// Variables that win over all others: KEY=VALUE, a JSON or YAML mapping, or @FILE
    #[arg(short, long, value_name = "VARS")]
    extra_vars: Vec<String>,
    /// The folder whose playbooks/, roles/, files/ and templates/ come before the built-in ones
    #[arg(long, default_value = ".", value_name = "DIR")]
    project: PathBuf,
}

#[derive(Debug, Args)]
struct OutputArgs {
    /// How to tell what happens
    #[arg(long, value_enum, default_value_t = Output::Human)]
    output: Output,
    /// Also show steps that changed nothing, and what hosts say while a step goes on
    #[arg(short, long)]
    verbose: bool,
    /// Connections opened at the same time
    #[arg(short, long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    forks: u16,
    /// Wait this long for another run that holds a host, instead of giving up with exit code 6
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait_lock: u64,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    input: InputArgs,
    /// Only look: say what would change, change nothing
    #[arg(long)]
    check: bool,
    /// Show how the content of files differs
    #[arg(long)]
    diff: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct CheckArgs {
    #[command(flatten)]
    input: Option<InputArgs>,
    /// List every rule: id, stage, severity, what must hold, source
    #[arg(long, exclusive = true)]
    rules: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct StatusArgs {
    #[command(flatten)]
    input: InputArgs,
    /// Look again every so many seconds, 10 by default, until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "10",
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct PlanArgs {
    #[command(flatten)]
    input: InputArgs,
    /// Exit with 10 when there is something to change
    #[arg(long)]
    detailed_exitcode: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A live board on a terminal, plain lines elsewhere
    Human,
    /// One line an event
    Plain,
    /// One JSON object a line
    Json,
}

/// Parses the command line and carries it out.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        std::process::exit(i32::from(bug(&panic.to_string()).code()));
    }));
    // clap itself ends with 2 for a wrong command line, and 0 for --help.
    match Cli::parse().command {
        Command::Run(args) => run(&args).into(),
        Command::Plan(args) => plan(args).into(),
        Command::Restart(args) => restart(&args).into(),
        Command::Upgrade(args) => upgrade::upgrade(&args).into(),
        Command::Rollback(args) => upgrade::rollback(&args).into(),
        Command::Status(args) => status(&args).into(),
        Command::Lint(args) => lint(&args).into(),
        Command::Check(args) => check(&args).into(),
        Command::Tenant(command) => tenant::main(&command).into(),
        Command::Inventory(command) => inventory(&command).into(),
        Command::Modules { name } => list_modules(name.as_deref()).into(),
        Command::Completions { shell } => {
            // Into memory first: the generator takes a closed stdout for a bug.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "apim-deploy", &mut script);
            report::line(String::from_utf8_lossy(&script).trim_end());
            Exit::Done.into()
        }
        Command::Worker { user } => worker::main(&worker::Options { user }),
    }
}

fn run(args: &RunArgs) -> Exit {
    let mut options = options(&args.input, &args.output);
    options.check = args.check;
    options.diff = args.diff;
    match carry_out(options, &args.output) {
        Ok((ended, _)) => Exit::from(&ended),
        Err(exit) => exit,
    }
}

fn restart(args: &RunArgs) -> Exit {
    let options = Options {
        restart: true,
        check: args.check,
        diff: args.diff,
        ..options(&args.input, &args.output)
    };
    match carry_out(options, &args.output) {
        Ok((ended, _)) => Exit::from(&ended),
        Err(exit) => exit,
    }
}

fn status(args: &StatusArgs) -> Exit {
    let options = options(&args.input, &args.output);
    let prepared = match Prepared::new(Options {
        check: true,
        ..options
    }) {
        Ok(prepared) => prepared,
        Err(problems) => return refuse(&problems),
    };
    let seen = tell(
        &args.output,
        prepared.scrub(),
        async |worker, teller, stop| {
            let watch = args.watch.map(std::time::Duration::from_secs);
            run::status(&prepared, worker, teller, stop, watch).await
        },
    );
    match seen {
        Ok((ended, _)) => Exit::from(&ended),
        Err(exit) => exit,
    }
}

fn plan(args: PlanArgs) -> Exit {
    let mut options = options(&args.input, &args.output);
    options.check = true;
    options.diff = true;
    match carry_out(options, &args.output) {
        Ok((Ended::Done, recap)) if args.detailed_exitcode => {
            if recap.hosts.iter().any(|h| h.changed > 0) {
                Exit::Changes
            } else {
                Exit::Done
            }
        }
        Ok((ended, _)) => Exit::from(&ended),
        Err(exit) => exit,
    }
}

fn check(args: &CheckArgs) -> Exit {
    let Some(input) = &args.input else {
        report::line(catalogue::list().trim_end());
        return Exit::Done;
    };
    let prepared = match Prepared::new(Options {
        check: true,
        ..options(input, &args.output)
    }) {
        Ok(prepared) => prepared,
        Err(problems) => return refuse(&problems),
    };
    let Some(judgeable) = &prepared.judgeable else {
        let message = format!("`{}` states no pattern", prepared.playbook.name);
        let help = "rules are about deployments that we know: playbooks that begin with `pattern:`";
        return refuse(&crate::source::Problem::new(message).help(help).into());
    };
    let checked = tell(
        &args.output,
        prepared.scrub(),
        async |worker, teller, stop| {
            Ok(run::check(&prepared, judgeable, worker, teller, stop).await)
        },
    );
    match checked {
        Ok((ended, _)) => Exit::from(&ended),
        Err(exit) => exit,
    }
}

fn carry_out(options: Options, output: &OutputArgs) -> Result<(Ended, Recap), Exit> {
    let check = options.check;
    let prepared = Prepared::new(options).map_err(|p| refuse(&p))?;
    let scrub = prepared.scrub();
    let (ended, recap) = tell(output, scrub.clone(), async |worker, teller, stop| {
        let ended = run::execute(&prepared, worker, teller, stop).await?;
        if ended == Ended::Done
            && let Some(text) =
                tenant::afterwards(&prepared).or_else(|| upgrade::afterwards(&prepared))
        {
            teller.note(None, text);
        }
        Ok(ended)
    })?;
    if output.output != Output::Json {
        let command = typed(std::env::args().map(|word| scrub.hide(&word)));
        for line in report::closing(&ended, &recap, check, &command) {
            report::line(&line);
        }
    }
    Ok((ended, recap))
}

/// Carries out what connects to hosts, and tells what happens while it goes on.
fn tell(
    output: &OutputArgs,
    scrub: Scrub,
    work: impl AsyncFnOnce(Arc<Worker>, &Teller, watch::Receiver<bool>) -> Result<Ended, Problems>,
) -> Result<(Ended, Recap), Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| bug(&format!("the runtime cannot start: {e}")))?;
    let told = runtime.block_on(async {
        let worker = Worker::this_program()
            .map_err(|e| bug(&format!("this program cannot read itself: {e}")))?;
        let (teller, told) = Teller::start(Remember::new(reporter(output)), scrub);
        let stop = stop_on_signals(teller.clone());
        let ended = work(Arc::new(worker), &teller, stop).await;
        drop(teller);
        // The signal task holds a teller too; the listener has heard the recap when it says so.
        let recap = told.await.map_err(|e| bug(&e.to_string()))?.recap;
        Ok::<_, Exit>((ended.map_err(|p| refuse(&p))?, recap))
    });
    runtime.shutdown_background();
    told
}

fn lint(args: &InputArgs) -> Exit {
    let options = Options {
        forks: 1,
        ..options_of(args)
    };
    match Prepared::new(options) {
        Err(problems) => refuse(&problems),
        Ok(prepared) => {
            let lines: usize = prepared
                .plan
                .plays
                .iter()
                .flat_map(|p| &p.batches)
                .flat_map(|b| b.hosts.values())
                .flatten()
                .map(|line| match line {
                    Line::Carry { items, .. } => items.len(),
                    Line::Deferred { .. } => 1,
                })
                .sum();
            let warnings = warnings(&prepared);
            report::line(&format!(
                "{}: nothing wrong{warnings}; {}, {}, {}; nothing was contacted",
                prepared.playbook.name,
                report::count(prepared.plan.plays.len(), "play"),
                report::count(prepared.all_hosts().len(), "host"),
                report::count(lines, "step"),
            ));
            Exit::Done
        }
    }
}

/// Prints what rules warn of, and says how much that was.
fn warnings(prepared: &Prepared) -> String {
    let Some(judgeable) = &prepared.judgeable else {
        return String::new();
    };
    let told = prepared
        .scrub()
        .event(Event::Judged(judgeable.offline().told()));
    let Event::Judged(told) = told else {
        return String::new();
    };
    for line in report::findings(&told) {
        report::line(&line);
    }
    let blind = told.unjudged.iter().map(|u| u.rules.len()).sum::<usize>();
    let open = told.found.iter().filter(|j| j.accepted.is_none()).count();
    let said = [(open, "warning"), (blind, "rule")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, noun)| match noun {
            "rule" => format!(", {} not judged", report::count(number, noun)),
            _ => format!(", {}", report::count(number, noun)),
        });
    said.collect()
}

fn inventory(command: &InventoryCommand) -> Exit {
    let (InventoryCommand::List(args)
    | InventoryCommand::Graph(args)
    | InventoryCommand::Host {
        inventory: args, ..
    }) = command;
    let inventory = match Inventory::load(&args.inventory) {
        Ok(inventory) => inventory,
        Err(problems) => return refuse(&problems),
    };
    match command {
        InventoryCommand::List(_) => report::line(&pretty(&inventory.list())),
        InventoryCommand::Graph(_) => report::line(inventory.graph().trim_end()),
        InventoryCommand::Host { name, .. } => {
            let list = inventory.list();
            if !inventory.hosts.contains_key(name) {
                let known = inventory.hosts.keys().map(String::as_str);
                let mut problem =
                    crate::source::Problem::new(format!("the inventory has no host `{name}`"));
                if let Some(near) = crate::source::nearest(name, known) {
                    problem = problem.help(format!("did you mean `{near}`?"));
                }
                return refuse(&problem.into());
            }
            report::line(&pretty(&list["_meta"]["hostvars"][name]));
        }
    }
    Exit::Done
}

fn list_modules(name: Option<&str>) -> Exit {
    match name {
        None => {
            report::line(manual::list().trim_end());
            Exit::Done
        }
        Some(name) => match manual::page(name) {
            Ok(page) => {
                report::line(page.trim_end());
                Exit::Done
            }
            Err(problem) => refuse(&problem.into()),
        },
    }
}

fn options(input: &InputArgs, output: &OutputArgs) -> Options {
    Options {
        forks: usize::from(output.forks),
        wait_lock: std::time::Duration::from_secs(output.wait_lock),
        ..options_of(input)
    }
}

fn options_of(input: &InputArgs) -> Options {
    Options {
        playbook: input.playbook.clone(),
        inventory: input.inventory.clone(),
        limit: input.limit.clone(),
        retire: input.retire.clone(),
        tags: Tags {
            only: input.tags.clone(),
            skip: input.skip_tags.clone(),
        },
        extra_vars: input.extra_vars.clone(),
        project: input.project.clone(),
        ..Options::default()
    }
}

fn reporter(output: &OutputArgs) -> Report {
    match output.output {
        Output::Json => Report::Json(Json),
        Output::Human if is_live() => Report::Board(Box::new(Board::new(output.verbose))),
        Output::Human | Output::Plain => Report::Lines(Lines::new(output.verbose)),
    }
}

/// A person is watching: a terminal that can move its cursor.
fn is_live() -> bool {
    std::io::stdout().is_terminal()
        && std::io::stderr().is_terminal()
        && std::env::var("TERM").is_ok_and(|t| t != "dumb")
}

/// Keeps the recap for the closing lines and the exit code.
struct Remember {
    inner: Report,
    recap: Recap,
}

impl Remember {
    fn new(inner: Report) -> Self {
        Self {
            inner,
            recap: Recap::default(),
        }
    }
}

impl Listener for Remember {
    fn hear(&mut self, event: &Event) {
        if let Event::RunEnded { recap } = event {
            self.recap = recap.clone();
        }
        self.inner.hear(event);
    }
}

fn refuse(problems: &Problems) -> Exit {
    let coloured = console::colors_enabled_stderr();
    error_text(&format!(
        "{}\n{}; nothing was contacted",
        problems.render(coloured),
        report::count(problems.len(), "mistake"),
    ));
    Exit::Input
}

fn bug(text: &str) -> Exit {
    error_text(&format!("error: {text}\nthis is a bug in apim-deploy"));
    Exit::Bug
}

fn error_text(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn pretty(value: &serde_json::Value) -> String {
    let mut text = Vec::new();
    let four = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, four);
    match serde::Serialize::serialize(value, &mut serializer) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => value.to_string(),
    }
}
