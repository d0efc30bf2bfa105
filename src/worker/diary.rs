//! Stderr: what a worker says outside the frames. Nobody reads it while all is well.

use std::io::Write as _;

/// One line; a closed stderr is no reason to stop working.
pub fn write(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A panic becomes one line that says whose mistake it is, and an exit code of its own. Done in the
/// hook because the released program aborts on panic and unwinds nothing.
pub fn report_bugs() {
    std::panic::set_hook(Box::new(|panic| {
        write(&format!("a bug in apim-deploy: {panic}"));
        std::process::exit(i32::from(super::EX_SOFTWARE));
    }));
}
