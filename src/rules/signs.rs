//! What servers write when something that a rule speaks of went wrong: a gate that fails on such a line can say
//! which rule it was, and how to mend it.

use super::{Rule, all};
use crate::wire::Failure;

/// A part of a log line, and the rule that explains it. A line that may have many causes is not here.
const SIGNS: &[(&str, &str)] = &[
    ("already exists in cluster", "integration-05"),
    ("CARBON is supported only between JDK", "apim-34"),
    ("not well-formed XML", "apim-29"),
];

/// The failure, with the rule that its lines speak of, if there is one, below its own advice.
pub fn explained(failure: Failure) -> Failure {
    let Some(rule) = rule_of(&failure) else {
        return failure;
    };
    let own = failure
        .help
        .clone()
        .map_or_else(String::new, |help| help + "\n");
    let advice = format!("{own}{}: {}: {}", rule.id, rule.title, rule.fix);
    failure.help(advice)
}

fn rule_of(failure: &Failure) -> Option<&'static Rule> {
    let lines = std::iter::once(&failure.message).chain(&failure.detail);
    let mut signs =
        lines.flat_map(|line| SIGNS.iter().filter(move |(sign, _)| line.contains(sign)));
    let (_, id) = signs.next()?;
    all().find(|rule| rule.id == *id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_leads_to_its_rule_and_keeps_the_advice() {
        let line = "FATAL - CARBON is supported only between JDK 11 and JDK 21".to_owned();
        let failure = Failure::new("wso2-apim has died")
            .detail([line])
            .help("look at its log");
        let help = explained(failure).help.unwrap_or_default();
        assert!(help.starts_with("look at its log\napim-34: "), "{help}");
        assert_eq!(explained(Failure::new("a port is closed")).help, None);
    }

    #[test]
    fn every_sign_has_its_rule() {
        for (_, id) in SIGNS {
            assert!(all().any(|rule| rule.id == *id), "{id}");
        }
    }
}
