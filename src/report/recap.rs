//! The recap: the verdict first, what is true now, and which command comes next.

use super::words::{self, Columns};
use crate::event::{Ended, HostRecap, Recap};
use console::{StyledObject, style};

/// More hosts than this are shown by what stands out.
const SCREEN: usize = 20;

/// A line per host; with many hosts only those that stand out.
pub fn table(recap: &Recap, columns: Columns, check: bool) -> Vec<String> {
    let changed = if check { "would change" } else { "changed" };
    let mut lines = vec![String::new()];
    let all = &recap.hosts;
    let shown: Vec<&HostRecap> = if all.len() <= SCREEN {
        all.iter().collect()
    } else {
        all.iter()
            .filter(|h| h.failed > 0 || h.unreachable)
            .take(SCREEN)
            .collect()
    };
    for host in &shown {
        let line = format!(
            "{:<width$} ok {:<4} {changed} {} skipped {:<4} failed {}{}",
            host.host,
            host.ok,
            emphasis(host.changed, StyledObject::yellow),
            host.skipped,
            emphasis(host.failed, |number| number.red().bold()),
            remark(host),
            width = columns.host,
        );
        lines.push(line.trim_end().to_owned());
    }
    if shown.len() < all.len() {
        let quiet = all.len() - shown.len();
        lines.push(format!(
            "and {} without failure",
            words::count(quiet, "host")
        ));
    }
    let sum = |of: fn(&HostRecap) -> u32| all.iter().map(of).sum::<u32>();
    lines.push(format!(
        "{}: {} {changed}, {} failed, in {}",
        words::count(all.len(), "host"),
        sum(|h| h.changed),
        sum(|h| h.failed),
        words::duration(recap.took)
    ));
    lines
}

/// Padded before it is styled: escape codes have a length too.
fn emphasis(number: u32, as_: fn(StyledObject<String>) -> StyledObject<String>) -> String {
    let padded = format!("{number:<4}");
    match number {
        0 => padded,
        _ => as_(style(padded)).to_string(),
    }
}

fn remark(host: &HostRecap) -> String {
    if host.unreachable {
        format!(" {}", style("unreachable").red().bold())
    } else if host.not_reached {
        " nothing was changed".to_owned()
    } else if host.ignored > 0 {
        format!(" ignored {}", host.ignored)
    } else {
        String::new()
    }
}

/// What is true now and which command comes next. `command` is what was typed.
pub fn closing(ended: &Ended, recap: &Recap, check: bool, command: &str) -> Vec<String> {
    let bad: Vec<&str> = recap
        .hosts
        .iter()
        .filter(|h| h.failed > 0 || h.unreachable)
        .map(|h| h.host.as_str())
        .collect();
    let bad = bad.join(", ");
    // A rollout may stop for a host that it does not touch, or for a balancer.
    let who = if bad.is_empty() { "the run" } else { &bad };
    let next = |text: String| format!("{} {text}", style("next:").cyan().bold());
    match ended {
        Ended::Done if check => vec![format!(
            "{} nothing was changed",
            style("checked:").green().bold()
        )],
        Ended::Done => vec![format!(
            "{} everything asked for is true now",
            style("done:").green().bold()
        )],
        Ended::Preflight if recap.hosts.iter().any(|h| h.unreachable) => vec![
            format!("now:  nothing was changed on any host; mend {bad} first"),
            next(command.to_owned()),
        ],
        Ended::Preflight => vec![
            "now:  nothing was changed on any host".to_owned(),
            next(format!("mend the cause, then: {command}")),
        ],
        Ended::Busy => vec![
            format!("now:  nothing was changed; another run is at work on {bad}"),
            next(format!("wait for its end, then: {command}")),
        ],
        Ended::Unreachable => vec![
            format!("now:  {bad} could not be reached; the other hosts are as the table says"),
            next(command.to_owned()),
        ],
        Ended::Stopped => vec![
            match recap.hosts.iter().all(|h| h.changed == 0) {
                true => format!("now:  {who} stopped, and nothing was changed before"),
                false => format!(
                    "now:  {who} stopped half-way; what was finished stays, and what is due is kept"
                ),
            },
            next(format!("mend the cause, then: {command}")),
        ],
        Ended::RolledBack => vec![
            "now:  the change proved bad and was taken back: the old state serves".to_owned(),
            next(format!("mend the cause, then: {command}")),
        ],
        Ended::NeedsPerson => vec![
            "now:  not every node is what it was or what it should be; those that are bad take no requests where that could be helped".to_owned(),
            next(format!("look at the hosts named above, then: {command}")),
        ],
        Ended::Interrupted => vec![
            "now:  interrupted; every host finished the step it was at".to_owned(),
            next(command.to_owned()),
        ],
    }
}
