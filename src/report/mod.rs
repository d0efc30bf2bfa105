//! TELL: listens to events and chooses the words: a live board on a terminal, plain lines
//! elsewhere, one JSON object a line for programs.

mod board;
mod json;
mod judgement;
mod lines;
mod nodes;
mod recap;
mod tenants;
mod words;

pub use board::Board;
pub use json::Json;
pub use judgement::findings;
pub use lines::Lines;
pub use recap::closing;
pub use words::count;

use crate::event::{Event, Listener};

/// The listener that was chosen on the command line.
pub enum Report {
    Board(Box<Board>),
    Lines(Lines),
    Json(Json),
}

impl Listener for Report {
    fn hear(&mut self, event: &Event) {
        match self {
            Self::Board(board) => board.hear(event),
            Self::Lines(lines) => lines.hear(event),
            Self::Json(json) => json.hear(event),
        }
    }
}

/// Writes a line to stdout. A reader that went away (`| head`) is no failure of the run.
pub fn line(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{text}");
}
