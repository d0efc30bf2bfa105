//! Leaves out what follows from another mistake: a value that a role refuses is looked up in other places too.

use crate::source::{Problem, Problems};

/// The mistakes without those that go when another one is mended: they blame the same value, which only the other
/// one names.
pub fn causes(problems: Problems) -> Problems {
    let mut kept = Problems::new();
    for problem in problems.iter().filter(|p| !follows(p, &problems)) {
        kept.push(problem.clone());
    }
    kept
}

fn follows(problem: &Problem, all: &Problems) -> bool {
    !names_its_cause(problem)
        && all
            .iter()
            .any(|other| other.also == problem.also && names_its_cause(other))
}

/// Whether the message names the value that is shown beside it. Without such a value there is nothing to follow from.
fn names_its_cause(problem: &Problem) -> bool {
    let shown = problem.also.first();
    let Some(name) = shown.and_then(|(_, label)| label.split('`').nth(1)) else {
        return true;
    };
    let is_word_part = |c: char| !c.is_alphanumeric() && c != '_';
    problem.message.split(is_word_part).any(|word| word == name)
}

#[cfg(test)]
mod tests {
    use super::causes;
    use crate::source::{File, Problem, Problems, Span};

    #[test]
    fn who_names_the_value_stays_and_who_stumbles_over_it_goes() {
        let file = File::new("-e", "db_engine=oracle");
        let value = Span::new(&file, 0..16);
        let about = |message: &str| Problem::new(message).also(&value, "`db_engine` is `oracle`");
        let mut problems = Problems::new();
        for problem in [
            about("`ports` has no `oracle`"),
            about("db_engine: choose mariadb"),
            Problem::new("`other` is not defined"),
        ] {
            problems.push(problem);
        }
        let messages: Vec<_> = causes(problems).iter().map(|p| p.message.clone()).collect();
        assert_eq!(
            messages,
            ["db_engine: choose mariadb", "`other` is not defined"]
        );

        let alone = Problems::from(about("`ports` has no `oracle`"));
        assert_eq!(causes(alone.clone()), alone);
    }
}
