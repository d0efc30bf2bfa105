//! What the two ends say to each other: steps, facts, outcomes, and the frames that carry them.
//!
//! Both ends are the same build of the same binary (the controller checks the digest), so these
//! types carry no versions and no optional history. Nothing in here does anything.

mod capp;
mod facts;
mod frame;
mod heap;
mod message;
mod outcome;
mod probed;
mod release;
mod step;
pub mod survey;

pub use capp::Capp;
pub use facts::Facts;
pub use frame::{FrameError, MAX_FRAME, decode, encode, frame_length};
pub use heap::{environment_heap, heap};
pub use message::{FromWorker, Order, ToWorker};
pub use outcome::{Diff, Failure, Outcome, Told};
pub use probed::Probed;
pub use release::Release;
pub use step::{Action, Block, Content, Digest, Item, Mode, Step};

/// Printed by the worker on a line of its own before the first frame. Login banners and chatty
/// shell start-up files speak first, so nothing counts until this line.
pub const MARKER: &str = "APIM-DEPLOY-WORKER-READY";

/// Begins the line on stderr, in place of the marker, by which a worker says that another one
/// holds the host. A `Failure` follows, as JSON.
pub const BUSY: &str = "APIM-DEPLOY-BUSY";

/// Begins the line on stderr by which a worker says why else it cannot begin. A `Failure` follows, as JSON.
pub const SORRY: &str = "APIM-DEPLOY-SORRY";
