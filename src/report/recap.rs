//! The recap: the verdict first, what is true now, and which command comes next.

use super::words;
use crate::event::{Ended, HostRecap, Recap};
use console::style;

/// More hosts than this are shown by what stands out.
const SCREEN: usize = 20;

/// A line per host; with many hosts only those that stand out.
pub fn table(recap: &Recap, check: bool) -> Vec<String> {
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
    let width = all
        .iter()
        .map(|h| h.host.len())
        .max()
        .unwrap_or(0)
        .max(words::HOST_WIDTH);
    for host in &shown {
        lines.push(format!(
            "{:<width$} ok {:<4} {changed} {:<4} skipped {:<4} failed {:<3}{}",
            host.host,
            host.ok,
            emphasis(host.changed, style(host.changed).yellow().to_string()),
            host.skipped,
            emphasis(host.failed, style(host.failed).red().bold().to_string()),
            remark(host)
        ));
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

fn emphasis(number: u32, styled: String) -> String {
    if number == 0 {
        format!("{number}")
    } else {
        styled
    }
}

fn remark(host: &HostRecap) -> String {
    if host.unreachable {
        format!("  {}", style("unreachable").red().bold())
    } else if host.not_reached {
        "  nothing was changed".to_owned()
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
        Ended::Preflight => vec![
            format!("now:  nothing was changed on any host; {bad} must be mended first"),
            next(command.to_owned()),
        ],
        Ended::Busy => vec![
            format!("now:  nothing was changed; another run is at work on {bad}"),
            next(format!("{command}   (when the other run has ended)")),
        ],
        Ended::Unreachable => vec![
            format!("now:  {bad} could not be reached; what the other hosts report above is true"),
            next(command.to_owned()),
        ],
        Ended::Stopped => vec![
            format!(
                "now:  stopped at {bad}; finished steps stay as they are, later plays were not begun, \
                 the other hosts are as the table says"
            ),
            next(format!(
                "mend the cause, then: {command}   (it finds out what is true and goes on from there)"
            )),
        ],
        Ended::Interrupted => vec![
            "now:  interrupted; every host finished the step it was at".to_owned(),
            next(command.to_owned()),
        ],
    }
}
