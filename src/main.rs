//! Minimal until the commands are merged: only the far end.

use apim_deploy::worker;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["worker"] => worker::main(&worker::Options::default()),
        ["worker", "--as", user] => worker::main(&worker::Options {
            user: Some((*user).to_owned()),
        }),
        _ => ExitCode::from(2),
    }
}
