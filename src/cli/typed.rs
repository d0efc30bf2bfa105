//! The command line as it was typed, for people to paste.

/// The command line as it can be shown and pasted: quoted, and without the secrets that `-e` may carry.
pub fn typed(args: impl Iterator<Item = String>) -> String {
    let shown: Vec<String> = args.map(|arg| shown(&arg)).collect();
    shown.join(" ")
}

fn shown(arg: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    let lower = arg.to_lowercase();
    let names_a_secret = ["pass", "secret", "token", "key"]
        .iter()
        .any(|word| lower.contains(word));
    match arg.split_once('=') {
        Some((name, value)) if names_a_secret && !value.contains('=') => format!("{name}=..."),
        Some(_) if names_a_secret => "'...'".to_owned(),
        None if names_a_secret && arg.starts_with('{') => "'...'".to_owned(),
        _ if !arg.is_empty() && arg.chars().all(is_plain) => arg.to_owned(),
        _ => shlex::try_quote(arg).map_or_else(|_| arg.to_owned(), |q| q.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::typed;

    #[test]
    fn a_command_is_shown_without_its_secrets() {
        let args = [
            "apim-deploy",
            "run",
            "-e",
            "db_password=x1",
            "-e",
            "heap=1g",
            "a b",
        ];
        assert_eq!(
            typed(args.map(str::to_owned).into_iter()),
            "apim-deploy run -e db_password=... -e heap=1g 'a b'"
        );
        assert_eq!(typed(["a=1 token=x".to_owned()].into_iter()), "'...'");
    }
}
