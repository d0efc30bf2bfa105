//! Hosts that leave their cluster for good: whether those who stay are enough.

use super::policy::Policy;
use super::words::{Seen, Sight};

/// Why hosts that leave must stay for now. Enough of the others must serve, counted as the cluster that they will be. One
/// that serves nobody may go whatever the others do: it may be what is wrong here. Where nobody stays, there is no service
/// to keep.
pub fn may_leave(leaving: &[String], seen: &Seen, policy: &Policy) -> Result<(), String> {
    if !seen.unread.is_empty() {
        return Err(format!("cannot be read: {}", seen.unread.join(", ")));
    }
    let (leave, stay): (Vec<&Sight>, Vec<&Sight>) =
        seen.sights.iter().partition(|s| leaving.contains(&s.host));
    let missed: Vec<&str> = leave
        .iter()
        .filter(|s| s.helps())
        .map(|s| s.host.as_str())
        .collect();
    let serving = stay.iter().filter(|s| s.serves()).count();
    let needed = policy.needed(stay.len());
    if stay.is_empty() || missed.is_empty() || serving >= needed {
        return Ok(());
    }
    let absent: Vec<&str> = stay
        .iter()
        .filter(|s| !s.serves())
        .map(|s| s.host.as_str())
        .collect();
    Err(format!(
        "without {} {serving} of {} would serve, and `min_healthy` is {needed}: {} {} not",
        missed.join(", "),
        stay.len(),
        absent.join(", "),
        if absent.len() == 1 { "does" } else { "do" },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::{Drain, Rotation};
    use std::time::Duration;

    /// `+` serves, `-` is sick, `o` is out of rotation and healthy.
    fn said(looks: &str, leaving: &[&str], policy: &Policy) -> Result<(), String> {
        let sights = looks.chars().enumerate().map(|(at, look)| Sight {
            host: format!("n{}", at + 1),
            healthy: look != '-',
            rotation: match look {
                'o' => Rotation::Nowhere,
                _ => Rotation::Everywhere,
            },
            drain: Drain::Nobody,
        });
        let seen = Seen {
            taken: Duration::ZERO,
            sights: sights.collect(),
            unread: vec![],
        };
        let leaving: Vec<String> = leaving.iter().map(|h| (*h).to_owned()).collect();
        may_leave(&leaving, &seen, policy)
    }

    #[test]
    fn enough_of_those_who_stay_must_serve() {
        let usual = Policy::default();
        let strict = Policy {
            min_healthy: Some(2),
            ..Policy::default()
        };
        let all: &[&str] = &["n1", "n2", "n3"];
        for (looks, leaving, policy, may) in [
            ("+++", &all[2..], &usual, true),
            ("+-+", &all[2..], &usual, true),
            ("--+", &all[2..], &usual, false),
            ("+-+", &all[2..], &strict, false),
            ("+o+", &all[2..], &strict, false),
            // Nobody misses it.
            ("---", &all[2..], &usual, true),
            ("--o", &all[2..], &usual, true),
            // Of four that stay three must serve.
            ("+++++-", &all[..2], &usual, true),
            ("++++--", &all[..2], &usual, false),
            // Nobody stays.
            ("+++", all, &strict, true),
        ] {
            let answer = said(looks, leaving, policy);
            assert_eq!(answer.is_ok(), may, "{looks} {leaving:?}: {answer:?}");
        }
        let why = said("--+", &["n3"], &usual).unwrap_err();
        assert_eq!(
            why,
            "without n3 0 of 2 would serve, and `min_healthy` is 1: n1, n2 do not"
        );
    }

    #[test]
    fn without_a_balancers_word_nobody_goes() {
        let seen = Seen {
            taken: Duration::ZERO,
            sights: vec![],
            unread: vec!["lb-1: gone".into()],
        };
        let why = may_leave(&["n1".into()], &seen, &Policy::default()).unwrap_err();
        assert_eq!(why, "cannot be read: lb-1: gone");
    }
}
