//! What stands below an error: Helm's line stays what it is.

use crate::support::helm::{Helm, error_of};
use crate::support::leadsman::Leadsman;

const DEFINITION: &str = "apiVersion: v2\nname: c\nversion: 1.0.0\n";
const VALUES: &str = "image:\n  tag: v1\nnothing:\nport: 80\ndb:\n  password: s3cr3t\n  user: me\n";

/// Writes the chart `c` with these templates.
fn chart(leadsman: &Leadsman, files: &[(&str, &str)]) {
    leadsman.file("c/Chart.yaml", DEFINITION);
    leadsman.file("c/values.yaml", VALUES);
    for (name, text) in files {
        leadsman.file(&format!("c/{name}"), text);
    }
}

/// Runs `template --debug` and returns what stands below the error.
async fn below(files: &[(&str, &str)], arguments: &[&str]) -> String {
    let leadsman = Leadsman::new();
    chart(&leadsman, files);
    leadsman.file("v.yaml", "# mine\nimage:\n  tga: v2\nport:\n");
    let all = [&["template", "r", "c", "--debug"], arguments].concat();
    let output = leadsman.run(&all).await;
    assert_eq!(output.code, Some(1), "{}", output.stdout);
    let (first, below) = output.stderr.split_once("\n\n").unwrap_or((&output.stderr, ""));
    assert!(first.starts_with("Error: "), "{}", output.stderr);
    below.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_place_the_way_and_the_value_are_told() {
    let helpers = "{{ define \"a\" }}{{ include \"b\" . }}{{ end }}\n{{- define \"b\" }}\n  {{ required \"no tag\" .Values.image.tga | quote }}{{ end }}";
    let told = below(
        &[("templates/_h.tpl", helpers), ("templates/x.yaml", "x:\n{{ include \"a\" . }}")],
        &[],
    )
    .await;
    assert_eq!(
        told,
        "c/templates/_h.tpl:3:5, in template \"b\"\n  |\n3 |   {{ required \"no tag\" .Values.image.tga | quote }}{{ end }}\n  |      ^\n  \
         called at c/templates/_h.tpl:1:19, in template \"a\": include \"b\" .\n  \
         called at c/templates/x.yaml:2:3: include \"a\" .\n\n\
         .Values.image.tga is set nowhere; similar: tag\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_told_with_their_source() {
    #[rustfmt::skip]
    let rows: &[(&str, &[&str], &str)] = &[
        ("{{ fail (print .Values.port) }}", &[], ".Values.port is 80 (number), set by c/values.yaml:4"),
        ("{{ fail (print .Values.port) }}", &["--set", "port=x"], ".Values.port is \"x\" (text), set by --set"),
        ("{{ fail (print .Values.image.tga) }}", &["-f", "v.yaml"], ".Values.image.tga is \"v2\" (text), set by v.yaml:3"),
        ("{{ fail (print .Values.port) }}", &["-f", "v.yaml"], ".Values.port was deleted by null in v.yaml:4 (c/values.yaml:4)"),
        ("{{ .Values.nothing.x.y }}", &[], ".Values.nothing is set nowhere"),
        ("{{ .Values.port.x }}", &[], ".Values.port is 80 (number), set by c/values.yaml:4: it has no \"x\""),
        ("{{ index .Values \"image\" \"tag\" | fail }}", &[], ".Values.image.tag is \"v1\" (text), set by c/values.yaml:2"),
        ("{{ fail (print .Values.db.password) }}", &[], ".Values.db.password is a text (not shown), set by c/values.yaml:6"),
        ("{{ fail (print .Values.db) }}", &[], ".Values.db is a map with password, user, set by c/values.yaml:5"),
        ("{{ fail (print $.Values.port $.Values.db.user) }}", &[], ".Values.port is 80 (number), set by c/values.yaml:4\n.Values.db.user is \"me\" (text), set by c/values.yaml:7"),
    ];
    let mut wrong = Vec::new();
    for (template, arguments, want) in rows {
        let told = below(&[("templates/x.yaml", template)], arguments).await;
        if told.split_once("\n\n").map(|(_, values)| values.trim_end()) != Some(want) {
            wrong.push(format!("{template}\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_dependencies_are_told_with_their_source() {
    let leadsman = Leadsman::new();
    chart(
        &leadsman,
        &[
            ("values.yaml", "d:\n  a: 1\n"),
            ("charts/d/Chart.yaml", "apiVersion: v2\nname: d\nversion: 1.0.0\n"),
            ("charts/d/values.yaml", "a: 0\nb: 2\n"),
            ("charts/d/templates/x.yaml", "{{ fail (print .Values.a .Values.b) }}"),
        ],
    );
    let output = leadsman.run(&["template", "r", "c", "--debug"]).await;
    assert!(
        output.stderr.ends_with(
            ".Values.a is 1 (number), set by c/values.yaml:2\n\
             .Values.b is 2 (number), set by c/charts/d/values.yaml:2\n"
        ),
        "{}",
        output.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_template_no_yaml_and_no_fit_is_shown() {
    let told = below(&[("templates/x.yaml", "a: 1\nb: {{ if }}x\n")], &[]).await;
    assert_eq!(told, "c/templates/x.yaml:2\n  |\n2 | b: {{ if }}x\n  |\n");

    let text = "kind: A\n---\nkind: B\nname: x\ntoken: abc\n  bad: {{ 1 }}\nafter: 1\n";
    let told = below(&[("templates/x.yaml", text)], &[]).await;
    assert_eq!(
        told,
        "rendered by c/templates/x.yaml:\n  1 | kind: B\n  2 | name: x\n  3 | token: …\n> 4 |   bad: 1\n  5 | after: 1\n"
    );

    let schema = r#"{"additionalProperties": false, "required": ["user"],
        "properties": {"image": {"properties": {"tag": {"type": "integer"}}}, "nothing": {}, "port": {}, "db": {}}}"#;
    let told = below(&[("values.schema.json", schema)], &["--set", "prot=1"]).await;
    let lines: Vec<_> = told.lines().filter(|line| line.contains(" is ")).collect();
    let mut lines: Vec<_> = lines.into_iter().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            "image.tag is \"v1\" (text), set by c/values.yaml:2",
            "prot is 1 (number), set by --set",
            "user is set nowhere"
        ],
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lint_tells_the_same_of_each_chart() {
    let leadsman = Leadsman::new();
    let helpers = "{{ define \"a\" }}{{ .Values.port.x }}{{ end }}";
    chart(
        &leadsman,
        &[("templates/_h.tpl", helpers), ("templates/x.yaml", "x: {{ include \"a\" . }}")],
    );
    leadsman.file("d/Chart.yaml", &DEFINITION.replace("name: c", "name: d"));
    leadsman.file("d/templates/x.yaml", "kind: A\n---\nkind: B\n  token: {{ 1 }}\n");
    let output = leadsman.run(&["lint", "c", "--set", "port=1", "--debug"]).await;
    let told = "c/templates/_h.tpl:1:26, in template \"a\"\n  |\n1 | {{ define \"a\" }}{{ .Values.port.x }}{{ end }}\n  |                           ^\n  \
                called at c/templates/x.yaml:1:6: include \"a\" .\n\n\
                .Values.port is 1 (number), set by --set: it has no \"x\"\n";
    let summary = |of: u32| format!("Error: {of} chart(s) linted, {of} chart(s) failed\n");
    assert_eq!(output.stderr, format!("{}\n{told}", summary(1)));
    let output = leadsman.run(&["lint", "c", "d", "--set", "port=1", "--debug"]).await;
    let document = "rendered by d/templates/x.yaml:\n  1 | kind: B\n> 2 |   token: …\n";
    assert_eq!(output.stderr, format!("{}\nc:\n{told}\nd:\n{document}", summary(2)));
    let quiet = leadsman.run(&["lint", "c", "--set", "port=1"]).await;
    assert_eq!(quiet.stderr, summary(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_added_where_nobody_asks() {
    let leadsman = Leadsman::new();
    chart(&leadsman, &[("templates/x.yaml", "{{ fail .Values.image.tag }}")]);
    let output = leadsman.run(&["template", "r", "c"]).await;
    assert_eq!(
        output.stderr,
        "Error: execution error at (c/templates/x.yaml:1:3): v1\n\nUse --debug flag to render out invalid YAML\n"
    );
}

/// With `--debug`, both print what was rendered and leave the hint out.
#[tokio::test(flavor = "multi_thread")]
async fn debug_prints_what_it_prints_in_helm() {
    let Some(helm) = Helm::find() else { return };
    let hook = "kind: Job\nmetadata: {name: j, annotations: {helm.sh/hook: pre-install}}\n";
    #[rustfmt::skip]
    let charts: &[&[(&str, &str)]] = &[
        &[("templates/x.yaml", "{{ fail \"no\" }}")],
        &[("templates/x.yaml", "{{ if }}")],
        &[("templates/x.yaml", "kind: {{ .Release.Name }}\n---\na: b: c\n"), ("templates/NOTES.txt", "notes")],
        &[("templates/a.yaml", hook), ("templates/b.yaml", "a: b: c\n\n"), ("templates/empty.yaml", "\n")],
        &[("templates/b.yaml", "- a\n")],
        &[("values.schema.json", r#"{"required": ["x"]}"#)],
        &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\nkubeVersion: '>=99'\n")],
        &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\ntype: library\n")],
        &[("templates/x.yaml", "kind: A\n")],
    ];
    let flags: &[&[&str]] =
        &[&[], &["--no-hooks"], &["-s", "templates/b.yaml"], &["-s", "templates/no.yaml"]];
    let mut wrong = Vec::new();
    for files in charts {
        let leadsman = Leadsman::new();
        chart(&leadsman, files);
        for flags in flags {
            let all = [&["template", "r", "c", "--debug"], *flags].concat();
            let wanted = helm.command(&all).current_dir(leadsman.folder()).output().unwrap();
            let wanted_error = error_of(&String::from_utf8_lossy(&wanted.stderr));
            // Two files come in any order with Helm; the blanks behind the last are cut.
            let sorted = |text: &str| {
                let lines = text.lines().filter(|line| !line.is_empty());
                let mut lines: Vec<String> = lines.map(str::to_owned).collect();
                lines.sort();
                lines
            };
            let seen = leadsman.run(&all).await;
            let seen_error = error_of(&seen.stderr);
            let same = seen.code == wanted.status.code()
                && sorted(&seen.stdout) == sorted(&String::from_utf8_lossy(&wanted.stdout))
                && seen_error.starts_with(&wanted_error)
                && !seen_error.contains("Use --debug");
            if !same {
                wrong.push(format!(
                    "{files:?} {flags:?}\n  ours {:?} {:?} {seen_error}\n  helm {:?} {:?} {wanted_error}",
                    seen.code,
                    seen.stdout,
                    wanted.status.code(),
                    String::from_utf8_lossy(&wanted.stdout)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_are_told_and_can_be_raised() {
    let leadsman = Leadsman::new();
    chart(&leadsman, &[("templates/x.yaml", "kind: A\nx: {{ until 20 | len }}\n")]);
    let run = async |arguments: &[&str]| {
        let output = leadsman.run(&[&["template", "r", "c"], arguments].concat()).await;
        (output.code, output.stdout, output.stderr)
    };
    let (code, _, error) = run(&["--limit", "items=10"]).await;
    assert_eq!(code, Some(1));
    assert!(
        error.contains("c/templates/x.yaml:2:6")
            && error.contains(
                "a list is too long: the limit items is 10 (--limit items=VALUE raises it)"
            ),
        "{error}"
    );
    let (code, out, _) = run(&["--limit", "items=10", "--limit", "items=20"]).await;
    assert!(code == Some(0) && out.contains("x: 20"), "{out}");
    let (code, _, error) = run(&["--limit", "nothing=1"]).await;
    assert!(code == Some(2) && error.contains("no limit is called `nothing`"), "{error}");
    let (code, _, error) = run(&["--limit", "unpacked=100"]).await;
    assert!(
        code == Some(1)
            && error.contains("hint: the limit unpacked is 100 (--limit unpacked=VALUE raises it)"),
        "{error}"
    );
    leadsman.file("v.yaml", "a: 1\nb: 2\n");
    let (code, _, error) = run(&["-f", "v.yaml", "--limit", "values=5"]).await;
    assert!(
        code == Some(1) && error.contains("v.yaml is too large: the limit values is 5"),
        "{error}"
    );

    let of_environment = Leadsman::new().env("LEADSMAN_LIMITS", "steps=1k,items=5");
    chart(&of_environment, &[("templates/x.yaml", "kind: A\nx: {{ until 20 | len }}\n")]);
    let told = of_environment.run(&["template", "r", "c"]).await.stderr;
    assert!(told.contains("the limit items is 5"), "{told}");
    let raised = of_environment.run(&["template", "r", "c", "--limit", "items=20"]).await;
    assert_eq!(raised.code, Some(0), "{}", raised.stderr);
    let bad =
        Leadsman::new().env("LEADSMAN_LIMITS", "steps=many").run(&["template", "r", "c"]).await;
    assert!(bad.code == Some(2) && bad.stderr.contains("LEADSMAN_LIMITS"), "{}", bad.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_looked_up_only_when_allowed() {
    let leadsman = Leadsman::new();
    chart(&leadsman, &[("templates/x.yaml", "a: '{{ getHostByName .Values.host }}'\n")]);
    let run = async |arguments: &[&str]| {
        let output = leadsman.run(&[&["template", "r", "c", "--set"], arguments].concat()).await;
        output.stdout + &output.stderr
    };
    assert!(run(&["host=127.0.0.1"]).await.contains("a: ''"));
    assert!(run(&["host=127.0.0.1", "--enable-dns"]).await.contains("a: '127.0.0.1'"));
    let none = run(&["host=no.such.host.invalid", "--enable-dns"]).await;
    assert!(none.contains("error calling getHostByName: invalid argument to Intn"), "{none}");
}
