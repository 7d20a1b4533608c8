//! Two manifests → what differs, without a cluster.

use super::{Change, Secrets, Subject, What, mask};
use crate::cluster::{Object, ObjectId};
use crate::release::manifest::{self, Hook};
use crate::release::{Error, Record, outlives_upgrade};

/// The objects of one side of a comparison.
#[derive(Debug, Clone, Default)]
pub struct Side(Vec<Item>);

#[derive(Debug, Clone)]
struct Item {
    id: ObjectId,
    object: Object,
    /// The events of a hook; none: the object is applied.
    events: Vec<String>,
}

impl Side {
    /// Reads a manifest and hooks; objects without a namespace are in this one.
    ///
    /// # Errors
    /// A document is not YAML.
    pub fn read(manifest: &str, hooks: &[Hook], namespace: &str) -> Result<Self, Error> {
        let mut items = Vec::new();
        let mut add = |text: &str, events: &[String]| {
            for value in manifest::objects(text)? {
                let mut object = Object(value);
                // Where it is written out, and where it is not, it is the same one.
                if object.namespace() == namespace {
                    object.set_namespace("");
                }
                items.push(Item { id: object.id(), object, events: events.to_vec() });
            }
            Ok::<_, Error>(())
        };
        add(manifest, &[])?;
        for hook in hooks {
            add(&hook.manifest, &hook.events)?;
        }
        Ok(Self(items))
    }

    /// Reads a record.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn of_record(record: &Record) -> Result<Self, Error> {
        Self::read(&record.manifest, &record.hooks, &record.namespace)
    }

    /// Leaves hooks out.
    #[must_use]
    pub fn without_hooks(mut self) -> Self {
        self.0.retain(|item| item.events.is_empty());
        self
    }

    fn find(&self, id: &ObjectId, is_hook: bool) -> Option<&Item> {
        let same = |item: &&Item| item.id.same(id) && item.events.is_empty() != is_hook;
        self.0.iter().find(same)
    }
}

/// Returns what differs: what appears or changes in the order of the new side, what goes in that of
/// the old.
pub fn compare(before: &Side, after: &Side, secrets: Secrets) -> Vec<Change> {
    let mut changes = Vec::new();
    for item in &after.0 {
        let old = before.find(&item.id, !item.events.is_empty());
        let object = Subject::new(item.id.clone(), item.events.clone());
        let Some(old) = old else {
            changes.push(Change::new(object, What::Create));
            continue;
        };
        let fields = mask::fields(&object, (&old.object.0, &item.object.0), secrets);
        if !fields.is_empty() {
            changes.push(Change::new(object, What::Update { fields }));
        }
    }
    for item in &before.0 {
        if after.find(&item.id, !item.events.is_empty()).is_none() {
            let object = Subject::new(item.id.clone(), item.events.clone());
            changes.push(Change::new(object, gone(&item.object, &item.events)));
        }
    }
    changes
}

/// What becomes of an object that is no longer rendered.
pub(super) fn gone(object: &Object, events: &[String]) -> What {
    let keep = events.is_empty() && outlives_upgrade(object);
    if keep { What::Keep } else { What::Delete }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(manifest: &str, hooks: &[(&str, &str)]) -> Side {
        let hooks = hooks.iter().map(|(event, text)| Hook {
            manifest: (*text).to_owned(),
            events: vec![(*event).to_owned()],
            ..Hook::default()
        });
        Side::read(manifest, &hooks.collect::<Vec<_>>(), "apps").unwrap()
    }

    fn object(kind: &str, name: &str, rest: &str) -> String {
        format!("---\napiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}{rest}}}\n")
    }

    fn shown(changes: &[Change]) -> Vec<String> {
        let line = |change: &Change| {
            let what = match &change.what {
                What::Update { fields } => {
                    fields.iter().map(|field| field.path.as_str()).collect::<Vec<_>>().join(",")
                }
                other => format!("{other:?}"),
            };
            let Subject { kind, namespace, name, hook, .. } = &change.object;
            format!("{kind}/{namespace}/{name}{hook:?} {what}")
        };
        changes.iter().map(line).collect()
    }

    #[test]
    fn objects_appear_change_stay_and_go() {
        let before = [
            object("A", "same", ""),
            object("A", "other", ", labels: {x: y}"),
            object("A", "gone", ""),
            object("A", "kept", ", annotations: {helm.sh/resource-policy: keep}"),
            object("A", "there", ", namespace: elsewhere"),
        ];
        let after = [
            object("A", "new", ""),
            object("A", "other", ", labels: {x: z}"),
            // Its own namespace, written out.
            object("A", "same", ", namespace: apps"),
            object("A", "there", ""),
        ];
        let changes =
            compare(&side(&before.concat(), &[]), &side(&after.concat(), &[]), Secrets::Masked);
        assert_eq!(
            shown(&changes),
            [
                "A//new[] Create",
                "A//other[] metadata.labels.x",
                "A//there[] Create",
                "A//gone[] Delete",
                "A//kept[] Keep",
                "A/elsewhere/there[] Delete",
            ]
        );
    }

    #[test]
    fn a_hook_is_not_the_object_of_its_name() {
        let job = object("Job", "j", "");
        let before = side("", &[("pre-upgrade", &job)]);
        let changes = compare(&before, &side(&job, &[]), Secrets::Masked);
        assert_eq!(shown(&changes), ["Job//j[] Create", "Job//j[\"pre-upgrade\"] Delete"]);
        assert!(compare(&before, &before, Secrets::Masked).is_empty());
        assert!(
            compare(&before.clone().without_hooks(), &Side::default(), Secrets::Shown).is_empty()
        );
    }

    #[test]
    fn what_a_secret_holds_is_shown_only_when_asked_for() {
        let secret = |value: &str| {
            side(&format!("{}stringData: {{k: {value}}}\n", object("Secret", "s", "")), &[])
        };
        let text =
            |secrets| format!("{:?}", compare(&secret("before"), &secret("afterward"), secrets));
        let masked = text(Secrets::Masked);
        assert!(!masked.contains("before\"") && !masked.contains("afterward"), "{masked}");
        assert!(masked.contains("*** (6 bytes)") && masked.contains("*** (9 bytes)"), "{masked}");
        assert!(text(Secrets::Shown).contains("afterward"));
    }
}
