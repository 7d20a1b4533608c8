//! Rows played against an API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};

use super::plain::plain;
use super::row::Row;
use crate::support::api::Api;
use crate::support::wait::{SOON, until};

/// A namespace, what was kept, and the watches that are open.
pub(super) struct Player {
    api: Api,
    namespace: String,
    kept: BTreeMap<String, String>,
    watches: BTreeMap<String, Watched>,
}

/// The events of a watch so far.
type Watched = Arc<Mutex<Vec<Value>>>;

impl Player {
    /// Makes a namespace and waits until all that every namespace gets is there.
    pub(super) async fn new(api: Api, subject: &str) -> Self {
        let namespace = api.create_namespace(&subject.replace('_', "-")).await;
        for path in ["configmaps/kube-root-ca.crt", "serviceaccounts/default"] {
            let path = format!("/api/v1/namespaces/{namespace}/{path}");
            until("the namespace is complete", SOON, async || api.get(&path).await).await;
        }
        let kept = BTreeMap::from([("ns".to_owned(), namespace.clone())]);
        Self { api, namespace, kept, watches: BTreeMap::new() }
    }

    /// Plays a row and returns what it showed, without what differs by nature.
    pub(super) async fn play(&mut self, row: &Row) -> Result<Value, String> {
        let shown = if let Some(name) = &row.watch {
            self.open(row, name).await?
        } else if let Some(name) = &row.events {
            self.events(row, name).await?
        } else if let Some((name, order)) = &row.sees {
            self.sees(name, order).await?
        } else if row.until.is_empty() {
            self.send(row).await?
        } else {
            self.ask(row).await?
        };
        for (name, pointer) in &row.keep {
            let found = shown["body"].pointer(pointer).and_then(Value::as_str);
            let found = found.ok_or_else(|| format!("no {pointer} to keep in {shown}"))?;
            self.kept.insert(name.clone(), found.to_owned());
        }
        let shown = plain(&shown, &self.namespace);
        if row.only.is_empty() {
            return Ok(shown);
        }
        let parts = row.only.iter().map(|pointer| {
            let found = shown["body"].pointer(pointer).cloned().unwrap_or_default();
            (pointer.clone(), found)
        });
        Ok(json!({"code": shown["code"], "parts": parts.collect::<serde_json::Map<_, _>>()}))
    }

    fn filled(&self, text: &str) -> String {
        let mut text = text
            .replace("{ns}", "/api/v1/namespaces/$ns")
            .replace("{apps}", "/apis/apps/v1/namespaces/$ns")
            .replace("{batch}", "/apis/batch/v1/namespaces/$ns");
        for (name, value) in self.kept.iter().rev() {
            text = text.replace(&format!("${name}"), value);
        }
        text
    }

