//! `serial`: how many hosts of a play go at the same time; and the other counts of hosts that are written like it.

use crate::source::{Node, Problem, Result, Span, Yaml};

/// Cuts the hosts into batches. Without `serial` there is one. A list's last entry repeats until
/// no host is left; a percentage is of all hosts, rounded down, and at least 1.
pub fn batches(hosts: &[String], serial: Option<&Node>) -> Result<Vec<Vec<String>>> {
    if hosts.is_empty() {
        return Ok(vec![]);
    }
    let Some(node) = serial else {
        return Ok(vec![hosts.to_vec()]);
    };
    let sizes = sizes("serial", node, hosts.len())?;
    let mut rest = hosts;
    let mut cut = Vec::new();
    let mut at = 0;
    while !rest.is_empty() {
        let size = sizes[at.min(sizes.len() - 1)].min(rest.len());
        cut.push(rest[..size].to_vec());
        rest = &rest[size..];
        at += 1;
    }
    Ok(cut)
}

/// What `serial`, or another key of that form, says for so many hosts: one size per batch, each at
/// least 1; the last repeats.
pub fn sizes(key: &str, node: &Node, hosts: usize) -> Result<Vec<usize>> {
    match &node.value {
        Yaml::List(list) if list.is_empty() => Err(wrong(key, &node.span, "an empty list").into()),
        Yaml::List(list) => list.iter().map(|n| at_most(key, n, hosts)).collect(),
        _ => Ok(vec![at_most(key, node, hosts)?]),
    }
}

/// A count of hosts that may go, such as `max_unavailable`: a percentage rounds down, and is at
/// least 1.
pub fn at_most(key: &str, node: &Node, hosts: usize) -> Result<usize> {
    let down = |percent: usize| (hosts * percent / 100).max(1);
    count(&node.value, down)
        .filter(|count| *count > 0)
        .ok_or_else(|| wrong(key, &node.span, &shown(node)).into())
}

/// A count of hosts that must stay, such as `min_healthy`: a percentage rounds up, or half of
/// three would be one. 0 is a count.
pub fn at_least(key: &str, node: &Node, hosts: usize) -> Result<usize> {
    let up = |percent: usize| (hosts * percent).div_ceil(100);
    count(&node.value, up).ok_or_else(|| {
        Problem::new(format!("`{key}` cannot be {}", shown(node)))
            .at(&node.span)
            .because("neither a count of 0 or more, nor a percentage from 1% to 100%")
            .help(format!("write `{key}: 2` or `{key}: \"75%\"`"))
            .into()
    })
}

fn count(value: &Yaml, of_percent: impl Fn(usize) -> usize) -> Option<usize> {
    match value {
        Yaml::Int(count) => usize::try_from(*count).ok(),
        Yaml::Text(text) => match text.strip_suffix('%') {
            Some(percent) => percent
                .trim()
                .parse::<usize>()
                .ok()
                .filter(|p| (1..=100).contains(p))
                .map(of_percent),
            None => text.trim().parse().ok(),
        },
        _ => None,
    }
}

fn shown(node: &Node) -> String {
    match &node.value {
        Yaml::Int(i) => i.to_string(),
        Yaml::Text(t) => format!("`{t}`"),
        _ => node.kind().to_owned(),
    }
}

fn wrong(key: &str, span: &Span, found: &str) -> Problem {
    Problem::new(format!("`{key}` cannot be {found}"))
        .at(span)
        .because(
            "neither a count of 1 or more, nor a percentage from 1% to 100%, nor a list of those",
        )
        .help(format!(
            "write `{key}: 1`, `{key}: \"25%\"` or `{key}: [1, \"25%\", \"50%\"]`"
        ))
}

#[cfg(test)]
mod tests {
    use super::{at_least, at_most, batches, sizes};
    use crate::source::{File, Node, Span, Yaml};

    fn node(value: Yaml) -> Node {
        Node {
            value,
            span: Span::new(&File::new("x", ""), 0..0),
            tag: None,
        }
    }

    fn cut(count: usize, serial: Yaml) -> Vec<usize> {
        let hosts: Vec<_> = (0..count).map(|i| i.to_string()).collect();
        batches(&hosts, Some(&node(serial)))
            .unwrap()
            .iter()
            .map(Vec::len)
            .collect()
    }

    #[test]
    fn every_form() {
        assert_eq!(cut(3, Yaml::Int(1)), [1, 1, 1]);
        assert_eq!(cut(3, Yaml::Int(9)), [3]);
        assert_eq!(cut(10, Yaml::Text("25%".into())), [2, 2, 2, 2, 2]);
        assert_eq!(cut(3, Yaml::Text("10%".into())), [1, 1, 1]);
        let ramp = vec![node(Yaml::Int(1)), node(Yaml::Text("50%".into()))];
        assert_eq!(cut(9, Yaml::List(ramp)), [1, 4, 4]);
    }

    #[test]
    fn nonsense_is_refused() {
        let hosts = vec!["a".to_owned()];
        for serial in [
            Yaml::Int(0),
            Yaml::Int(-1),
            Yaml::Text("150%".into()),
            Yaml::Text("2 nodes".into()),
            Yaml::List(vec![]),
            Yaml::Bool(true),
        ] {
            assert!(
                batches(&hosts, Some(&node(serial.clone()))).is_err(),
                "{serial:?}"
            );
        }
    }

    #[test]
    fn what_may_go_rounds_down_and_what_must_stay_rounds_up() {
        let half = node(Yaml::Text("50%".into()));
        let tenth = node(Yaml::Text("10%".into()));
        assert_eq!(at_most("max_unavailable", &half, 3).unwrap(), 1);
        assert_eq!(at_most("max_unavailable", &tenth, 3).unwrap(), 1);
        assert_eq!(at_least("min_healthy", &half, 3).unwrap(), 2);
        assert_eq!(at_least("min_healthy", &node(Yaml::Int(0)), 3).unwrap(), 0);
        let ramp = node(Yaml::List(vec![node(Yaml::Int(1)), half, tenth]));
        assert_eq!(sizes("serial", &ramp, 9).unwrap(), [1, 4, 1]);
    }

    #[test]
    fn a_mistake_names_the_key() {
        let zero = node(Yaml::Int(0));
        let problem = at_most("max_unavailable", &zero, 3).unwrap_err();
        assert!(format!("{problem:?}").contains("`max_unavailable` cannot be 0"));
        let minus = node(Yaml::Int(-1));
        let problem = at_least("min_healthy", &minus, 3).unwrap_err();
        assert!(format!("{problem:?}").contains("`min_healthy` cannot be -1"));
    }
}
