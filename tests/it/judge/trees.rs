//! Charts with dependencies put together at random: conditions, tags, aliases, imports, globals, nulls.

use rand::prelude::*;
use serde_json::{Value, json};

use super::as_values;
use super::literals::pick;
use super::whole::Files;

/// Shows the values of a chart and of those in it.
const SHOW: &str = "{{ define \"show\" }}{{ .Chart.Name }} {{ .Chart.Version }} {{ .Chart.IsRoot }} {{ toJson .Chart.Dependencies }}\n{{ toJson .Values }}\n{{ range $name, $chart := .Subcharts }}[{{ $name }}: {{ include \"show\" $chart }}]{{ end }}{{ end }}{{ include \"show\" . }}{{ include \"who\" . }}{{ include \"late\" . }}";

/// Names of charts below the root.
const CHARTS: [&str; 3] = ["a", "b", "c"];

/// Writes charts; the same seed writes the same ones.
pub(super) struct Trees(StdRng);

impl Trees {
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        pick(&mut self.0, of)
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    /// A chart and the user's values.
    pub(super) fn chart(&mut self) -> (Files, Value) {
        let mut files = vec![("templates/out.yaml".to_owned(), SHOW.to_owned())];
        self.write("", "root", &CHARTS, &mut files);
        let values = as_values(self.table(0, true));
        (files, values)
    }

    /// Writes a chart below a folder, with some of those charts in it.
    fn write(&mut self, folder: &str, name: &str, charts: &[&str], files: &mut Files) {
        let kind = if folder.is_empty() || self.chance(90) { "application" } else { "library" };
        let api = self.pick(&["v2", "v2", "v2", "v1"]);
        let mut metadata =
            format!("apiVersion: {api}\nname: {name}\nversion: {}\ntype: {kind}\n", self.version());
        let mut declared = Vec::new();
        let some: Vec<&str> = charts.iter().copied().filter(|_| self.chance(60)).collect();
        for (index, child) in some.iter().enumerate() {
            let inner = format!("{folder}charts/{child}/");
            // Only the first one has others in it.
            let below = if index == 0 && folder.len() < 20 { &charts[1..] } else { &[] };
            self.write(&inner, child, below, files);
            // Helm shares what is in a chart between its copies, and changes it, in any order.
            let most = if below.is_empty() && folder.is_empty() { 2 } else { 1 };
            for _ in 0..self.pick(&[0, 1, 1, 1, 2]).min(most) {
                declared.push(self.dependency(child, &declared));
            }
        }
        if !declared.is_empty() {
            let list = serde_json::to_string(&declared).unwrap();
            if api == "v1" && self.chance(80) {
                let text = format!("dependencies: {list}\n");
                files.push((format!("{folder}requirements.yaml"), text));
            } else {
                metadata.push_str(&format!("dependencies: {list}\n"));
            }
        }
        files.push((format!("{folder}Chart.yaml"), metadata));
        let values = self.table(0, folder.is_empty());
        files.push((format!("{folder}values.yaml"), values.to_string()));
        let helper = format!(
            "{{{{ define \"who\" }}}}who {name} {{{{ .Chart.Name }}}}{{{{ end }}}}{{{{ define \"late\" }}}}{}{{{{ end }}}}",
            self.pick(&["", " ", name])
        );
        files.push((format!("{folder}templates/{}.tpl", self.pick(&["_h", "_a", "x/_h"])), helper));
        if self.chance(40) {
            let change = self.pick(&[
                "{{ $_ := set .Values \"x\" .Chart.Name }}",
                "{{ $_ := set .Values \"seen\" (len .Values) }}",
                "{{ if hasKey .Values \"global\" }}{{ if kindIs \"map\" .Values.global }}{{ $_ := set .Values.global \"by\" .Chart.Name }}{{ end }}{{ end }}",
                "{{ $_ := unset .Values \"s\" }}",
                "{{ $_ := mergeOverwrite .Values (dict \"t\" (dict \"m\" 1)) }}",
                "{{ define \"who\" }}last {{ end }}",
                "x",
            ]);
            files.push((
                format!("{folder}templates/{}.yaml", self.pick(&["z", "b", "d/y"])),
                change.into(),
            ));
        }
    }

