//! Stall detection: a wait in which nothing happens any more need not last until its timeout.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::{Unready, WaitError, Waiter};
use crate::base::clock::Timestamp;
use crate::cluster::client::{Cluster, Selection};
use crate::cluster::object::{Object, ObjectId};

impl Waiter<'_> {
    /// No awaited object has changed for long: fails, unless events came about one of them or about
    /// what belongs to it, or nobody could look.
    pub(super) async fn check_quiet(&mut self, unready: Vec<Unready>) -> Result<(), WaitError> {
        let Some(stall) = self.options.rules.stall else { return Ok(()) };
        let now = Instant::now();
        let blind = self.outage.is_some_and(|(_, last)| now - last < stall);
        let since = if blind {
            Some(Duration::ZERO)
        } else {
            last_event(self.cluster, self.clock.now(), &unready).await
        };
        if let Some(since) = since.filter(|since| *since < stall) {
            self.changed = now.checked_sub(since).unwrap_or(now).max(self.changed);
            return Ok(());
        }
        Err(WaitError::Stalled { unready, quiet: stall })
    }
}

/// Returns how long ago the last event came, if any did. Where events cannot be read nobody can
/// tell that it is quiet: then one is taken to have come just now.
async fn last_event(cluster: &Cluster, now: Timestamp, unready: &[Unready]) -> Option<Duration> {
    let namespaces: BTreeSet<&str> =
        unready.iter().map(|unready| unready.id.namespace.as_str()).collect();
    let mut last = None;
    for namespace in namespaces {
        let namespace = if namespace.is_empty() { "default" } else { namespace };
        let listed = cluster.list("v1", "Event", &Selection::namespace(namespace)).await;
        let Ok(events) = listed else { return Some(Duration::ZERO) };
        let events = events.iter().filter(|event| unready.iter().any(|u| is_about(event, &u.id)));
        last = last.max(events.filter_map(time).max());
    }
    // Clocks may differ: what is to come is now.
    Some(now.duration_since(last?).try_into().unwrap_or_default())
}

/// Pods and sets are named after what they belong to.
fn is_about(event: &Object, id: &ObjectId) -> bool {
    let name = event.text("/involvedObject/name");
    let rest = name.strip_prefix(id.name.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn time(event: &Object) -> Option<Timestamp> {
    let places = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/firstTimestamp"];
    places.iter().find_map(|place| event.text(place).parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_belong_to_objects_by_name() {
        let event = |name: &str| Object(json!({"involvedObject": {"name": name}}));
        let id = ObjectId::new("apps/v1", "Deployment", "ns", "web");
        for (name, is) in [("web", true), ("web-5c-x2", true), ("webby", false), ("we", false)] {
            assert_eq!(is_about(&event(name), &id), is, "{name}");
        }
    }

    #[test]
    fn the_time_of_an_event_stands_in_one_of_four_places() {
        let rows = [
            json!({"lastTimestamp": "2026-01-01T00:00:00Z"}),
            json!({"lastTimestamp": null, "eventTime": "2026-01-01T00:00:00.000000Z"}),
            json!({"firstTimestamp": "2026-01-01T00:00:00Z"}),
            json!({"series": {"lastObservedTime": "2026-01-01T00:00:00.000000Z"}, "eventTime": "2025-01-01T00:00:00.000000Z"}),
        ];
        for row in rows {
            let wanted: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
            assert_eq!(time(&Object(row.clone())), Some(wanted), "{row}");
        }
        assert_eq!(time(&Object(json!({}))), None);
    }
}
