//! sudo's words, and what they mean for the person who has to mend it.

use super::Target;
use crate::wire::Failure;

/// The failure behind sudo's complaint; `None` when these lines are no complaint of sudo's.
pub fn complaint(lines: &[String], target: &Target) -> Option<Failure> {
    let said = |phrase: &str| lines.iter().any(|line| line.contains(phrase));
    let (host, user) = (target.shown(), &target.user);
    let failure = if said("must have a tty") {
        Failure::new(format!("sudo on {host} wants a terminal")).help(format!(
            "add `Defaults:{user} !requiretty` to its sudoers (`visudo`)"
        ))
    } else if said("a password is required") || said("a terminal is required") {
        Failure::new(format!(
            "sudo on {host} asks for the password of `{user}`, and none is set"
        ))
        .help(format!(
            "set `ansible_become_password`, or allow `{user} ALL=(ALL) NOPASSWD: ALL` in sudoers"
        ))
    } else if said("not in the sudoers") || said("is not allowed to") || said("may not run sudo") {
        Failure::new(format!("sudo on {host} allows `{user}` nothing")).help(format!(
            "add `{user}` to the sudoers of the host, or log in as another user (`ansible_user`)"
        ))
    } else if said("account validation failure")
        || said("password expired")
        || said("account has expired")
    {
        Failure::new(format!(
            "sudo on {host} does not accept the account of `{user}`: it has expired"
        ))
        .help(format!("renew it on the host: `chage -l {user}`"))
    } else if said("sudo: not found") || said("sudo: command not found") {
        Failure::new(format!("there is no sudo on {host}"))
            .help("install sudo, log in as root, or set `become: false`")
    } else {
        return None;
    };
    Some(failure.detail(lines.iter().cloned()))
}

/// The password was given and did not help.
pub fn wrong_password(target: &Target) -> Failure {
    Failure::new(format!(
        "sudo on {} does not accept the password of `{}`",
        target.shown(),
        target.user
    ))
    .help("correct `ansible_become_password`; it is the password of the user who logs in")
}