    fn version(&mut self) -> &'static str {
        self.pick(&["1.0.0", "1.2.3", "0.1.0", "2.0.0-rc.1", "1.2"])
    }

    fn dependency(&mut self, child: &str, declared: &[Value]) -> Value {
        let range = self.pick(&["", "*", ">=0.0.0-0", "^1", "1.x", "~0.1", "<1 || >1.2", "9.x"]);
        let mut entry = json!({"name": child, "version": range, "repository": "https://h.example"});
        let is_again = declared.iter().any(|other| other["name"] == child);
        if is_again || self.chance(20) {
            entry["alias"] = json!(self.pick(&["al", "bl", "cl", child]));
        }
        if self.chance(35) {
            entry["condition"] = json!(self.pick(&[
                "a.on",
                "b.on",
                "c.on",
                "al.on",
                "on",
                "x.on,a.on",
                "a.on, b.on",
                "global.on",
                "t.on",
                "s",
                "",
                " ",
                "a.on,",
                "t",
                "nope.on,nope",
            ]));
        }
        if self.chance(30) {
            entry["tags"] =
                json!(self.pick(&[&["front"][..], &["back"], &["front", "back"], &["nope"]]));
        }
        if self.chance(30) {
            let mut some: Vec<Value> = Vec::new();
            for _ in 0..self.0.random_range(1..4) {
                let import = self.import();
                if !some.iter().any(|other| may_meet_itself(other, &import)) {
                    some.push(import);
                }
            }
            entry["import-values"] = json!(some);
        }
        entry
    }

    fn import(&mut self) -> Value {
        if self.chance(40) {
            return json!(self.pick(&["e", "f", "nope", "e.x", ""]));
        }
        let child = self.pick(&["t", "exports.e", "t.x", "nope", "s", "global", "default", "l"]);
        let parent = self.pick(&[".", "t", "imp", "imp.x", "s", "global", "a", "b.t"]);
        json!({"child": child, "parent": parent})
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.0.random_range(0..10) {
            0 | 1 => Value::Null,
            2 => json!(self.chance(50)),
            3 => json!(self.0.random_range(0..9)),
            4 | 5 => json!(self.pick(&["x", "", "true", "y z"])),
            6 => json!([self.0.random_range(0..9), {"k": null}]),
            7 => json!({}),
            _ if depth < 3 => self.table(depth + 1, false),
            _ => json!("deep"),
        }
    }

    /// A table; at the top it has parts for other charts.
    fn table(&mut self, depth: usize, is_root: bool) -> Value {
        let mut table = json!({});
        for key in ["s", "t", "x", "l", "n", "on"] {
            if self.chance(if depth == 0 { 40 } else { 25 }) {
                table[key] = self.value(depth);
            }
        }
        if self.chance(30) {
            table["on"] = json!(self.chance(60));
        }
        if depth > 0 {
            return table;
        }
        if self.chance(40) {
            table["t"] = self.table(1, false);
        }
        if self.chance(35) {
            let global = if self.chance(85) { self.table(1, false) } else { self.value(2) };
            table["global"] = global;
        }
        if self.chance(30) {
            table["exports"] = json!({"e": self.table(1, false), "f": self.value(1)});
        }
        if is_root && self.chance(30) {
            table["tags"] = json!({"front": self.tag(), "back": self.tag()});
        }
        for name in ["a", "b", "c", "al", "bl"] {
            if self.chance(30) {
                table[name] = if self.chance(92) { self.below(1) } else { self.value(2) };
            }
        }
        table
    }

    fn tag(&mut self) -> Value {
        if self.chance(85) { json!(self.chance(50)) } else { json!("no") }
    }

    /// What a table says of a chart below.
    fn below(&mut self, depth: usize) -> Value {
        let mut table = self.table(1, false);
        if self.chance(30) {
            table["global"] = self.value(1);
        }
        if self.chance(20) {
            table["exports"] = json!({"e": self.table(2, false)});
        }
        if depth < 3 {
            for name in ["b", "c", "bl"] {
                if self.chance(20) {
                    table[name] =
                        if self.chance(92) { self.below(depth + 1) } else { self.value(2) };
                }
            }
        }
        table
    }
}

/// Whether a table may be taken to a place inside of itself: Go changes it while it walks it then,
/// at random.
fn may_meet_itself(one: &Value, other: &Value) -> bool {
    let ends = |import: &Value| match import.as_str() {
        Some(export) => (format!("exports.{export}"), String::new()),
        None => {
            let path = |key: &str| import[key].as_str().unwrap_or_default();
            let parent = Some(path("parent")).filter(|parent| *parent != ".");
            (path("child").to_owned(), parent.unwrap_or_default().to_owned())
        }
    };
    let leads =
        |from: &str, to: &str| from.is_empty() || to == from || to.starts_with(&format!("{from}."));
    let meet = |one: &str, other: &str| leads(one, other) || leads(other, one);
    let ((from, to), (other_from, other_to)) = (ends(one), ends(other));
    meet(&from, &other_from) && meet(&to, &other_to)
}
