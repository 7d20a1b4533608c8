//! The `leadsman` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    leadsman::cli::main()
}