    fn request(&self, row: &Row) -> Result<http::Request<Body>, String> {
        let line = self.filled(&row.send);
        let (method, path) = line.split_once(' ').ok_or("`send` is METHOD /path")?;
        let mut body = row.body.clone();
        if let Some((pointer, length)) = &row.fill {
            *body.pointer_mut(pointer).ok_or("nothing to fill")? = "x".repeat(*length).into();
        }
        let text = match (&row.raw, body) {
            (Some(raw), _) => self.filled(raw),
            (None, Value::Null) => String::new(),
            (None, body) => self.filled(&body.to_string()),
        };
        let media = match row.r#type.as_str() {
            "" | "json" => "application/json",
            "yaml" => "application/yaml",
            "merge" => "application/merge-patch+json",
            "json-patch" => "application/json-patch+json",
            "strategic" => "application/strategic-merge-patch+json",
            "apply" => "application/apply-patch+yaml",
            other => other,
        };
        let mut request = http::Request::builder().method(method).uri(path);
        request = request.header("user-agent", "contract/1.0");
        if !text.is_empty() {
            request = request.header("content-type", media);
        }
        for (name, value) in &row.headers {
            request = request.header(name, self.filled(value));
        }
        request.body(Body::from(text.into_bytes())).map_err(|error| error.to_string())
    }

    async fn send(&self, row: &Row) -> Result<Value, String> {
        let sent = tokio::time::timeout(SOON, self.exchange(row)).await;
        sent.unwrap_or_else(|_| Err("the answer never ended".to_owned()))
    }

    async fn exchange(&self, row: &Row) -> Result<Value, String> {
        let answer = self.api.client().send(self.request(row)?).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let mut shown = json!({"code": answer.status().as_u16()});
        let warnings = answer.headers().get_all("warning").iter();
        let warnings: Vec<_> = warnings.filter_map(|value| value.to_str().ok()).collect();
        if !warnings.is_empty() {
            shown["warnings"] = json!(warnings);
        }
        let bytes = answer.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
        let text = || json!(String::from_utf8_lossy(&bytes));
        shown["body"] = serde_json::from_slice(&bytes).unwrap_or_else(|_| text());
        Ok(shown)
    }

    /// Asks until the answer is as wanted.
    async fn ask(&self, row: &Row) -> Result<Value, String> {
        let wanted = self.wanted(&row.until);
        let asked = tokio::time::timeout(SOON, async {
            loop {
                let shown = self.send(row).await?;
                if holds(&shown, &wanted) || holds(&shown["body"], &wanted) {
                    return Ok::<_, String>(shown);
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        });
        match asked.await {
            Ok(shown) => shown,
            Err(_) => Err(format!("never held {wanted:?}; last: {}", self.send(row).await?)),
        }
    }

    fn wanted(&self, until: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        let filled = |value: &Value| match value {
            Value::String(text) => Value::String(self.filled(text)),
            other => other.clone(),
        };
        until.iter().map(|(pointer, value)| (pointer.clone(), filled(value))).collect()
    }

    /// Opens a watch; what it says is read in the background.
    async fn open(&mut self, row: &Row, name: &str) -> Result<Value, String> {
        let answer = self.api.client().send(self.request(row)?).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let code = answer.status().as_u16();
        let events = Watched::default();
        self.watches.insert(name.to_owned(), Arc::clone(&events));
        tokio::spawn(async move {
            let mut stream = answer.into_body().into_data_stream();
            let mut rest = Vec::new();
            while let Some(Ok(bytes)) = stream.next().await {
                rest.extend_from_slice(&bytes);
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    let event = serde_json::from_slice(&line).unwrap_or_default();
                    events.lock().unwrap().push(event);
                }
            }
            events.lock().unwrap().push(json!({"type": "end of the stream"}));
        });
        Ok(json!({ "code": code }))
    }

    fn seen(&self, name: &str) -> Vec<Value> {
        self.watches.get(name).map(|watch| watch.lock().unwrap().clone()).unwrap_or_default()
    }

    /// Returns the events of a watch up to the first that is as wanted.
    async fn events(&self, row: &Row, name: &str) -> Result<Value, String> {
        let wanted = self.wanted(&row.until);
        let found = tokio::time::timeout(SOON, async {
            loop {
                let seen = self.seen(name);
                if let Some(at) = seen.iter().position(|event| holds(event, &wanted)) {
                    return seen[..=at].to_vec();
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        });
        let found = found.await.map_err(|_| format!("only these: {:?}", self.seen(name)))?;
        Ok(json!({"code": 200, "body": found}))
    }

    /// Waits until a watch has shown these states in this order.
    async fn sees(&self, name: &str, order: &[BTreeMap<String, Value>]) -> Result<Value, String> {
        let order: Vec<_> = order.iter().map(|wanted| self.wanted(wanted)).collect();
        // Quick steps may be one: an event can hold several of them.
        let complete = |seen: &[Value]| {
            let mut at = 0;
            order.iter().position(|wanted| {
                let next = seen[at..].iter().position(|event| holds(event, wanted));
                at += next.unwrap_or_default();
                next.is_none()
            })
        };
        let found = tokio::time::timeout(SOON, async {
            while complete(&self.seen(name)).is_some() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        });
        if found.await.is_err() {
            let seen = self.seen(name);
            let missing = complete(&seen).map(|at| &order[at]);
            let states = seen.iter().map(|event| {
                format!(
                    "{} {} {}",
                    event["type"], event["object"]["metadata"]["name"], event["object"]["status"]
                )
            });
            return Err(format!(
                "never saw {missing:?} in:\n      {}",
                states.collect::<Vec<_>>().join("\n      ")
            ));
        }
        Ok(json!({"sees": order}))
    }
}

/// Whether a value has these at these pointers.
fn holds(value: &Value, wanted: &BTreeMap<String, Value>) -> bool {
    wanted.iter().all(|(pointer, wanted)| {
        let found = value.pointer(pointer);
        // A number stands for a length where there is a list.
        match (found, wanted) {
            (Some(Value::Array(items)), Value::Number(count)) => {
                Some(items.len() as u64) == count.as_u64()
            }
            (None, Value::Null) => true,
            (found, wanted) => found == Some(wanted),
        }
    })
}
