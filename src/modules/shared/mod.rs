//! What several modules need and no module is. Not in the list.

pub mod apim;
pub mod attributes;
pub mod children;
pub mod content;
pub mod delivered;
pub mod generation;
pub mod haproxy;
pub mod hooks;
pub mod identity;
pub mod keytool;
pub mod lines;
pub mod lists;
pub mod log;
pub mod nginx;
pub mod packages;
pub mod patience;
pub mod permissions;
pub mod placed;
pub mod program;
pub mod rotation;
pub mod soap;
pub mod sockets;
pub mod sql;
pub mod unit;
pub mod words;

/// For parameters that are true unless someone says otherwise.
pub fn yes() -> bool {
    true
}
