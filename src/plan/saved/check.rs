//! What was seen, and what is there now → why a plan holds no longer; nothing: it does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Deployment, Revision, Saved, Seen, ValuesSource};
use crate::api::annotation::CONFLICTS;
use crate::base::shorten::shorten;
use crate::plan::compare::{Side, compare};
use crate::plan::live::Finding;
use crate::plan::{Change, Field, Secrets, Subject, What, fields};
use crate::release::conflict::{Conflict, Policy};
use crate::release::{self, RenderedRelease};
use crate::template::Capabilities;
use crate::yaml::Value;

/// Longest value in a text.
const SHOWN_BYTES: usize = 80;
/// At most so many fields or versions are named in a text.
const NAMED: usize = 5;

/// Something that a plan was made from, and that is another now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which object, such as `Deployment apps/web`.
    pub object: String,
    /// How it differs.
    pub what: String,
}

impl Difference {
    fn new(object: impl fmt::Display, what: impl Into<String>) -> Self {
        Self { object: object.to_string(), what: what.into() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.what)
    }
}

/// Whether it is the cluster that the plan was made for; `now` is what the same namespaces have as
/// uids.
pub fn place(seen: &Seen, now: &BTreeMap<String, String>) -> Vec<Difference> {
    let differs = |(name, uid): (&String, &String)| {
        let what = match now.get(name) {
            Some(now) if now == uid => return None,
            Some(now) => format!(
                "its uid was {uid}, and is {now}: this is another cluster, or the namespace was \
                 made anew"
            ),
            None => format!("its uid was {uid}, and it is not there or cannot be read"),
        };
        Some(Difference::new(format_args!("Namespace {name}"), what))
    };
    seen.places.iter().filter_map(differs).collect()
}

/// Whether the release is where it was: its newest revision, and the one that it is compared with.
pub fn revisions(
    saved: &Saved,
    (newest, current): (Option<&Revision>, Option<&Revision>),
) -> Vec<Difference> {
    let object = format!("release {}/{}", saved.storage_namespace, saved.release);
    let seen = &saved.seen;
    let newest = revision(seen.newest.as_ref(), newest, "newest");
    // What is said of the newest need not be said twice.
    let differs = newest.or_else(|| revision(seen.current.as_ref(), current, "deployed"));
    differs.map(|what| Difference { object, what }).into_iter().collect()
}

fn revision(then: Option<&Revision>, now: Option<&Revision>, which: &str) -> Option<String> {
    let named = |revision: &Revision| format!("revision {} ({})", revision.number, revision.status);
    match (then, now) {
        (None, None) => None,
        (Some(then), Some(now)) if then == now => None,
        (None, Some(now)) => {
            Some(format!("there was no {which} revision, and now there is {}", named(now)))
        }
        (Some(then), None) => {
            Some(format!("{} was the {which}, and now there is none", named(then)))
        }
        (Some(then), Some(now)) if then.number != now.number => {
            Some(format!("{} was the {which}, and now {} is", named(then), named(now)))
        }
        (Some(then), Some(now)) if then.status != now.status => {
            Some(format!("revision {} was {}, and is {} now", now.number, then.status, now.status))
        }
        (Some(_), Some(now)) => {
            Some(format!("the record of {} was written anew with other content", named(now)))
        }
    }
}

