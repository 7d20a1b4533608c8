//! `-f` and the family of `--set`, beside the real Helm.

use crate::support::helm::{Helm, error_of};
use crate::support::leadsman::Leadsman;

const BASE: &str = "a: 1\nlist: [one, two]\ntable: {x: 1, y: {z: true}}\ntext: t\nempty: {}\n";

/// Flags, separated by blanks (`␣` is a blank inside one).
#[rustfmt::skip]
const ROWS: &[&str] = &[
    // Scalars.
    "--set a=1", "--set a=-5", "--set a=+5", "--set a=0", "--set a=01", "--set a=1.5", "--set a=1e5",
    "--set a=99999999999999999999", "--set a=true", "--set a=FALSE", "--set a=Null", "--set a=null",
    "--set a=", "--set a=,b=2", "--set a=1,", "--set a==", "--set a=x=y", "--set a=␣1", "--set ␣a=1",
    "--set a=1,␣b=2", "--set a=yes", "--set a=~", "--set a=9223372036854775807", "--set a=9223372036854775808",
    "--set a=é", "--set ü.ö=ä", "--set", "--set ,", "--set ,a=1", "--set a=1,,b=2", "--set a=\\", "--set \\a=1",
    // Keys.
    r"--set a\.b=c", r"--set a=b\,c", r"--set a\=b=c", r"--set a\\b=c", r"--set a\[0\]=1", "--set a]=1",
    "--set new.b.c=x", "--set table.x=2,table.y.z=null", "--set table=null", "--set table=5", "--set =1",
    "--set .a=1", "--set a.=1", "--set new.=1", "--set a..b=1", "--set text.b=1", "--set a", "--set new,b=1",
    "--set a.b", "--set new.b", "--set new.b,c=1", "--set table.new",
    // Lists.
    "--set n={1,b,true,null,,x}", "--set n={}", "--set n={,}", r"--set n={1\,2,3}", "--set n={␣1␣,␣2␣}",
    "--set n={1", "--set n={x}y", "--set n={x},b=1", "--set n=[1,2]", "--set list[1]=x", "--set list[3]=x",
    "--set list[0].k=v", "--set list[0][1]=v", "--set n[0][1]=x", "--set n[1].b=1", "--set n[0]=1,n[2]=3",
    "--set n[0].b.c=1,n[0].b.d={1}", "--set n[x]=1", "--set n[]=1", "--set n[-1]=1", "--set n[0]x=1",
    "--set n[70000]=1", "--set n[65536", "--set n[=1", "--set n[0]", "--set n[0].x", "--set n[0]=", "--set n[0]={1}",
    "--set a[0]=1", "--set table[0]=1", "--set list.x=1", "--set n[␣0]=1", "--set n[+1]=1", "--set n[00]=1",
    "--set n[0].a=1,n[0].b=2,n[1].a=3", "--set n[1]=null", "--set n[99999999999999999999]=1",
    "--set list[0]=null,list[1].a.b[2]=3", "--set n={{a},{b}}", "--set n[0]={a,b},n[1]={c}", "--set n={a=b,c.d}",
    "--set x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x=1",
    "--set x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x=1",
    // Text.
    "--set-string a=1", "--set-string a=true,b=null", "--set-string a={1,null}", "--set-string a=", "--set-string a",
    "--set-string n[1]=0", "--set-string n[0].a=1,n[0].b=2", r"--set-string a=1\,2",
    // JSON.
    r#"--set-json a=1,b=[1,2],c={"x":null}"#, "--set-json a=", "--set-json a=,b=1", "--set-json a=foo",
    r#"--set-json a="x,y",b=true"#, "--set-json a=1,␣b=2", r#"--set-json {"a":1,"table":{"x":{"q":[1,null]}}}"#,
    r#"--set-json ␣{"a":null}␣"#, r#"--set-json {"a":"#, r#"--set-json []"#, "--set-json a", "--set-json n[1]={}",
    r#"--set-json list[0]={"k":1}"#, r#"--set-json table.x={"n":1.5}"#, "--set-json a=1␣x", "--set-json a=1x",
    "--set-json a=12345678901234567890", "--set-json a=1e400", r#"--set-json {"a":1}x"#, "--set-json a=␣1␣,b=␣[2]",
    r#"--set-json table={"new":1}"#, "--set-json n[0].a=1,n[0].b=2", "--set-json a=[1,2", r#"--set-json {"a":1,"a":{"b":2}}"#,
    r#"--set-json a.b={"x":1}"#, "--set-json", "--set-json ␣", "--set-json n[0][1]=[1]", "--set-json .a=1", "--set-json a={}",
    // Files.
    "--set-file a=one.txt", "--set-file a=one.txt,table.x=two.txt", "--set-file a=nowhere.txt", "--set-file a=",
    "--set-file a", "--set-file n[1]=two.txt", "--set-file n={one.txt,two.txt}", "--set-file n[0].k=one.txt",
    "--set-file a=folder", "--set-file a=one.txt,b=", "--set-file a=empty.txt", "--set-file n={one.txt,nowhere}",
    // Literals.
    "--set-literal a=1,b=2", r"--set-literal a.b\.c=x", "--set-literal a=", r"--set-literal a={1,\n}",
    "--set-literal a", "--set-literal n[1]=x,y", "--set-literal new.b=c.d=e[0]", "--set-literal a,b=1",
    "--set-literal n[0].a=b,c", "--set-literal =x", "--set-literal list[0]=", "--set-literal n[0][1]=q", "--set-literal table.y.z={",
    // Order between kinds, and files.
    "--set-literal a=5 --set-file a=one.txt --set-string a=3 --set a=2 --set-json a=1",
    "--set-file a=one.txt --set-string a=3 --set a=2 --set-json a=1", "--set-string a=3 --set a=2 --set-json a=1",
    "--set a=2 --set-json a=1", "--set a=2 --set a=3", "--set n[0]=1 --set-string n[1]=2 --set-json n[2]=3",
    "--set new.a=1 -f more.yaml", "-f more.yaml -f base.yaml", "-f more.yaml,base.yaml", "-f nowhere.yaml", "-f bad.yaml",
    "-f list.yaml", "-f empty.txt", "-f more.yaml --set-json {\"new\":{\"b\":[]}} --set new.c=1", "-f folder",
    "-f two.yaml --set more[1].x=2", "--set-json table=null --set table.x=1", "--set table=null --set table.x=1",
];

