//! Failures on demand: rules that match requests and say what goes wrong, and counters of calls.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::request::{Request, Target};
use crate::yaml::Value;

/// What goes wrong with a matching request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Fault {
    /// The connection is refused: the request has no effect and no answer.
    Refuse,
    /// The request is carried out, but its answer is lost.
    LoseAnswer,
    /// The request is carried out, and its answer breaks off half way.
    CutAnswer,
    /// The request is answered with an error.
    Status {
        /// The HTTP status.
        code: u16,
        /// The message of the `Status` object; a plain one when empty.
        #[serde(default)]
        message: String,
        /// Seconds for the `Retry-After` header.
        #[serde(default)]
        retry_after: Option<u64>,
        /// Whether the request is carried out all the same; otherwise it has no effect.
        #[serde(default)]
        carried_out: bool,
    },
    /// The request is carried out later.
    Latency {
        /// Milliseconds to wait first.
        millis: u64,
    },
    /// The request is held, without effect, until the rules are cleared: the moment to kill a client.
    Hold,
    /// The request is carried out, but its answer is held until the rules are cleared.
    HoldAnswer,
    /// Running watches end and the history is forgotten: they come back and get a 410.
    Expire,
    /// Running watches end.
    CutWatches,
}

/// A rule: which requests, how many of them, and what goes wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Verbs (`get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`);
    /// empty for all.
    pub verbs: Vec<String>,
    /// Only requests that write.
    pub mutating: bool,
    /// Plural names of resources, such as `secrets` or `deployments/status`; empty for all.
    pub resources: Vec<String>,
    /// The namespace; empty for all.
    pub namespace: String,
    /// The name of the object; empty for all.
    pub name: String,
    /// Who asks: what its `User-Agent` says before the slash; empty for all.
    pub agent: String,
    /// How many matching requests pass first.
    pub skip: u64,
    /// How many requests fail after that; absent for all.
    pub times: Option<u64>,
    /// What goes wrong.
    pub fault: Option<Fault>,
}

type Hook = Arc<dyn Fn(&str) + Send + Sync>;

#[derive(Clone)]
struct Armed {
    rule: Rule,
    hook: Option<Hook>,
    seen: u64,
    /// The calls that were struck, the newest ones.
    struck: VecDeque<String>,
}

#[derive(Default)]
struct State {
    rules: Vec<Armed>,
    held: u64,
}

/// The rules of a simulated API server; clones share them.
#[derive(Clone, Default)]
pub struct Faults {
    state: Arc<Mutex<State>>,
    changed: Arc<tokio::sync::Notify>,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.lock().rules.iter().map(|armed| &armed.rule)).finish()
    }
}

/// A request as rules and counters see it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) verb: &'static str,
    pub(crate) resource: String,
    namespace: String,
    name: String,
    agent: String,
}

impl Call {
    /// Returns the call that a request is, if it concerns a resource.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let Target::Resource(place) = &request.target else { return None };
        let resource = match &place.subresource {
            Some(subresource) => format!("{}/{subresource}", place.plural),
            None => place.plural.clone(),
        };
        Some(Self {
            verb: request.verb(),
            resource,
            namespace: place.namespace.clone().unwrap_or_default(),
            name: place.name.clone().unwrap_or_default(),
            agent: request.agent().to_owned(),
        })
    }

    fn mutates(&self) -> bool {
        !["get", "list", "watch"].contains(&self.verb) && !self.resource.ends_with("reviews")
    }

    fn print(&self) -> String {
        format!("{} {} {}/{}", self.verb, self.resource, self.namespace, self.name)
    }
}

impl Rule {
    fn matches(&self, call: &Call) -> bool {
        let among =
            |list: &[String], one: &str| list.is_empty() || list.iter().any(|item| item == one);
        let equal = |wanted: &str, one: &str| wanted.is_empty() || wanted == one;
        among(&self.verbs, call.verb)
            && among(&self.resources, &call.resource)
            && equal(&self.namespace, &call.namespace)
            && equal(&self.name, &call.name)
            && equal(&self.agent, &call.agent)
            && (!self.mutating || call.mutates())
    }
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule; the first rule that matches and is not used up counts.
    pub fn add(&self, rule: Rule) {
        self.lock().rules.push(Armed { rule, hook: None, seen: 0, struck: VecDeque::new() });
    }

    /// Adds a rule that calls `hook` with the printed call (`create secrets ns/name`) before its
    /// fault, if it has one, comes into effect.
    pub fn add_hook(&self, rule: Rule, hook: impl Fn(&str) + Send + Sync + 'static) {
        self.lock().rules.push(Armed {
            rule,
            hook: Some(Arc::new(hook)),
            seen: 0,
            struck: VecDeque::new(),
        });
    }

    /// Removes all rules and releases held requests.
    pub fn clear(&self) {
        self.lock().rules.clear();
        self.changed.notify_waiters();
    }

