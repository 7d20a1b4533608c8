//! A chart of one template, rendered by the library itself: the other side of the judge.

use leadsman::base::content::Content;
use leadsman::template::{Context, Frozen, Program, ReleaseInfo, Scope, TemplateFile};
use leadsman::yaml::Value;

/// The chart `vec` and what its template is rendered with, as release `rel` in namespace `prod`.
pub(crate) struct Single<'a> {
    /// What `.Chart` holds.
    pub(crate) chart: Value,
    /// What `.Files` holds, by name.
    pub(crate) files: &'a [(&'a str, &'a str)],
    pub(crate) values: &'a Value,
    /// The version of Kubernetes; empty for Helm's own.
    pub(crate) kube: &'a str,
}

impl Single<'_> {
    /// Renders `templates/out.yaml`; an error is the text that Helm would print.
    pub(crate) fn render(self, template: &str) -> Result<String, String> {
        let scopes = [Scope {
            path: "vec".into(),
            name: "vec".into(),
            parent: None,
            chart: self.chart,
            files: self.files.iter().map(content).collect(),
            library: false,
        }];
        let file = TemplateFile {
            name: "vec/templates/out.yaml".into(),
            text: template.to_owned().into(),
            scope: 0,
        };
        let program = Program::compile(vec![file], &scopes).map_err(|error| error.to_string())?;
        let (name, namespace) = ("rel".into(), "prod".into());
        let release = ReleaseInfo { name, namespace, revision: 1, is_upgrade: false };
        let capabilities = leadsman::release::offline(self.kube, &[]).unwrap();
        let context = Context {
            scopes: &scopes,
            values: &Frozen::new(self.values),
            release: &release,
            capabilities: &capabilities,
            lookup: None,
            lenient: false,
            limits: leadsman::base::limit::Limits::default(),
            hosts: None,
        };
        let rendered = program.render(&context).map_err(|error| error.to_string())?;
        Ok(rendered.into_iter().next().map(|file| file.text).unwrap_or_default())
    }
}

fn content((name, text): &(&str, &str)) -> (String, Content) {
    ((*name).to_owned(), bytes::Bytes::copy_from_slice(text.as_bytes()).into())
}
