//! `check --rules`: every rule on one page, from the tables themselves.

use crate::rules::{self, Rule};
use std::fmt::Write as _;

/// The page, rules in the order of their numbers.
pub fn list() -> String {
    let mut all: Vec<&Rule> = rules::all().collect();
    all.sort_by_key(|rule| rule.id);
    let mut page = String::new();
    for rule in all {
        // Writing into a String cannot fail.
        let _ = writeln!(
            page,
            "{:<15} {:<8} {}: {}\n{:<25}{}",
            rule.id,
            rule.stage.name(),
            rule.severity.name(),
            rule.title,
            "",
            rule.source
        );
    }
    page
}
