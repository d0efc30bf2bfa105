//! DO: walks a playbook play by play and batch by batch, and tells what happens.
//!
//! Nothing in here prints: everything goes out as events, through one channel, in one order.
//! A failed host is data and ends in the recap; a mistake in the input ends the run before any host is
//! contacted.

mod address;
mod admission;
mod back;
mod check;
mod depot;
mod drive;
mod errand;
mod fleet;
mod groups;
mod held;
mod names;
mod play;
mod prepare;
mod roll;
mod rolling;
mod scrub;
mod status;
mod target;
mod teller;
mod tenants;
mod upgrade;
mod withdraw;

pub use check::check;
pub use depot::Depot;
pub use fleet::Fleet;
pub use play::execute;
pub use prepare::{OneTenant, Options, Prepared};
pub use scrub::Scrub;
pub use status::status;
pub use teller::Teller;
pub use tenants::list as list_tenants;
pub use upgrade::Wanted;
