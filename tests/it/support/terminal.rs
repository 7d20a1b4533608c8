//! A terminal of its own for a command that asks for a passphrase.

use std::io::{Read as _, Write as _};
use std::process::Command;

use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, tcgetattr};

use super::wait::{SOON, until};

/// Runs a command at a terminal, types a line as soon as what is typed is not shown, and returns
/// the exit code and what the terminal showed.
pub(crate) async fn typing(inner: &Command, line: &str) -> (Option<i32>, String) {
    let pty = openpty(None, None).unwrap();
    let end = || pty.slave.try_clone().unwrap();
    // The session of a terminal begins with its first program.
    let mut command = Command::new("setsid");
    command.arg("--ctty").arg(inner.get_program()).args(inner.get_args());
    command.current_dir(inner.get_current_dir().unwrap());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
    drop(command);
    until("a hidden question", SOON, async || {
        let is_shown = tcgetattr(&pty.slave).unwrap().local_flags.contains(LocalFlags::ECHO);
        !is_shown || child.try_wait().unwrap().is_some()
    })
    .await;
    let mut master = std::fs::File::from(pty.master);
    writeln!(master, "{line}").unwrap();
    let code = child.wait().unwrap().code();
    drop(pty.slave);
    let mut shown = Vec::new();
    // A terminal that nobody has open any more ends with an error.
    let _ = master.read_to_end(&mut shown);
    (code, String::from_utf8_lossy(&shown).replace("\r\n", "\n"))
}
