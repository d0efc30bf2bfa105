//! What servers write when something known went wrong: a gate that fails on such a line can say which rule it was, or
//! what it means, and how to mend it.

use super::{Rule, all};
use crate::wire::Failure;

/// A part of a log line, and the rule that explains it. A line that may have many causes is not here.
const SIGNS: &[(&str, &str)] = &[
    ("already exists in cluster", "integration-05"),
    ("CARBON is supported only between JDK", "apim-34"),
    ("not well-formed XML", "apim-29"),
];

/// No rule can know a password that was changed behind our back. The engines' words for a login that they refuse.
const REFUSED_LOGINS: &[&str] = &[
    "Access denied for user",
    "password authentication failed for user",
    "is not allowed to connect to this",
    "no pg_hba.conf entry for host",
];
const REFUSED_LOGIN: &str = "the database refuses this login. A run without --limit lets the role `database` set user and password \
    again; with a database that is somebody else's, the inventory has another password or host than the database";

/// The failure, with what is known of its lines, if anything is, below its own advice.
pub fn explained(failure: Failure) -> Failure {
    let Some(known) = advice(&failure) else {
        return failure;
    };
    let own = failure
        .help
        .clone()
        .map_or_else(String::new, |help| help + "\n");
    failure.help(own + &known)
}

fn advice(failure: &Failure) -> Option<String> {
    let lines = || std::iter::once(&failure.message).chain(&failure.detail);
    let has = |sign: &str| lines().any(|line| line.contains(sign));
    if let Some((_, id)) = SIGNS.iter().find(|(sign, _)| has(sign)) {
        let rule: &Rule = all().find(|rule| rule.id == *id)?;
        return Some(format!("{}: {}: {}", rule.id, rule.title, rule.fix));
    }
    let refused = REFUSED_LOGINS.iter().any(|sign| has(sign));
    refused.then(|| REFUSED_LOGIN.to_owned())
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
    fn a_refused_login_is_no_matter_of_the_host_alone() {
        let refused =
            Failure::new("wso2-apim will not get ready: Access denied for user 'apim'@'10.0.0.1'");
        let help = explained(refused).help.unwrap_or_default();
        assert!(help.contains("without --limit"), "{help}");
    }

    #[test]
    fn every_sign_has_its_rule() {
        for (_, id) in SIGNS {
            assert!(all().any(|rule| rule.id == *id), "{id}");
        }
    }
}
