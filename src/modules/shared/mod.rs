//! What several modules have in common. No module itself, so not in the list.

pub mod attributes;
pub mod content;

pub mod lines;
pub mod permissions;
pub mod placed;
pub mod program;

/// For parameters that are true unless someone says otherwise.
pub fn yes() -> bool {
    true
}
