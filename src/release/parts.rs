//! Parts of records in a cluster: objects beside the record's own, which their labels tie to it.
//!
//! Invariants: a set of parts is whole before a record names it, and goes after the last record that
//! named it; its name is nobody else's, so that who loses a race takes away only its own. What a
//! killed process left is swept with the next record in parts, and when the release goes.

use futures::future::join_all;
use serde_json::json;

use super::split::{Reference, Split};
use super::storage::{Head, Storage};
use super::{Error, Record};
use crate::cluster::{Object, Propagation, Selection};

/// Label of a record that has parts. It is none of Helm's own: Helm keeps it when it writes the
/// record.
pub(super) const IN_PARTS: &str = "leadsman.dev/parts";
/// Label that names the set of a part.
const SET: &str = "leadsman.dev/set";
/// Type of Secrets that are parts.
const TYPE: &str = "leadsman.dev/release-part.v1";

/// Which parts of a release.
#[derive(Debug, Clone, Copy)]
pub(super) enum Parts<'a> {
    /// All.
    All,
    /// Those of a revision.
    Of(u32),
    /// One set of a revision.
    Set(u32, &'a str),
    /// Those of a revision that are of other sets.
    Others(u32, &'a str),
}

impl Storage {
    /// Writes the parts of a record, which nothing names yet.
    pub(super) async fn write_parts(&self, record: &Record, split: &Split) -> Result<(), Error> {
        let count = split.reference.count;
        for (index, text) in split.parts.iter().enumerate() {
            let metadata = json!({
                "name": part_name(record, &split.reference.set, index),
                "namespace": self.namespace(),
                "labels": {
                    "owner": "leadsman",
                    "name": record.name,
                    "version": record.version.to_string(),
                    SET: split.reference.set,
                },
            });
            let mut object = self.driver().object(metadata, text);
            if object.kind() == "Secret" {
                object.0["type"] = TYPE.into();
            }
            match self.cluster().create_repeatedly(&object).await {
                Ok(_) => {}
                // The answer to an earlier attempt was lost.
                Err(error) if error.is_already_exists() => {}
                Err(source) => {
                    let doing = format!("create: failed to create part {} of {count}", index + 1);
                    return Err(Error::Doing { doing, source });
                }
            }
        }
        Ok(())
    }

    /// Returns a record that may be in parts, of what its object holds. The inner error names a part
    /// that is missing: perhaps others write, and the record names other parts by now.
    pub(super) async fn join(
        &self,
        head: Record,
        decode: fn(&str, &[u8]) -> Result<Record, Error>,
    ) -> Result<Result<Record, Error>, Error> {
        let Some(reference) = Reference::of(&head) else { return Ok(Ok(head)) };
        let count = reference.count;
        let ids: Vec<_> =
            (0..count).map(|index| self.id(&part_name(&head, &reference.set, index))).collect();
        let mut text = String::new();
        for (id, found) in
            ids.iter().zip(join_all(ids.iter().map(|id| self.cluster().get(id))).await)
        {
            let refuse = |name: String, reason: String| Error::Record { name, reason };
            let Some(object) = found? else {
                let kind = self.driver().kind();
                let reason = format!(
                    "{kind} {}, one of its {count} parts, is missing: restore it, or delete the \
                     objects and the records of the release by hand",
                    id.name
                );
                return Ok(Err(refuse(head.object_name(), reason)));
            };
            let part = self.driver().text(&object);
            let part = part.map_err(|error| refuse(id.name.clone(), error.to_string()))?;
            text.push_str(&String::from_utf8_lossy(&part));
        }
        reference.join(head, &text, decode).map(Ok)
    }

    /// Deletes parts.
    pub(super) async fn sweep(&self, release: &str, parts: Parts<'_>) -> Result<(), Error> {
        for object in self.list_parts(release, &parts.selector()).await? {
            self.drop_part(&object).await?;
        }
        Ok(())
    }

    /// Deletes parts of revisions before this one that have no record any more.
    pub(super) async fn sweep_orphans(&self, release: &str, before: u32) -> Result<(), Error> {
        let found = self.list_parts(release, "").await?;
        let heads = self.heads(release).await?;
        for object in &found {
            let version = object.label("version").and_then(|text| text.parse().ok());
            if version.is_some_and(|version| is_orphan(&heads, version, before)) {
                self.drop_part(object).await?;
            }
        }
        Ok(())
    }

    async fn list_parts(&self, release: &str, more: &str) -> Result<Vec<Object>, Error> {
        let labels = format!("owner=leadsman,name={release},{SET}{more}");
        let selection = Selection::namespace(self.namespace()).labels(labels);
        Ok(self.cluster().list_metadata("v1", self.driver().kind(), &selection).await?)
    }

    async fn drop_part(&self, object: &Object) -> Result<(), Error> {
        self.cluster().delete(&self.id(object.name()), Propagation::Background).await?;
        Ok(())
    }
}

impl Parts<'_> {
    fn selector(self) -> String {
        match self {
            Self::All => String::new(),
            Self::Of(version) => format!(",version={version}"),
            Self::Set(version, set) => format!(",version={version},{SET}={set}"),
            Self::Others(version, set) => format!(",version={version},{SET}!={set}"),
        }
    }
}

