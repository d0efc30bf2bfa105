//! THEN: what people wrote and what hosts said, turned into lists of steps without expressions.
//!
//! Pure: nothing in this folder reads a file, asks a host or looks at a clock; what it needs
//! from the controller's disk comes through [`Files`]. Same inputs, same plan, byte for byte.
//!
//! # Why a cursor
//!
//! A task that reads a registered result cannot be planned before that result is in. So a host's list
//! is not made in one go: a [`Cursor`] walks the play, hands out everything that can be
//! decided now as one message, and goes on when the results are in. A play without such a task is one
//! message per host, however many tasks it has. `plan` and `lint` walk the same cursor without a host
//! and show such a task as "decided after".

mod batches;
mod causes;
mod content;
mod cursor;
mod place;
mod preview;
mod state;
mod step;
mod tags;
mod verdict;
mod world;

pub use batches::{at_least, at_most, batches, sizes};
pub use causes::causes;
pub use content::{Files, Found, missing};
pub use cursor::{About, Answer, Cursor, Leg, Turn};
pub use place::{Place, known_host, said_become};
pub use preview::{
    BatchPlan, Line, Plan, PlayPlan, Stretch, hosts_text, preview, rehearse, share, stretches,
};
pub use state::HostState;
pub use tags::Tags;
pub use verdict::Verdict;
pub use world::{World, assumed_facts, common_layer, host_ladder};
