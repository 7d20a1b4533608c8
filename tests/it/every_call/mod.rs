//! Each call of an action fails once, in each way a call can fail, or is where the process is
//! killed: the action ends where it would have ended, or is back where it began, or says what
//! happened. Nobody helps.
//!
//! An action is played in peace first, to see which calls it makes; then once for each of them and
//! each way. Each run of the tests strikes every write, in one of the ways, and some of the reads;
//! everything is struck where `LEADSMAN_FAULTS` is `all`.

mod case;

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures::future::join_all;
use futures::{FutureExt as _, StreamExt as _, stream};
use serde_json::{Value, json};

use case::{Case, Scenario, World};

/// Releases of one cluster that are struck at the same time.
const AT_ONCE: usize = 8;
/// Of so many reads one is struck in each run of the tests, and of so many writes one is where the
/// process is killed.
const SAMPLE: usize = 8;

/// How a call fails.
#[derive(Debug, Clone)]
struct Way {
    name: &'static str,
    fault: Value,
    /// Whether a read can fail so, in a way of its own.
    reads: bool,
    means: Means,
}

/// What a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    /// The server is away for a moment.
    Outage,
    /// It says something about the request.
    Verdict,
    /// The process ends.
    Death,
}

impl Way {
    /// Whether it is the process that ends.
    fn kills(&self) -> bool {
        self.means == Means::Death
    }
}

fn ways() -> Vec<Way> {
    let way = |name, fault, reads| Way { name, fault, reads, means: Means::Outage };
    let status = |code: u16| json!({"kind": "status", "code": code});
    let after = json!({"kind": "status", "code": 504, "carriedOut": true});
    vec![
        way("refused", json!({"kind": "refuse"}), true),
        way("answer lost", json!({"kind": "lose-answer"}), false),
        way("answer cut", json!({"kind": "cut-answer"}), true),
        way("429", json!({"kind": "status", "code": 429, "retryAfter": 1}), true),
        way("503", status(503), false),
        way("504", status(504), true),
        way("504 after it took effect", after, false),
        Way { means: Means::Verdict, ..way("409", status(409), false) },
        Way { means: Means::Verdict, ..way("500", status(500), true) },
        Way { means: Means::Death, ..way("killed before", json!({"kind": "hold"}), true) },
        Way { means: Means::Death, ..way("killed after", json!({"kind": "hold-answer"}), false) },
    ]
}

/// A call as rules name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    verb: String,
    resource: String,
    /// Empty for collections, and where names are made up.
    name: String,
}

impl Call {
    /// Reads `patch configmaps ns/web`.
    fn parse(text: &str) -> Self {
        let parts: Vec<&str> = text.split(' ').collect();
        let [verb, resource, place] = parts.as_slice() else { panic!("{text} is no call") };
        let made_up = ["events", "pods", "replicasets"].contains(resource);
        let name = if made_up { "" } else { place.split_once('/').unwrap().1 };
        Self { verb: (*verb).into(), resource: (*resource).into(), name: name.into() }
    }

    fn reads(&self) -> bool {
        ["get", "list", "watch"].contains(&self.verb.as_str())
    }
}

/// What strikes where.
#[derive(Debug, Clone)]
struct Strike {
    call: Call,
    /// So many calls like it pass first.
    skip: u64,
    way: Way,
}

impl Strike {
    fn name(&self) -> String {
        let Call { verb, resource, name } = &self.call;
        format!("{verb} {resource} {name}, time {}: {}", self.skip + 1, self.way.name)
    }

    /// Returns the simulator's rule.
    fn rule(&self, namespace: &str) -> Value {
        json!({
            "agent": "leadsman", "namespace": namespace, "verbs": [self.call.verb],
            "resources": [self.call.resource], "name": self.call.name, "skip": self.skip,
            "times": 1, "fault": self.way.fault,
        })
    }
}

/// Returns each call that an action made when it was left in peace, once for each time.
async fn rehearse(world: &World, scenario: Scenario) -> Vec<(Call, u64)> {
    let seen = Case::new(world, scenario, None).await.plays().await;
    let mut counts = BTreeMap::<Call, u64>::new();
    let mut calls = Vec::new();
    for text in &seen {
        let call = Call::parse(text);
        let count = counts.entry(call.clone()).or_default();
        calls.push((call, *count));
        *count += 1;
    }
    calls
}

