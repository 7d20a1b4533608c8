//! An action → its steps in their order, as [`crate::release`] does them.

use std::fmt;

use serde::Serialize;

use crate::base::duration::GoDuration;
use crate::release::Head;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "camelCase")]
pub enum Step {
    /// Records are deleted.
    Forget {
        /// Of these revisions.
        revisions: Vec<u32>,
    },
    /// A record is written.
    Record {
        /// Of this revision.
        revision: u32,
        /// With this status.
        status: &'static str,
    },
    /// Hooks run, one after another.
    Hooks {
        /// At this event.
        event: String,
        /// Each as `Kind/name`.
        hooks: Vec<String>,
    },
    /// Objects are created and changed.
    Apply {
        /// How many.
        objects: usize,
    },
    /// Objects are deleted.
    Delete {
        /// How many.
        objects: usize,
    },
    /// Until the objects are ready, or gone.
    Wait {
        /// `ready` or `gone`.
        until: &'static str,
        /// At most so long.
        timeout: GoDuration,
    },
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// A first revision.
    Install,
    /// The next revision; of this one.
    Upgrade(u32),
    /// An earlier revision, once more.
    Rollback,
    /// An end; whether the records stay.
    Uninstall(bool),
}

impl Deed {
    /// Returns the word of it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade(_) => "upgrade",
            Self::Rollback => "rollback",
            Self::Uninstall(_) => "uninstall",
        }
    }

    /// Returns the word of it in the names of hooks' events.
    pub fn event(self) -> &'static str {
        if let Self::Uninstall(_) = self { "delete" } else { self.word() }
    }
}

/// How many objects are touched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Objects {
    /// Created or changed.
    pub applied: usize,
    /// Deleted.
    pub deleted: usize,
}

/// What decides the steps of an action.
#[derive(Debug, Clone, Copy)]
pub struct Course<'a> {
    /// What is done.
    pub deed: Deed,
    /// The release's records, newest first.
    pub heads: &'a [Head],
    /// Records that are kept; 0: all.
    pub max_history: usize,
    /// Hooks that run, each as event and `Kind/name`, in their order.
    pub hooks: &'a [(String, String)],
    /// Objects.
    pub objects: Objects,
    /// Whether objects are waited for, and how long.
    pub wait: Option<GoDuration>,
}

/// Returns the steps, in their order.
pub fn steps(course: &Course<'_>) -> Vec<Step> {
    match course.deed {
        Deed::Uninstall(keeps) => of_end(course, keeps),
        Deed::Install => of_revision(course, "pending-install"),
        Deed::Upgrade(_) => of_revision(course, "pending-upgrade"),
        Deed::Rollback => of_revision(course, "pending-rollback"),
    }
}

fn of_revision(course: &Course<'_>, pending: &'static str) -> Vec<Step> {
    let Course { heads, objects, .. } = *course;
    let forgotten = match course.max_history {
        0 => Vec::new(),
        max => Head::surplus(heads, max.saturating_sub(1)),
    };
    let next = heads.first().map_or(0, |head| head.version) + 1;
    let mut steps = Vec::new();
    if !forgotten.is_empty() {
        steps.push(Step::Forget { revisions: forgotten.clone() });
    }
    steps.push(Step::Record { revision: next, status: pending });
    steps.extend(hooks(course, "pre"));
    if objects.applied > 0 {
        steps.push(Step::Apply { objects: objects.applied });
    }
    if objects.deleted > 0 {
        steps.push(Step::Delete { objects: objects.deleted });
    }
    steps.extend(course.wait.map(|timeout| Step::Wait { until: "ready", timeout }));
    steps.extend(hooks(course, "post"));
    let upgraded = if let Deed::Upgrade(upgraded) = course.deed { Some(upgraded) } else { None };
    let over = |head: &&Head| head.status == "deployed" || Some(head.version) == upgraded;
    let kept = heads.iter().filter(|head| !forgotten.contains(&head.version));
    steps.extend(kept.filter(over).map(superseded));
    steps.push(Step::Record { revision: next, status: "deployed" });
    steps
}

fn of_end(course: &Course<'_>, keeps: bool) -> Vec<Step> {
    let Course { heads, objects, .. } = *course;
    let all = || Step::Forget { revisions: heads.iter().map(|head| head.version).collect() };
    let Some(last) = heads.first() else { return Vec::new() };
    if last.status == "uninstalled" {
        return vec![all()];
    }
    let mut steps: Vec<Step> = hooks(course, "pre").into_iter().collect();
    steps.push(Step::Record { revision: last.version, status: "uninstalling" });
    if objects.deleted > 0 {
        steps.push(Step::Delete { objects: objects.deleted });
        steps.extend(course.wait.map(|timeout| Step::Wait { until: "gone", timeout }));
    }
    steps.extend(hooks(course, "post"));
    if keeps {
        let deployed = heads[1..].iter().filter(|head| head.status == "deployed");
        steps.extend(deployed.map(superseded));
        steps.push(Step::Record { revision: last.version, status: "uninstalled" });
    } else {
        steps.push(all());
    }
    steps
}

