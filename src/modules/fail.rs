//! `fail`: stops the host here, in the author's words.

use super::{Kind, Module};
use crate::system::{Result, System};
use crate::wire::Failure;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fail {
    #[serde(default = "default_msg")]
    msg: String,
}

fn default_msg() -> String {
    "failed as requested from the task".into()
}

impl Module for Fail {
    const NAME: &'static str = "fail";
    const KIND: Kind = Kind::Look;
    const ABOUT: &'static str = "stops the host here, in the author's words";
    const EXAMPLE: &'static str = "fail:\n  msg: \"{{ inventory_hostname }} has no data disk\"\n";
    type Change = String;

    fn check(&self, _: &System) -> Result<Vec<String>> {
        Err(Failure::new(self.msg.clone()))
    }

    fn apply(&self, _: &System, _: String) -> Result<()> {
        Ok(())
    }
}
