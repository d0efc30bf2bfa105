//! How a JVM's words are read: a running one's by the worker, those that would be written by the rules.

/// In bytes: the last `-Xmx` counts.
pub fn heap<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<u64> {
    let sizes = words
        .into_iter()
        .filter_map(|word| word.strip_prefix("-Xmx"));
    sizes.last().and_then(size)
}

/// The same of an environment, as the products' scripts make a command line of it: `JAVA_OPTS` stand behind, so they win.
pub fn environment_heap<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Option<u64> {
    let options = ["JVM_MEM_OPTS", "JAVA_OPTS"].into_iter().filter_map(value);
    heap(options.flat_map(str::split_whitespace))
}

/// `1g`, `1024m`, `2048K`.
fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_heap_counts() {
        assert_eq!(heap(["-Xmx1g", "-Xms1g", "-Xmx1536m"]), Some(1536 << 20));
        assert_eq!(heap(["-Xmx65536K"]), Some(64 << 20));
        assert_eq!(heap(["-Xmxlots", "-Dx"]), None);
        assert_eq!(heap([]), None);
    }

    #[test]
    fn java_opts_win() {
        let value = |name: &str| match name {
            "JVM_MEM_OPTS" => Some("-Xms1g -Xmx1g"),
            "JAVA_OPTS" => Some("-Xmx2g"),
            _ => None,
        };
        assert_eq!(environment_heap(value), Some(2 << 30));
        assert_eq!(environment_heap(|_| None), None);
    }
}