fn superseded(head: &Head) -> Step {
    Step::Record { revision: head.version, status: "superseded" }
}

fn hooks(course: &Course<'_>, when: &str) -> Option<Step> {
    let event = format!("{when}-{}", course.deed.event());
    let own = course.hooks.iter().filter(|(at, _)| *at == event);
    let hooks: Vec<String> = own.map(|(_, name)| name.clone()).collect();
    (!hooks.is_empty()).then_some(Step::Hooks { event, hooks })
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects = |count: &usize| match count {
            1 => "1 object".to_owned(),
            count => format!("{count} objects"),
        };
        match self {
            Self::Forget { revisions } => {
                let numbers: Vec<_> = revisions.iter().map(ToString::to_string).collect();
                write!(f, "delete the record of revision {}", numbers.join(", "))
            }
            Self::Record { revision, status } => {
                write!(f, "write down that revision {revision} is {status}")
            }
            Self::Hooks { event, hooks } => write!(f, "run {event}: {}", hooks.join(", ")),
            Self::Apply { objects: count } => write!(f, "apply {}", objects(count)),
            Self::Delete { objects: count } => write!(f, "delete {}", objects(count)),
            Self::Wait { until, timeout } => {
                write!(f, "wait until they are {until}, at most {timeout}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(text: &str) -> Vec<Head> {
        let heads = text.split_whitespace().map(|word| {
            let (version, status) = word.split_once(':').unwrap();
            Head {
                name: "web".to_owned(),
                namespace: "n".to_owned(),
                version: version.parse().unwrap(),
                status: status.to_owned(),
                holder: String::new(),
                is_split: false,
            }
        });
        heads.collect()
    }

    fn told(course: &Course<'_>) -> String {
        let steps: Vec<_> = steps(course).iter().map(ToString::to_string).collect();
        steps
            .join("; ")
            .replace("write down that revision ", "r")
            .replace("the record of revision ", "")
    }

    const MANY: Objects = Objects { applied: 3, deleted: 1 };
    const FEW: Objects = Objects { applied: 1, deleted: 0 };

    /// Records, what is done, records that are kept, at which event hooks run, objects, whether they
    /// are waited for, and the steps.
    type Row = (&'static str, Deed, usize, &'static str, Objects, bool, &'static str);

    fn check(rows: &[Row]) {
        for (known, deed, max_history, event, objects, is_awaited, wanted) in rows {
            let heads = heads(known);
            let hooks =
                ["pre", "post"].map(|when| (format!("{when}-{event}"), format!("Job/{when}")));
            let minute = GoDuration(std::time::Duration::from_secs(60));
            let course = Course {
                deed: *deed,
                heads: &heads,
                max_history: *max_history,
                hooks: &hooks,
                objects: *objects,
                wait: is_awaited.then_some(minute),
            };
            assert_eq!(told(&course), *wanted, "{known} {deed:?}");
        }
    }

    #[test]
    fn a_revision_is_written_down_before_and_after() {
        check(&[
            (
                "",
                Deed::Install,
                10,
                "",
                MANY,
                false,
                "r1 is pending-install; apply 3 objects; delete 1 object; r1 is deployed",
            ),
            (
                "3:failed 2:deployed 1:superseded",
                Deed::Upgrade(2),
                3,
                "upgrade",
                MANY,
                true,
                "delete 1; r4 is pending-upgrade; run pre-upgrade: Job/pre; apply 3 objects; delete 1 object; wait until they are ready, at most 1m0s; run post-upgrade: Job/post; r2 is superseded; r4 is deployed",
            ),
            // What is upgraded had failed.
            (
                "1:failed",
                Deed::Upgrade(1),
                0,
                "",
                Objects::default(),
                false,
                "r2 is pending-upgrade; r1 is superseded; r2 is deployed",
            ),
            (
                "3:failed 2:deployed 1:superseded",
                Deed::Rollback,
                10,
                "rollback",
                FEW,
                false,
                "r4 is pending-rollback; run pre-rollback: Job/pre; apply 1 object; run post-rollback: Job/post; r2 is superseded; r4 is deployed",
            ),
        ]);
    }

    #[test]
    fn a_release_goes_before_its_records() {
        check(&[
            (
                "2:deployed 1:superseded",
                Deed::Uninstall(false),
                0,
                "delete",
                MANY,
                true,
                "run pre-delete: Job/pre; r2 is uninstalling; delete 1 object; wait until they are gone, at most 1m0s; run post-delete: Job/post; delete 2, 1",
            ),
            (
                "2:failed 1:deployed",
                Deed::Uninstall(true),
                0,
                "upgrade",
                MANY,
                false,
                "r2 is uninstalling; delete 1 object; r1 is superseded; r2 is uninstalled",
            ),
            (
                "2:uninstalled 1:superseded",
                Deed::Uninstall(false),
                0,
                "delete",
                MANY,
                true,
                "delete 2, 1",
            ),
        ]);
    }
}
