//! Where a list of steps is carried out, and as whom.

/// Whose worker carries a list of steps.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Place {
    /// The host itself, or the one the task is delegated to.
    pub host: String,
    /// The user to become; `None` is the one who logged in.
    pub user: Option<String>,
}