/// Whether the `HelmRelease` that keeps the release still asks for the same. That it was suspended
/// or resumed meanwhile does not matter; of its annotations only the rules of conflicts do.
pub fn keeper(then: Option<&Value>, now: Option<&Value>) -> Vec<Difference> {
    let text = |value: &Value, pointer| {
        value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let name = |value: &Value| {
        format!(
            "HelmRelease {}/{}",
            text(value, "/metadata/namespace"),
            text(value, "/metadata/name")
        )
    };
    let (then, now) = match (then, now) {
        (None, None) => return Vec::new(),
        (None, Some(now)) => {
            return vec![Difference::new(name(now), "it keeps the release now, and did not")];
        }
        (Some(then), None) => return vec![Difference::new(name(then), "it is gone")],
        (Some(then), Some(now)) => (then, now),
    };
    if text(then, "/metadata/uid") != text(now, "/metadata/uid") {
        return vec![Difference::new(name(now), "it was deleted and made anew")];
    }
    let spec = |value: &Value| value.get("spec").cloned().unwrap_or_default();
    let changed = fields::fields(&spec(then), &spec(now));
    let mut paths: Vec<String> = changed
        .into_iter()
        .filter(|field| field.path != "suspend")
        .map(|field| format!("spec.{}", field.path))
        .collect();
    let rules = |value: &Value| value.pointer("/metadata/annotations")?.get(CONFLICTS).cloned();
    if rules(then) != rules(now) {
        paths.push(format!("annotation {CONFLICTS}"));
    }
    if paths.is_empty() {
        return Vec::new();
    }
    vec![Difference::new(name(now), format!("{} changed", several(&paths)))]
}

/// Whether the revision that is to run again is the one that was shown.
pub fn target(saved: &Saved, then: &Revision, now: Option<&Revision>) -> Vec<Difference> {
    let what = match now {
        Some(now) if now.number == then.number && now.digest == then.digest => return Vec::new(),
        Some(_) => format!("revision {} was written anew with other content", then.number),
        None => format!("revision {}, to which it was to return, is gone", then.number),
    };
    vec![Difference::new(
        format_args!("release {}/{}", saved.storage_namespace, saved.release),
        what,
    )]
}

/// Whether the objects that `spec.valuesFrom` names hold what they held.
pub fn sources(then: &[ValuesSource], now: &[ValuesSource]) -> Vec<Difference> {
    let find = |list: &[ValuesSource], one: &ValuesSource| {
        let same = |other: &&ValuesSource| (&other.object, &other.key) == (&one.object, &one.key);
        list.iter().find(same).map(|other| other.digest.clone())
    };
    let of = |one: &ValuesSource, what: &str| {
        let what = format!("key {} of it, which valuesFrom names, {what}", one.key);
        Difference::new(&one.object, what)
    };
    let mut found = Vec::new();
    for one in then {
        match find(now, one) {
            Some(digest) if digest == one.digest => {}
            Some(_) => found.push(of(one, "holds other values now")),
            None => found.push(of(one, "is gone")),
        }
    }
    let new = now.iter().filter(|one| find(then, one).is_none());
    found.extend(new.map(|one| of(one, "is there now, and was not")));
    found
}

/// Whether chart and values render to the same here and now, but for fields that never come out
/// the same.
///
/// # Errors
/// A manifest is not YAML.
pub fn rendering(
    (deployment, namespace): (&Deployment, &str),
    now: &RenderedRelease,
    capabilities: &Capabilities,
) -> Result<Vec<Difference>, release::Error> {
    let rendered = &deployment.rendered;
    let before = Side::read(&rendered.manifest, &rendered.hooks, namespace)?;
    let after = Side::read(&now.manifest, &now.hooks, namespace)?;
    let steady = |object: &Subject, field: &Field| {
        !rendered.unsteady.iter().any(|one| one.object == *object && one.path == field.path)
    };
    let mut found = Vec::new();
    for change in compare(&before, &after, Secrets::Masked) {
        let what = match change.what {
            What::Create => "templates render it now, and did not".to_owned(),
            // Two renderings know no others.
            What::Stay | What::Foreign { .. } => continue,
            What::Delete | What::Keep => "templates rendered it, and do not any more".to_owned(),
            What::Refuse { reason } => reason,
            What::Update { fields } => {
                let fields: Vec<_> =
                    fields.into_iter().filter(|field| steady(&change.object, field)).collect();
                let told: Vec<_> = fields.iter().map(rendered_field).collect();
                if told.is_empty() {
                    continue;
                }
                several(&told)
            }
        };
        found.push(Difference::new(&change.object, what));
    }
    if !found.is_empty() {
        found.extend(told_otherwise(deployment, capabilities));
    }
    Ok(found)
}

fn rendered_field(field: &Field) -> String {
    let [before, after] = [&field.before, &field.after].map(|value| shown(value.as_ref()));
    format!("{} was rendered as {before}, and is now as {after}", field.path)
}

/// What templates are told of the cluster, and were told otherwise.
fn told_otherwise(seen: &Deployment, now: &Capabilities) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut add = |what: String| found.push(Difference::new("the cluster", what));
    if seen.kubernetes != now.kube_version {
        add(format!("it was Kubernetes {}, and is {}", seen.kubernetes, now.kube_version));
    }
    let served: BTreeSet<String> = now.api_versions.iter().cloned().collect();
    let list = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
        one.difference(other).cloned().collect::<Vec<_>>()
    };
    let (new, gone) = (list(&served, &seen.api_versions), list(&seen.api_versions, &served));
    if !new.is_empty() {
        add(format!("it serves {} now, and did not", several(&new)));
    }
    if !gone.is_empty() {
        add(format!("it served {}, and does not any more", several(&gone)));
    }
    found
}

/// Whether the same would change as was shown.
pub fn changes(then: &[Finding], now: &[Finding]) -> Vec<Difference> {
    let find = |list: &[Finding], object: &Subject| {
        list.iter().find(|one| one.change.object == *object).cloned()
    };
    let mut found = Vec::new();
    for one in then {
        let object = &one.change.object;
        let what = match find(now, object) {
            Some(other) if is_same(one, &other) => continue,
            Some(other) => changed(one, &other),
            None => {
                format!("it was to be {}, and now nothing of it would change", verb(&one.change))
            }
        };
        found.push(Difference::new(object, what));
    }
    for one in now {
        let object = &one.change.object;
        if find(then, object).is_none() {
            let what =
                format!("nothing of it was to change, and now it would be {}", detail(&one.change));
            found.push(Difference::new(object, what));
        }
    }
    found
}

