//! Which tasks `--tags` and `--skip-tags` leave in. Ansible's rules: `always` runs unless skipped
//! by name, `never` runs only when asked for, `tagged`, `untagged` and `all` are special.

use std::collections::BTreeSet;

/// What may be asked for though no task says it.
const WORDS: [&str; 5] = ["all", "always", "never", "tagged", "untagged"];

/// The choice made on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags {
    /// Empty means all.
    pub only: Vec<String>,
    pub skip: Vec<String>,
}

impl Tags {
    pub fn select(&self, tags: &[String]) -> bool {
        self.wanted(tags) && !self.skipped(tags)
    }

    /// Those of the wishes that no task can have meant: a name that is neither a tag of theirs nor a word of its own.
    pub fn unknown<'t>(&'t self, known: &BTreeSet<&str>) -> Vec<&'t str> {
        let asked = self.only.iter().chain(&self.skip).map(String::as_str);
        asked
            .filter(|tag| !WORDS.contains(tag) && !known.contains(tag))
            .collect()
    }

    fn wanted(&self, tags: &[String]) -> bool {
        let has = |name: &str| tags.iter().any(|t| t == name);
        let named = self.only.iter().any(|t| has(t));
        if has("never") && !named {
            return false;
        }
        if self.only.is_empty() || named || has("always") {
            return true;
        }
        self.only.iter().any(|t| match t.as_str() {
            "all" => true,
            "tagged" => !tags.is_empty(),
            "untagged" => tags.is_empty(),
            _ => false,
        })
    }

    fn skipped(&self, tags: &[String]) -> bool {
        self.skip.iter().any(|t| match t.as_str() {
            "all" => !tags.iter().any(|t| t == "always"),
            "tagged" => !tags.is_empty(),
            "untagged" => tags.is_empty(),
            name => tags.iter().any(|t| t == name),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Tags;

    fn tags(only: &str, skip: &str) -> Tags {
        let split = |s: &str| s.split_whitespace().map(str::to_owned).collect();
        Tags {
            only: split(only),
            skip: split(skip),
        }
    }

    #[test]
    fn ansibles_rules() {
        for (only, skip, task, expected) in [
            ("", "", "", true),
            ("", "", "config", true),
            ("", "", "never", false),
            ("never", "", "never", true),
            ("debug", "", "never debug", true),
            ("config", "", "", false),
            ("config", "", "always", true),
            ("config", "", "config", true),
            ("", "config", "config", false),
            ("config", "always", "always", false),
            ("untagged", "", "", true),
            ("tagged", "", "", false),
            ("tagged", "", "x", true),
            ("", "tagged", "x", false),
            ("all", "", "x", true),
        ] {
            let task: Vec<_> = task.split_whitespace().map(str::to_owned).collect();
            assert_eq!(
                tags(only, skip).select(&task),
                expected,
                "only {only:?} skip {skip:?} task {task:?}"
            );
        }
    }
}