#[tokio::test(flavor = "multi_thread")]
async fn flags_give_the_values_that_they_give_helm() {
    let Some(helm) = Helm::find() else { return };
    let ours = Leadsman::new();
    let files = [
        ("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"),
        ("c/values.yaml", BASE),
        ("c/templates/values.yaml", "kind: Values\ndata:\n{{ .Values | toYaml | indent 2 }}\n"),
        ("base.yaml", BASE),
        ("more.yaml", "new: {a: [1], b: 2}\nlist: [three]\ntable: {x: null}\n"),
        ("two.yaml", "more: [1]\n---\nmore: [2, {y: 1}]\n"),
        ("bad.yaml", "a: @x\n"),
        ("list.yaml", "- a\n"),
        ("one.txt", "one\n"),
        ("two.txt", "{two: 2}"),
        ("empty.txt", ""),
        ("folder/file", ""),
    ];
    for (name, text) in files {
        ours.file(name, text);
    }
    let mut failures = Vec::new();
    for row in ROWS {
        let mut arguments = vec!["template".to_owned(), "r".to_owned(), "c".to_owned()];
        arguments.extend(row.split(' ').map(|word| word.replace('␣', " ")));
        // A flag alone is one with an empty value.
        if row.split(' ').count() == 1 {
            arguments.push(String::new());
        }
        let mut command = helm.command(&arguments);
        command.current_dir(ours.folder());
        let wanted = command.output().unwrap();
        let (wanted_out, wanted_err) = (
            String::from_utf8_lossy(&wanted.stdout),
            error_of(&String::from_utf8_lossy(&wanted.stderr)),
        );
        let seen = ours.run(&arguments).await;
        let seen_err = error_of(&seen.stderr);
        if (seen.code, &*seen.stdout, &seen_err)
            != (wanted.status.code(), &*wanted_out, &wanted_err)
        {
            failures.push(format!(
                "{row}\n  ours: {:?} {:?} {seen_err}\n  helm: {:?} {wanted_out:?} {wanted_err}",
                seen.code,
                seen.stdout,
                wanted.status.code()
            ));
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}