    /// Returns the rules.
    pub fn rules(&self) -> Vec<Rule> {
        self.lock().rules.iter().map(|armed| armed.rule.clone()).collect()
    }

    /// Returns how many requests each rule has struck, in the order of [`Faults::rules`].
    pub fn struck(&self) -> Vec<u64> {
        let state = self.lock();
        let of = |armed: &Armed| {
            let most = armed.rule.times.unwrap_or(u64::MAX);
            armed.seen.saturating_sub(armed.rule.skip).min(most)
        };
        state.rules.iter().map(of).collect()
    }

    /// Returns the calls that each rule has struck (the last 1000), printed as `create secrets ns/name`,
    /// in the order of [`Faults::rules`].
    pub fn struck_calls(&self) -> Vec<Vec<String>> {
        self.lock().rules.iter().map(|armed| armed.struck.iter().cloned().collect()).collect()
    }

    /// Returns how many requests are being held now.
    pub fn held(&self) -> u64 {
        self.lock().held
    }

    /// Returns what goes wrong with a call, counting it.
    pub(crate) fn strike(&self, call: &Call) -> Option<Fault> {
        let mut hook = None;
        let mut fault = None;
        {
            let mut state = self.lock();
            for armed in state.rules.iter_mut().filter(|armed| armed.rule.matches(call)) {
                armed.seen += 1;
                let rule = &armed.rule;
                let used_up =
                    rule.times.is_some_and(|times| armed.seen > rule.skip.saturating_add(times));
                if armed.seen > rule.skip && !used_up {
                    (hook, fault) = (armed.hook.clone(), rule.fault.clone());
                    armed.struck.push_back(call.print());
                    if armed.struck.len() > LOG_LINES {
                        armed.struck.pop_front();
                    }
                    break;
                }
            }
        }
        if let Some(hook) = hook {
            hook(&call.print());
        }
        fault
    }

    /// Waits until the rules are cleared.
    pub(crate) async fn hold(&self) {
        struct Held<'a>(&'a Faults);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                self.0.lock().held -= 1;
            }
        }
        let released = self.changed.notified();
        self.lock().held += 1;
        let _held = Held(self);
        released.await;
    }
}

impl Fault {
    /// Returns a `Status` fault.
    pub fn status(code: u16) -> Self {
        Self::Status { code, message: String::new(), retry_after: None, carried_out: false }
    }

    pub(crate) fn delay(&self) -> Option<Duration> {
        match self {
            Self::Latency { millis } => Some(Duration::from_millis(*millis)),
            Self::Refuse
            | Self::LoseAnswer
            | Self::CutAnswer
            | Self::Status { .. }
            | Self::Hold
            | Self::HoldAnswer
            | Self::Expire
            | Self::CutWatches => None,
        }
    }
}

const LOG_LINES: usize = 1000;

#[derive(Debug, Default)]
struct Counted {
    by_call: BTreeMap<(String, String), u64>,
    writes: VecDeque<String>,
    mutating: u64,
    total: u64,
}

/// Counters of the calls that were made; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Calls(Arc<Mutex<Counted>>);

impl Calls {
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, call: &Call) {
        let mut counted = self.lock();
        *counted.by_call.entry((call.verb.to_owned(), call.resource.clone())).or_default() += 1;
        counted.total += 1;
        if call.mutates() {
            counted.mutating += 1;
            counted.writes.push_back(call.print());
            if counted.writes.len() > LOG_LINES {
                counted.writes.pop_front();
            }
        }
    }

    /// Returns how often a verb met a resource (plural, with subresource: `deployments/status`).
    pub fn of(&self, verb: &str, resource: &str) -> u64 {
        let key = (verb.to_owned(), resource.to_owned());
        self.lock().by_call.get(&key).copied().unwrap_or_default()
    }

    /// Returns the number of all calls that concern resources.
    pub fn total(&self) -> u64 {
        self.lock().total
    }

    /// Returns the number of calls that write, refused ones included.
    pub fn mutating(&self) -> u64 {
        self.lock().mutating
    }

    /// Returns the last 1000 writes, oldest first, such as `patch deployments ns/web`.
    pub fn writes(&self) -> Vec<String> {
        self.lock().writes.iter().cloned().collect()
    }

    /// Begins to count from zero.
    pub fn reset(&self) {
        *self.lock() = Counted::default();
    }

    /// Returns all counters: `{"total", "mutating", "calls": {"get secrets": 3}, "writes": […]}`.
    pub fn to_value(&self) -> Value {
        let counted = self.lock();
        let calls: serde_json::Map<String, Value> = counted
            .by_call
            .iter()
            .map(|((verb, resource), count)| (format!("{verb} {resource}"), (*count).into()))
            .collect();
        serde_json::json!({
            "total": counted.total, "mutating": counted.mutating, "calls": calls, "writes": counted.writes,
        })
    }
}
