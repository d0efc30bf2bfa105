//! The live board: one line per running host, newest facts right, and above it the lines that stay.

use super::lines::Lines;
use super::nodes;
use super::words::{self, Columns};
use crate::event::{Event, Listener, NodeStatus};
use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::HashMap;
use std::time::Duration;

/// Frames a second: more only makes the terminal flicker.
const RATE: u8 = 10;

pub struct Board {
    lines: Lines,
    board: MultiProgress,
    hosts: HashMap<String, ProgressBar>,
    style: ProgressStyle,
    /// Bars beyond the terminal's height would scroll; these hosts go without one.
    room: usize,
    /// Rows of the terminal that the latest table of nodes takes.
    painted: usize,
}

impl Board {
    pub fn new(verbose: bool) -> Self {
        let term = Term::stderr();
        let (rows, _) = term.size();
        Self {
            lines: Lines::new(verbose),
            board: MultiProgress::with_draw_target(ProgressDrawTarget::term(term, RATE)),
            hosts: HashMap::new(),
            style: ProgressStyle::default_spinner(),
            room: usize::from(rows).saturating_sub(4).max(1),
            painted: 0,
        }
    }

    fn show(&mut self, host: &str, text: &str) {
        if !self.hosts.contains_key(host) {
            if self.hosts.len() >= self.room {
                return;
            }
            let bar = self.board.add(ProgressBar::new_spinner());
            bar.set_style(self.style.clone());
            bar.set_prefix(host.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            self.hosts.insert(host.to_owned(), bar);
        }
        if let Some(bar) = self.hosts.get(host) {
            bar.set_message(words::tame(text).replace('\n', " "));
        }
    }

    /// A later table takes the place of the one before.
    fn repaint(&mut self, nodes: &[NodeStatus]) -> Vec<String> {
        let lines = nodes::table(nodes);
        let term = Term::stdout();
        let columns = usize::from(term.size().1).max(1);
        let _ = term.clear_last_lines(self.painted);
        let rows = |line: &String| console::measure_text_width(line).max(1).div_ceil(columns);
        self.painted = lines.iter().map(rows).sum();
        lines
    }

    fn hide(&mut self, host: &str) {
        if let Some(bar) = self.hosts.remove(host) {
            bar.finish_and_clear();
            self.board.remove(&bar);
        }
    }
}

impl Listener for Board {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::RunStarted { hosts, check, .. } => {
                let width = Columns::of(hosts, *check).host;
                let look = format!("{{spinner}} {{prefix:{width}!}} {{wide_msg}} {{elapsed:>5}}");
                if let Ok(style) = ProgressStyle::with_template(&look) {
                    self.style = style;
                }
            }
            Event::Reaching { host, phase } if phase == "ready" => self.hide(host),
            Event::Reaching { host, phase } => self.show(host, phase),
            Event::StepStarted { host, title, item } => {
                let text = match item {
                    Some(item) => format!("{title} ({})", words::brief(item)),
                    None => title.clone(),
                };
                self.show(host, &text);
            }
            Event::Progress { host, text } => self.show(host, text),
            Event::Sending {
                host,
                name,
                sent,
                size,
            } => {
                let text = format!("{name}  {} of {}", words::size(*sent), words::size(*size));
                self.show(host, &text);
            }
            Event::Unreachable { host, .. }
            | Event::HostStopped { host, .. }
            | Event::Moved { host, .. } => self.hide(host),
            Event::PlayStarted { .. }
            | Event::BatchStarted { .. }
            | Event::Judged(_)
            | Event::Tenants(_)
            | Event::Nodes(_)
            | Event::NodesAgain(_)
            | Event::RunEnded { .. } => {
                let shown: Vec<String> = self.hosts.keys().cloned().collect();
                for host in shown {
                    self.hide(&host);
                }
            }
            _ => {}
        }
        let lines = match event {
            Event::Nodes(all) | Event::NodesAgain(all) => self.repaint(all),
            other => self.lines.say(other),
        };
        if !lines.is_empty() {
            self.board.suspend(|| {
                for line in lines {
                    super::line(&line);
                }
            });
        }
    }
}
