//! What must not be told: passwords in command lines, log lines and bodies.

use super::Survey;
use regex::{Captures, Regex};

/// Takes secrets out of text that somebody else wrote.
pub struct Mask {
    /// The survey's own passwords, longest first, so that none is left in part.
    secrets: Vec<String>,
    /// What looks like one, whoever's it is.
    others: Vec<Regex>,
}

const MASKED: &str = "***";

/// The password of every pack's keystores is no secret, and a part of many paths.
const PUBLISHED: &str = "wso2carbon";

/// `admin` is the password of many trials and a word of most paths; masking it would hide more than it saves.
const SHORTEST: usize = 6;

/// The first group stays, and the second if there is one.
const PATTERNS: [&str; 2] = [
    // `-Djavax.net.ssl.keyStorePassword=x`, `"AccessToken" : "x"`
    r#"(?i)((?:pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|api[_-]?key|encryption[._-]?key)[\w.\-]*["']?\s*[=:]\s*["']?)[^\s"'&,;<>]+"#,
    // `//user:x@host`
    r"(//[^\s/:@]+:)[^\s/@]+(@)",
];

impl Mask {
    pub fn of(asked: &Survey) -> Self {
        let stores = asked.instances.iter().flat_map(|i| &i.keystores);
        let probes = asked.instances.iter().flat_map(|i| &i.http);
        let passwords = stores
            .map(|store| store.password.clone())
            .chain(probes.filter_map(|probe| probe.password.clone()));
        let is_secret = |password: &String| password.len() >= SHORTEST && password != PUBLISHED;
        let mut secrets: Vec<_> = passwords.filter(is_secret).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self {
            secrets,
            others: PATTERNS.iter().filter_map(|p| Regex::new(p).ok()).collect(),
        }
    }

    pub fn clean(&self, text: &str) -> String {
        // A pattern that did not compile would let its secrets through.
        if self.others.len() < PATTERNS.len() {
            return MASKED.to_owned();
        }
        let known = self
            .secrets
            .iter()
            .fold(text.to_owned(), |text, secret| text.replace(secret, MASKED));
        self.others.iter().fold(known, |text, pattern| {
            let masked = |found: &Captures<'_>| {
                let after = found.get(2).map_or("", |at| at.as_str());
                format!("{}{MASKED}{after}", &found[1])
            };
            pattern.replace_all(&text, masked).into_owned()
        })
    }

    /// Cleaned first and cut afterwards: half a secret would not be recognised.
    pub fn line(&self, text: &str) -> String {
        const LONGEST: usize = 500;
        self.clean(text.trim_end()).chars().take(LONGEST).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn passwords_go_and_the_rest_stays() {
        let asked: Survey = from_value(json!({ "instances": [{
            "name": "a", "service": "a", "home": "/a",
            "keystores": [
                { "path": "k", "password": "correct horse" },
                { "path": "l", "password": "wso2carbon" },
            ],
            "http": [{ "name": "n", "url": "http://x", "password": "admin" }],
        }]}))
        .unwrap();
        let mask = Mask::of(&asked);
        for (text, cleaned) in [
            (
                "-Djavax.net.ssl.keyStorePassword=wso2carbon -Xmx1g",
                "-Djavax.net.ssl.keyStorePassword=*** -Xmx1g",
            ),
            (
                r#"{"AccessToken":"ey.J0","level":1}"#,
                r#"{"AccessToken":"***","level":1}"#,
            ),
            (
                "jdbc:mysql://root:hunter2@db/x",
                "jdbc:mysql://root:***@db/x",
            ),
            ("it said correct horse twice", "it said *** twice"),
            (
                "reads /security/wso2carbon.jks",
                "reads /security/wso2carbon.jks",
            ),
            (
                "https://localhost:9443/admin/",
                "https://localhost:9443/admin/",
            ),
            (
                "-Dcarbon.home=/opt/wso2 -Dtokens",
                "-Dcarbon.home=/opt/wso2 -Dtokens",
            ),
        ] {
            assert_eq!(mask.clean(text), cleaned);
        }
        let long = format!("{} password=abcdefgh", "x".repeat(480));
        assert!(mask.line(&long).ends_with("password=***"));
    }
}
