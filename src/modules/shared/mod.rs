//! What several modules need and no module is. Not in the list.

pub mod apim;
pub mod attributes;
pub mod content;
pub mod delivered;
pub mod keytool;
pub mod lines;
pub mod log;
pub mod packages;
pub mod patience;
pub mod permissions;
pub mod placed;
pub mod program;
pub mod soap;
pub mod sockets;
pub mod sql;
pub mod unit;
pub mod words;

/// For parameters that are true unless someone says otherwise.
pub fn yes() -> bool {
    true
}
