//! What several modules need and no module is. Not in the list.

pub mod attributes;
pub mod content;
pub mod delivered;
pub mod lines;
pub mod log;
pub mod packages;
pub mod patience;
pub mod permissions;
pub mod placed;
pub mod program;
pub mod sql;
pub mod unit;
pub mod unpack;
pub mod words;

/// Serde's default for a parameter that is on unless it is switched off.
pub fn yes() -> bool {
    true
}
