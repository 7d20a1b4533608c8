//! Programs run in turns, each measured alone.

pub(crate) mod umbrella;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

/// The first argument of a process that only measures another one.
const MEASURE: &str = "--measure";
/// Runs of each program, unless `LEADSMAN_BENCH_ROUNDS` says how many.
const ROUNDS: usize = 20;

/// What one run of a program took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    cpu: Duration,
    peak_bytes: u64,
}

/// Measures another program, if this process was started for it.
pub(crate) fn measured() -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = arguments.first().is_some_and(|first| first == MEASURE);
    if wanted {
        measure(&arguments[1..]);
    }
    wanted
}

/// Writes the heads of the table.
pub(crate) fn heads() {
    println!("| what | program | wall, median | CPU, median | peak memory |");
    println!("|---|---|---|---|---|");
}

/// Runs a command that is not measured and returns what it printed.
pub(crate) fn output(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Removes what earlier processes have left in a folder.
pub(crate) fn forget(folder: &Path) {
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

/// Returns how often each program runs.
pub(crate) fn rounds() -> usize {
    let rounds = std::env::var("LEADSMAN_BENCH_ROUNDS");
    rounds.map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

/// Whether the benchmark is only tried: its figures are of no use, so it need not take long.
pub(crate) fn tried() -> bool {
    rounds() < 2
}

pub(crate) type Make<'a> = (&'a str, &'a mut dyn FnMut() -> Command);

/// Runs the programs in turns and prints what each took.
pub(crate) fn contest(what: &str, programs: &mut [Make<'_>]) {
    let costs = costs(programs, rounds());
    let first = median(&costs[0], |cost| cost.wall);
    for ((name, _), costs) in programs.iter().zip(&costs) {
        let wall = median(costs, |cost| cost.wall);
        let times = first.as_secs_f64() / wall.as_secs_f64();
        println!(
            "| {what} | {name} | {:.1} ms ({times:.1}×) | {:.1} ms | {} |",
            wall.as_secs_f64() * 1e3,
            median(costs, |cost| cost.cpu).as_secs_f64() * 1e3,
            mebibytes(median(costs, |cost| cost.peak_bytes)),
        );
    }
}

/// Runs the programs in turns and returns what each run took.
pub(crate) fn costs(programs: &mut [Make<'_>], rounds: usize) -> Vec<Vec<Cost>> {
    let mut costs = vec![Vec::new(); programs.len()];
    // The first round fills caches of the system and does not count.
    let warm_up = usize::from(!tried());
    for round in 0..rounds + warm_up {
        for ((_, make), costs) in programs.iter_mut().zip(&mut costs) {
            let cost = cost_of(&make());
            if round >= warm_up {
                costs.push(cost);
            }
        }
    }
    costs
}

/// Returns the median of a figure.
pub(crate) fn median<T: Ord + Copy>(costs: &[Cost], of: impl Fn(&Cost) -> T) -> T {
    let mut found: Vec<T> = costs.iter().map(of).collect();
    found.sort();
    found[found.len() / 2]
}

/// Returns bytes for people.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Runs a command once. A process between measures it, so that its peak memory is its own.
fn cost_of(command: &Command) -> Cost {
    let mut between = Command::new(std::env::current_exe().unwrap());
    between.arg(MEASURE).arg(installed(command.get_program().as_ref())).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        between.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => between.env(name, value),
            None => between.env_remove(name),
        };
    }
    let output = between.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let [wall, cpu, peak_bytes] = numbers[..] else {
        panic!("{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr))
    };
    Cost { wall: Duration::from_nanos(wall), cpu: Duration::from_micros(cpu), peak_bytes }
}

/// Returns a copy of a program, as one that was installed is. A linker writes the file piece by piece
/// in no order, and the system keeps what it knows of the file in as many pieces until it has to
/// read it again: a program that was just built starts a millisecond later than its copy.
fn installed(program: &Path) -> PathBuf {
    static COPIES: Mutex<Vec<(PathBuf, PathBuf)>> = Mutex::new(Vec::new());
    let mut copies = COPIES.lock().unwrap();
    if let Some((_, copy)) = copies.iter().find(|(known, _)| known == program) {
        return copy.clone();
    }
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("installed").join(copies.len().to_string());
    let copy = folder.join(program.file_name().unwrap());
    // Another inode: nothing is kept of the file that was there.
    forget(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(program, &copy).unwrap();
    copies.push((program.to_owned(), copy.clone()));
    copy
}

fn measure(arguments: &[String]) {
    let mut command = Command::new(&arguments[0]);
    command.args(&arguments[1..]).stdout(std::process::Stdio::null());
    let start = Instant::now();
    let status = command.status().unwrap();
    let wall = start.elapsed().as_nanos();
    assert!(status.success(), "{command:?}: {status}");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    println!("{wall} {cpu} {}", usage.max_rss() * 1024);
}
