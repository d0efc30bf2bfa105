//! Parses the arguments, calls one function, turns its answer into an exit code.

fn main() -> std::process::ExitCode {
    apim_deploy::cli::main()
}