/// Whether nobody can need parts any more: a later revision may be just being written.
fn is_orphan(heads: &[Head], version: u32, before: u32) -> bool {
    version < before && !heads.iter().any(|head| head.version == version)
}

fn part_name(record: &Record, set: &str, index: usize) -> String {
    format!("{}.{set}.{index}", record.object_name().replace("sh.helm.", "dev.leadsman."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::SystemClock;
    use crate::cluster::Cluster;
    use crate::release::record::Info;
    use crate::release::split::{Stored, split};
    use crate::sim::{Fault, Rule, Sim, SimOptions};

    /// A record in two parts; another seed, other parts.
    fn record(version: u32, status: &str, seed: u64) -> Record {
        let mut state = seed;
        let mut letter = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'!' + u8::try_from(state >> 58).unwrap())
        };
        let manifest = (0..1_500_000).map(|_| letter()).collect();
        let info = Info { status: status.to_owned(), ..Info::default() };
        Record { name: "web".to_owned(), version, info, manifest, ..Record::default() }
    }

    struct World(Sim);

    impl World {
        fn new() -> Self {
            Self(Sim::new(SimOptions::default()))
        }

        /// Another process.
        fn storage(&self) -> Storage {
            Storage::new(&Cluster::new(self.0.client("default"), "Helm"), "default")
        }

        /// The parts that are there, each as `version.set`.
        async fn parts(&self) -> Vec<String> {
            let found = self.storage().list_parts("web", "").await.unwrap();
            let label = |one: &Object, key: &str| one.label(key).unwrap_or_default().to_owned();
            let mut sets: Vec<_> =
                found.iter().map(|one| label(one, "version") + "." + &label(one, SET)).collect();
            sets.dedup();
            sets
        }

        /// What a process leaves that is killed once the parts are written.
        async fn killed_after_parts(&self, record: &Record) {
            let Ok(Stored::Split(split)) = split(record, None, "killed") else { panic!() };
            self.storage().write_parts(record, &split).await.unwrap();
        }

        async fn reads(&self, record: &Record) {
            let read = self.storage().get("web", record.version).await.unwrap().unwrap();
            assert_eq!((&read.manifest, &read.info), (&record.manifest, &record.info));
        }
    }

    #[tokio::test]
    async fn what_a_killed_process_left_goes_with_the_next_record() {
        let world = World::new();
        let first = record(1, "pending-install", 1);
        world.killed_after_parts(&first).await;
        // Without a record there is no release.
        assert!(world.storage().heads("web").await.unwrap().is_empty());
        world.storage().create(&first, "", &SystemClock).await.unwrap();
        world.reads(&first).await;
        assert_eq!(world.parts().await.len(), 1);
        // It may have been another revision, whose record went.
        let second = record(3, "pending-upgrade", 3);
        world.killed_after_parts(&record(2, "pending-upgrade", 2)).await;
        world.killed_after_parts(&record(4, "pending-upgrade", 4)).await;
        assert_eq!(world.parts().await.len(), 3);
        world.storage().create(&second, "", &SystemClock).await.unwrap();
        let left = world.parts().await;
        // A later one may be just being written.
        let versions: Vec<_> = left.iter().map(|set| set.split_once('.').unwrap().0).collect();
        assert_eq!(versions, ["1", "3", "4"]);
        world.reads(&first).await;
        world.storage().purge("web").await.unwrap();
        assert!(world.parts().await.is_empty());
    }

    #[tokio::test]
    async fn a_process_that_is_killed_in_an_update_leaves_the_record_as_it_was() {
        let world = World::new();
        let old = record(1, "deployed", 1);
        world.storage().create(&old, "", &SystemClock).await.unwrap();
        let new = record(1, "deployed", 2);
        world.killed_after_parts(&new).await;
        world.reads(&old).await;
        // Somebody else takes it up.
        let storage = world.storage();
        storage.get("web", 1).await.unwrap();
        storage.update(&new, "", &SystemClock).await.unwrap();
        world.reads(&new).await;
        assert_eq!(world.parts().await.len(), 1);
    }

    #[tokio::test]
    async fn of_two_that_write_one_wins_and_its_parts_stay() {
        let world = World::new();
        let (ours, theirs) = (record(1, "pending-install", 1), record(1, "pending-install", 2));
        let (us, them) = (world.storage(), world.storage());
        us.create(&ours, "us", &SystemClock).await.unwrap();
        let error = them.create(&theirs, "them", &SystemClock).await.unwrap_err().to_string();
        assert_eq!(error, "release: already exists");
        world.reads(&ours).await;
        assert_eq!(world.parts().await.len(), 1);
        let heads = world.storage().heads("web").await.unwrap();
        assert_eq!((heads[0].holder.as_str(), heads[0].is_split), ("us", true));
        // They take it over, and who hung must not undo that.
        them.get("web", 1).await.unwrap();
        them.update(&record(1, "failed", 3), "", &SystemClock).await.unwrap();
        let error = us.update(&record(1, "deployed", 4), "", &SystemClock).await.unwrap_err();
        assert!(error.to_string().contains("was changed by somebody else"), "{error}");
        world.reads(&record(1, "failed", 3)).await;
        assert_eq!(world.parts().await.len(), 1);
    }

    #[tokio::test]
    async fn a_status_costs_one_write() {
        let world = World::new();
        let storage = world.storage();
        storage.create(&record(1, "pending-install", 1), "", &SystemClock).await.unwrap();
        let parts = world.parts().await;
        let no_parts = Rule {
            verbs: vec!["create".to_owned(), "delete".to_owned()],
            fault: Some(Fault::status(403)),
            ..Rule::default()
        };
        world.0.faults().add(no_parts);
        let deployed = record(1, "deployed", 1);
        storage.update(&deployed, "", &SystemClock).await.unwrap();
        // Also of who read it first.
        let other = world.storage();
        let mut read = other.get("web", 1).await.unwrap().unwrap();
        "superseded".clone_into(&mut read.info.status);
        other.update(&read, "", &SystemClock).await.unwrap();
        world.reads(&record(1, "superseded", 1)).await;
        assert_eq!(world.parts().await, parts);
    }

    #[tokio::test]
    async fn a_record_grows_into_parts_and_out_of_them() {
        let world = World::new();
        let storage = world.storage();
        let small = |status: &str| Record { manifest: "a".to_owned(), ..record(1, status, 1) };
        storage.create(&small("pending-install"), "", &SystemClock).await.unwrap();
        assert!(world.parts().await.is_empty());
        storage.update(&record(1, "failed", 1), "", &SystemClock).await.unwrap();
        world.reads(&record(1, "failed", 1)).await;
        assert_eq!(world.parts().await.len(), 1);
        storage.update(&small("deployed"), "", &SystemClock).await.unwrap();
        world.reads(&small("deployed")).await;
        assert!(world.parts().await.is_empty());
    }

    #[tokio::test]
    async fn parts_that_cannot_be_written_leave_no_record() {
        for skip in 0..3 {
            let world = World::new();
            world.0.faults().add(Rule {
                verbs: vec!["create".to_owned()],
                skip,
                times: Some(1),
                fault: Some(Fault::status(403)),
                ..Rule::default()
            });
            let first = record(1, "pending-install", 1);
            let error = world.storage().create(&first, "", &SystemClock).await.unwrap_err();
            let wanted = match skip {
                2 => "create: failed to create".to_owned(),
                skip => format!("create: failed to create part {} of 2", skip + 1),
            };
            assert_eq!(error.to_string(), wanted);
            assert!(world.storage().heads("web").await.unwrap().is_empty());
            assert!(world.parts().await.is_empty(), "{skip}");
        }
    }

    #[test]
    fn only_what_nobody_can_need_is_an_orphan() {
        let head = |version| Head {
            name: "web".to_owned(),
            namespace: "n".to_owned(),
            version,
            status: "deployed".to_owned(),
            holder: String::new(),
            is_split: true,
        };
        let heads = [head(4), head(2)];
        let rows = [(1, true), (2, false), (3, true), (4, false), (5, false)];
        for (version, wanted) in rows {
            assert_eq!(is_orphan(&heads, version, 4), wanted, "{version}");
        }
    }
}
