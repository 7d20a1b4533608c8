//! Questions to Helm's own packages, many at a time: `tests/parts/judge/main.go`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use leadsman::yaml::Value;

/// A text, or the text of an error.
pub(crate) type Said = Result<String, String>;

/// As much memory may the judge take, in KiB: what takes more would take all there is.
const MOST_MEMORY_KIB: u64 = 4 << 20;
/// So long may it think about one question: a few keep it busy for many minutes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is said to all questions, in order; nothing to those that it dies of: a map that holds
/// itself exhausts Go's stack.
pub(crate) fn all(judge: &Path, asked: &[Value]) -> Vec<Option<Said>> {
    let mut said = Vec::with_capacity(asked.len());
    while said.len() < asked.len() {
        said.extend(while_alive(judge, &asked[said.len()..]).into_iter().map(Some));
        if said.len() < asked.len() {
            said.push(None);
        }
    }
    said
}

fn while_alive(judge: &Path, asked: &[Value]) -> Vec<Said> {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -v {MOST_MEMORY_KIB}; exec \"$0\"")).arg(judge);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = command.spawn().unwrap();
    let mut input = running.stdin.take().unwrap();
    let output = BufReader::new(running.stdout.take().unwrap());
    let (answered, waiting) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for question in asked {
                // It fails when the judge has died, which the number of answers tells.
                if writeln!(input, "{question}").is_err() {
                    return;
                }
            }
        });
        scope.spawn(move || {
            while let Ok(()) = waiting.recv_timeout(PATIENCE) {}
            // Out of patience, or all was said; its end is the end of the answers, too.
            let _ = running.kill();
            let _ = running.wait();
        });
        let said = move |line: std::io::Result<String>| {
            answered.send(()).ok()?;
            // A judge that dies may do so in the middle of a line.
            let answer: Value = serde_json::from_str(&line.ok()?).ok()?;
            Some(match answer["output"].as_str() {
                Some(output) => Ok(output.to_owned()),
                None => Err(answer["error"].as_str()?.to_owned()),
            })
        };
        output.lines().map_while(said).collect::<Vec<_>>()
    })
}