/// Whether the same would happen to an object. What a field that is left to others holds may change
/// meanwhile: nothing is done to it.
fn is_same(then: &Finding, now: &Finding) -> bool {
    let [then, now] = [then, now].map(|found| {
        let mut found = found.clone();
        let left = found.change.conflicts.iter_mut().filter(|one| one.policy == Policy::Leave);
        left.for_each(|one| one.live = None);
        found
    });
    then == now
}

/// What became of what was to happen to an object.
fn changed(then: &Finding, now: &Finding) -> String {
    match (&then.live, &now.live) {
        (Some(before), Some(after)) if before.uid != after.uid => {
            return "it was deleted and made anew".to_owned();
        }
        (Some(before), Some(after)) if before.digest != after.digest => {
            return format!("it is to be {}, and was changed meanwhile", verb(&then.change));
        }
        _ => {}
    }
    let (one, other) = (then.change.clone(), now.change.clone());
    let (one, other) = (one.shown(Secrets::Masked), other.shown(Secrets::Masked));
    match (&one.what, &other.what) {
        (What::Update { .. } | What::Stay, What::Update { .. } | What::Stay) => {
            let mut told = updates(fields_of(&one.what), fields_of(&other.what));
            told.extend(owners(&one.conflicts, &other.conflicts));
            if told.is_empty() {
                // Only what a Secret holds differs, or who owns what.
                return "what is in it was changed".to_owned();
            }
            several(&told)
        }
        _ => format!("it was to be {}, and now it would be {}", verb(&one), detail(&other)),
    }
}

fn fields_of(what: &What) -> &[Field] {
    match what {
        What::Update { fields } => fields,
        What::Create
        | What::Delete
        | What::Keep
        | What::Stay
        | What::Foreign { .. }
        | What::Refuse { .. } => &[],
    }
}

/// Which fields have got another manager, or none.
fn owners(before: &[Conflict], after: &[Conflict]) -> Vec<String> {
    let lacks = |list: &[Conflict], one: &Conflict| {
        let key = (&one.field, &one.manager);
        !list.iter().any(|other| (&other.field, &other.manager) == key)
    };
    let new = after.iter().filter(|one| lacks(before, one));
    let new = new.map(|one| format!("{} belongs to {} now", one.field, one.manager));
    let gone = before.iter().filter(|one| lacks(after, one));
    let gone = gone.map(|one| format!("{} of {} is in the way no longer", one.field, one.manager));
    new.chain(gone).collect()
}

/// Which fields would come out otherwise.
fn updates(before: &[Field], after: &[Field]) -> Vec<String> {
    let mut told = Vec::new();
    for field in after {
        match before.iter().find(|other| other.path == field.path) {
            Some(other) if other == field => {}
            Some(other) if other.before != field.before => {
                let [was, is] = [other, field].map(|one| shown(one.before.as_ref()));
                told.push(format!("{} was {was}, and is {is}", field.path));
            }
            Some(other) => {
                let [would, will] = [other, field].map(|one| shown(one.after.as_ref()));
                told.push(format!("{} would have become {would}, and would be {will}", field.path));
            }
            None => told.push(format!(
                "{} was not to change, and is {}",
                field.path,
                shown(field.before.as_ref())
            )),
        }
    }
    let gone = before.iter().filter(|field| !after.iter().any(|other| other.path == field.path));
    told.extend(gone.map(|field| format!("{} would not change any more", field.path)));
    told
}

fn verb(change: &Change) -> &'static str {
    match change.what {
        What::Create => "created",
        What::Update { .. } => "changed",
        What::Delete => "deleted",
        What::Keep => "left alone",
        What::Stay => "left as it is",
        What::Foreign { .. } => "left to its owner",
        What::Refuse { .. } => "refused",
    }
}

/// What would happen to an object, with its fields or the reason.
fn detail(change: &Change) -> String {
    let change = change.clone().shown(Secrets::Masked);
    match &change.what {
        What::Update { fields } => {
            let paths: Vec<_> = fields
                .iter()
                .map(|field| format!("{} is {}", field.path, shown(field.before.as_ref())))
                .collect();
            format!("changed ({})", several(&paths))
        }
        What::Refuse { reason } => format!("refused: {}", reason.trim_end()),
        What::Create | What::Delete | What::Keep | What::Stay | What::Foreign { .. } => {
            verb(&change).to_owned()
        }
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| shorten(&value.to_string(), SHOWN_BYTES))
}

fn several(texts: &[String]) -> String {
    let more = texts.len().saturating_sub(NAMED);
    let named = texts[..texts.len() - more].join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}
