//! `serial`: how many hosts of a play go at the same time.

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
    let sizes = sizes(node, hosts.len())?;
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

fn sizes(node: &Node, hosts: usize) -> Result<Vec<usize>> {
    match &node.value {
        Yaml::List(list) if list.is_empty() => Err(wrong(&node.span, "an empty list").into()),
        Yaml::List(list) => list.iter().map(|n| size(n, hosts)).collect(),
        _ => Ok(vec![size(node, hosts)?]),
    }
}

fn size(node: &Node, hosts: usize) -> Result<usize> {
    let found = match &node.value {
        Yaml::Int(count) => usize::try_from(*count).ok().filter(|c| *c > 0),
        Yaml::Text(text) => match text.strip_suffix('%') {
            Some(percent) => percent
                .trim()
                .parse::<usize>()
                .ok()
                .filter(|p| (1..=100).contains(p))
                .map(|p| (hosts * p / 100).max(1)),
            None => text.trim().parse().ok().filter(|c| *c > 0),
        },
        _ => None,
    };
    found.ok_or_else(|| wrong(&node.span, &shown(node)).into())
}

fn shown(node: &Node) -> String {
    match &node.value {
        Yaml::Int(i) => i.to_string(),
        Yaml::Text(t) => format!("`{t}`"),
        _ => node.kind().to_owned(),
    }
}

fn wrong(span: &Span, found: &str) -> Problem {
    Problem::new(format!("`serial` cannot be {found}"))
        .at(span)
        .because(
            "neither a count of 1 or more, nor a percentage from 1% to 100%, nor a list of those",
        )
        .help("write `serial: 1`, `serial: \"25%\"` or `serial: [1, \"25%\", \"50%\"]`")
}

#[cfg(test)]
mod tests {
    use super::batches;
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
}
