//! A step: one module call on one host, with no expression left in it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whether the worker corrects what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Look only; say what would change.
    Check,
    /// Look, then correct.
    Apply,
}

/// The sha256 of some content, in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Content that a step puts on the host: small text travels inside the step, anything else is
/// named by digest and asked for only when the host lacks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    Text(String),
    Blob {
        digest: Digest,
        /// In bytes.
        size: u64,
        /// Where the file is on the controller.
        name: String,
    },
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// Calls a module with rendered parameters.
    Call { module: String, params: Value },
    /// Its condition was false; it only appears in the story.
    Skip { reason: String },
}

/// One module call on one host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Unique within a run on this host; events refer to it.
    pub id: u32,
    /// Steps of one task (a loop makes several) share this.
    pub task: u32,
    /// `role : name`, as people see it.
    pub title: String,
    /// The loop's item, when the task has a loop.
    pub item: Option<String>,
    pub action: Action,
    /// Handlers that this step's change makes due, by their key.
    pub notify: Vec<String>,
    /// Set on a handler: run only when this key is due, and settle it.
    pub handler: Option<String>,
    /// Known before the step ran, or the controller decides afterwards.
    pub changed_when: Option<bool>,
    pub failed_when: Option<bool>,
    /// The controller decides the outcome afterwards. A handler is not settled, and what was made due is
    /// told, until it has.
    pub undecided: bool,
    pub ignore_errors: bool,
    /// Parameters, output and differences stay on the host.
    pub no_log: bool,
    /// The result goes back to the controller because something reads it.
    pub wants_result: bool,
    /// For the commands that the step starts.
    pub environment: Vec<(String, String)>,
    /// `check_mode` of the task, when it differs from the run's.
    pub mode: Option<Mode>,
    /// `diff` of the task, when it differs from the run's.
    pub diff: Option<bool>,
}

/// What a host's list is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Item {
    Step(Step),
    Block(Block),
}

/// Steps that fail together: `rescue` runs when one of `steps` failed, `always` in any case.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Block {
    pub steps: Vec<Item>,
    pub rescue: Vec<Item>,
    pub always: Vec<Item>,
}