/// Returns all strikes at the calls of an action, or a sample of them that begins at `seed`.
fn strikes(calls: &[(Call, u64)], seed: usize, all: bool) -> Vec<Strike> {
    let mut strikes = Vec::new();
    for reads in [false, true] {
        let these = calls.iter().filter(|(call, _)| call.reads() == reads);
        let ways: Vec<Way> = ways().into_iter().filter(|way| !reads || way.reads).collect();
        let (kills, fails): (Vec<Way>, Vec<Way>) = ways.into_iter().partition(|way| way.kills());
        for (number, (call, skip)) in these.enumerate() {
            let number = number + seed;
            let sampled = number.is_multiple_of(SAMPLE);
            let of = |way: &Way| Strike { call: call.clone(), skip: *skip, way: way.clone() };
            // What is sampled goes through the ways one after another.
            let turn = if reads { number / SAMPLE } else { number };
            if all {
                strikes.extend(fails.iter().chain(&kills).map(of));
            } else if sampled || !reads {
                strikes.push(of(&fails[turn % fails.len()]));
            }
            if !all && sampled && !reads {
                strikes.push(of(&kills[number / SAMPLE % kills.len()]));
            }
        }
    }
    strikes
}

/// What a scenario's strikes came to.
#[derive(Debug, Default)]
struct Tally {
    calls: usize,
    writes: usize,
    played: usize,
    struck: usize,
    wrong: Vec<String>,
}

/// Plays a scenario once for each strike.
async fn plays(scenario: Scenario, all: bool) -> Tally {
    let world = World::start(true).await;
    let calls = rehearse(&world, scenario).await;
    let writes = calls.iter().filter(|(call, _)| !call.reads()).count();
    let mut tally = Tally { calls: calls.len(), writes, ..Tally::default() };
    let (kills, fails): (Vec<Strike>, Vec<Strike>) =
        strikes(&calls, scenario as usize, all).into_iter().partition(|strike| strike.way.kills());
    for (shared, strikes) in [(world, fails), (World::start(false).await, kills)] {
        let played = strikes.into_iter().map(|strike| {
            let name = format!("{scenario:?}, {}", strike.name());
            let case = async {
                let case = Case::new(&shared, scenario, Some(strike)).await;
                case.plays().await
            };
            let played = AssertUnwindSafe(case).catch_unwind();
            async move { played.await.map_err(|error| format!("{name}: {}", said(&*error))) }
        });
        let played: Vec<_> = stream::iter(played).buffer_unordered(AT_ONCE).collect().await;
        tally.played += played.len();
        let struck = played.iter().flatten().filter(|calls| !calls.is_empty());
        tally.struck += struck.count();
        tally.wrong.extend(played.into_iter().filter_map(Result::err));
    }
    tally
}

/// What a test said that failed.
fn said(error: &(dyn Any + Send)) -> String {
    error.downcast_ref::<String>().cloned().unwrap_or_else(|| "it failed".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_may_fail_once() {
    let all = std::env::var("LEADSMAN_FAULTS").is_ok_and(|which| which == "all");
    let mut wrong = Vec::new();
    let played = Scenario::ALL.map(async |scenario| {
        let begun = Instant::now();
        let tally = plays(scenario, all).await;
        let Tally { calls, writes, played, struck, .. } = &tally;
        println!(
            "{scenario:?}: {calls} calls, {writes} of them writes; {played} times played, {struck} \
             times struck, {} wrong, in {:?}",
            tally.wrong.len(),
            begun.elapsed()
        );
        (scenario, tally)
    });
    for (scenario, tally) in join_all(played).await {
        assert!(tally.writes >= 8 && tally.calls >= 16, "{scenario:?} has few calls: {tally:?}");
        // How often something is looked at depends on the machine.
        assert!(tally.struck * 10 >= tally.played * 8, "{scenario:?} is hardly struck: {tally:?}");
        wrong.extend(tally.wrong);
    }
    assert!(wrong.is_empty(), "{} failed:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_sample_strikes_every_write_and_all_strikes_everything() {
    let call = |verb: &str, skip| {
        let call = Call { verb: verb.into(), resource: "secrets".into(), name: "a".into() };
        (call, skip)
    };
    let calls: Vec<_> = (0..16).flat_map(|skip| [call("get", skip), call("patch", skip)]).collect();
    let count = |strikes: &[Strike], is: &dyn Fn(&Strike) -> bool| {
        strikes.iter().filter(|strike| is(strike)).count()
    };
    let reads = |strike: &Strike| strike.call.reads();
    let sample = strikes(&calls, 3, false);
    assert_eq!(count(&sample, &|strike| !reads(strike) && !strike.way.kills()), 16);
    assert_eq!(count(&sample, &|strike| strike.way.kills()), 2);
    assert_eq!(count(&sample, &reads), 2);
    let whole = strikes(&calls, 3, true);
    assert_eq!(count(&whole, &|strike| !reads(strike)), 16 * 11);
    assert_eq!(count(&whole, &reads), 16 * 6);
}
