//! Java's keytool: passwords travel in its environment, never on its command line.

use crate::system::{Command, Output, tail};
use crate::wire::Failure;
use std::path::Path;

/// Names the variable in which keytool finds the password.
const PASSWORD: &str = "APIM_DEPLOY_STOREPASS";

/// keytool, doing `words` with a keystore.
pub fn command(
    program: &str,
    words: &[&str],
    keystore: &Path,
    password: &str,
    more: &[&str],
) -> Command {
    let keystore = keystore.display().to_string();
    let mut argv = vec![program];
    argv.extend(words);
    argv.extend(["-keystore", &keystore, "-storepass:env", PASSWORD]);
    // What it says is read.
    argv.push("-J-Duser.language=en");
    argv.extend(more);
    Command::new(argv).env(PASSWORD, password)
}

/// The keytool of a JDK; without one, whichever is on the path.
pub fn program(java_home: Option<&Path>) -> String {
    match java_home {
        Some(home) => home.join("bin/keytool").display().to_string(),
        None => "keytool".into(),
    }
}

pub fn refused(keystore: &Path, output: &Output) -> Failure {
    let said = format!("{}{}", output.stdout, output.stderr);
    let failure = Failure::new(format!("keytool refuses {}", keystore.display()));
    match said.contains("password was incorrect") {
        true => failure.help("`password` is not the one of this keystore"),
        false => failure,
    }
    .detail(tail(&said, 4))
}
