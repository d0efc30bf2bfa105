//! A cluster's list of nodes for NGINX: `server` lines. The word `down` on one is somebody's who takes a node out by hand.

use std::time::Duration;

/// Source: nginx.org, `ngx_http_upstream_module`, `fail_timeout`.
const FAIL_TIMEOUT: Duration = Duration::from_secs(10);

/// A line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub line: String,
    pub host: String,
    pub port: u16,
    pub is_down: bool,
    /// How long it is not asked after it refused.
    pub fail_timeout: Duration,
}

/// Every place of a node in the text.
pub fn servers(text: &str, node: &str) -> Vec<Server> {
    let servers = text.lines().filter_map(server);
    servers.filter(|server| server.host == node).collect()
}

/// The text, in which those stay down that are down in `present`.
pub fn kept_down(text: &str, present: &str) -> String {
    let down: Vec<_> = present
        .lines()
        .filter_map(server)
        .filter(|server| server.is_down)
        .collect();
    let lines = text
        .split_inclusive('\n')
        .map(|line| match self::server(line) {
            Some(new) if !new.is_down && down.iter().any(|old| old.is_at(&new)) => {
                line.replacen(';', " down;", 1)
            }
            _ => line.to_owned(),
        });
    lines.collect()
}

impl Server {
    fn is_at(&self, other: &Self) -> bool {
        (&self.host, self.port) == (&other.host, other.port)
    }
}

/// `server 10.0.0.7:8243 max_fails=3 fail_timeout=5s;`
fn server(line: &str) -> Option<Server> {
    let rest = line.trim_start().strip_prefix("server ")?;
    let (rest, _) = rest.split_once(';')?;
    let mut words = rest.split_whitespace();
    let (host, port) = words.next()?.rsplit_once(':')?;
    let words: Vec<_> = words.collect();
    let told = words.iter().find_map(|w| w.strip_prefix("fail_timeout="));
    Some(Server {
        line: line.trim().to_owned(),
        host: host.trim_matches(['[', ']']).to_owned(),
        port: port.parse().ok()?,
        is_down: words.contains(&"down"),
        fail_timeout: told.and_then(time).unwrap_or(FAIL_TIMEOUT),
    })
}

/// `5`, `500ms`, `1m30s`. Source: nginx.org, "Configuration file measurement units".
fn time(text: &str) -> Option<Duration> {
    let mut whole = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u32 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        whole += number * unit(&rest[..letters])?;
        rest = &rest[letters..];
    }
    Some(whole)
}

fn unit(word: &str) -> Option<Duration> {
    Some(match word {
        "ms" => Duration::from_millis(1),
        "" | "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(60 * 60),
        "d" => Duration::from_secs(24 * 60 * 60),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
# server 10.0.0.1:1;
upstream a {
    server 10.0.0.1:8243 max_fails=3 fail_timeout=500ms;
    server 10.0.0.11:8243 max_fails=3;
}
upstream b {
    server 10.0.0.1:9443 fail_timeout=1m30s;
    server [fe80::1]:9443 down;
}
server { listen 80; }
";

    #[test]
    fn servers_of_a_node() {
        let found = servers(LIST, "10.0.0.1");
        let short = found.iter().map(|s| (s.port, s.is_down, s.fail_timeout));
        assert_eq!(
            short.collect::<Vec<_>>(),
            [
                (8243, false, Duration::from_millis(500)),
                (9443, false, Duration::from_secs(90))
            ]
        );
        let other = servers(LIST, "fe80::1");
        assert!(other[0].is_down);
        assert_eq!(other[0].line, "server [fe80::1]:9443 down;");
        assert_eq!(servers(LIST, "10.0.0.11")[0].fail_timeout, FAIL_TIMEOUT);
        assert!(servers(LIST, "10.0.0.2").is_empty());
        // A word that nobody knows makes it no other server.
        let odd = servers("server 10.0.0.1:1 fail_timeout=soon down;", "10.0.0.1");
        assert_eq!((odd[0].is_down, odd[0].fail_timeout), (true, FAIL_TIMEOUT));
    }

    #[test]
    fn who_is_down_stays_down_at_that_port() {
        let present = "server 10.0.0.1:9443 down;\nserver 10.0.0.11:8243;\n";
        let kept = kept_down(LIST, present);
        assert_eq!(
            kept,
            LIST.replace(
                "10.0.0.1:9443 fail_timeout=1m30s;",
                "10.0.0.1:9443 fail_timeout=1m30s down;"
            )
        );
        assert_eq!(kept_down(&kept, &kept), kept);
    }
}
