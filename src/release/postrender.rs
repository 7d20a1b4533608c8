//! What a post-renderer is given, and what becomes of its answer; the post-renderers of a
//! `HelmRelease`.
//!
//! Source: helm v4.3.2 pkg/action/action.go (`renderResources`, `annotateAndMerge`,
//! `splitAndDeannotate`), sigs.k8s.io/kustomize/kyaml v0.21.2 yaml/kfns.go,
//! fluxcd/helm-controller internal/postrender.

use std::collections::BTreeMap;

use super::manifest::{self, Read, split};
use super::{Error, Origin};
use crate::api::annotation::{ORIGIN_NAME, ORIGIN_NAMESPACE};
use crate::api::{CommonMetadata, HelmRelease, PostRenderStrategy, PostRenderer};
use crate::kustomize::{customize, label, stream};
use crate::template::Rendered;
use crate::yaml::layout::{self, Document, Kind, Node, Style};

/// The annotation that tells which file a document came from.
const FILE: &str = "postrenderer.helm.sh/postrender-filename";

/// What a `HelmRelease` has done to what is rendered for it.
#[derive(Debug, Clone)]
pub struct PostRendering<'a> {
    renderers: &'a [PostRenderer],
    common: Option<&'a CommonMetadata>,
    origin: Origin,
    strategy: PostRenderStrategy,
}

impl<'a> PostRendering<'a> {
    /// Returns what a release asks for: its post-renderers, then its common metadata, then the
    /// labels that say whose the objects are.
    pub fn of(release: &'a HelmRelease) -> Self {
        Self {
            renderers: release.spec.post_renderers.as_deref().unwrap_or_default(),
            common: release.spec.common_metadata.as_ref(),
            origin: Origin::of(release),
            strategy: release.spec.post_render_strategy,
        }
    }

    /// Post-renders rendered files.
    ///
    /// # Errors
    /// A document is no object, or a patch does not apply; Helm's and kustomize's texts.
    pub fn run(&self, files: Vec<Read>) -> Result<Vec<Read>, Error> {
        let (mut done, files): (Vec<Read>, Vec<Read>) =
            files.into_iter().partition(|read| read.file.name.ends_with("NOTES.txt"));
        let rendered = match self.strategy {
            PostRenderStrategy::Combined => {
                let given: Vec<_> = files.iter().map(|r| (&*r.file.name, &*r.file.text)).collect();
                self.group(&given, Group::All)?
            }
            PostRenderStrategy::Separate | PostRenderStrategy::NoHooks => self.apart(&files)?,
        };
        done.extend(rendered.into_iter().map(manifest::read));
        Ok(done)
    }

    /// Hooks and manifests are post-rendered by themselves, or the manifests alone.
    fn apart(&self, files: &[Read]) -> Result<Vec<Rendered>, Error> {
        let sorted = manifest::sort(files)?;
        let hooks = by_file(sorted.hooks.iter().map(|hook| (&*hook.path, &*hook.manifest)));
        let documents = by_file(sorted.documents.iter().map(|one| (one.path, one.text)));
        let mut rendered = match self.strategy {
            PostRenderStrategy::NoHooks => hooks,
            PostRenderStrategy::Combined | PostRenderStrategy::Separate => {
                self.group(&borrowed(&hooks), Group::Hooks)?
            }
        };
        rendered.extend(self.group(&borrowed(&documents), Group::Manifests)?);
        Ok(by_file(rendered.iter().map(|file| (&*file.name, &*file.text))))
    }

    fn group(&self, files: &[(&str, &str)], group: Group) -> Result<Vec<Rendered>, Error> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let merged = merge_group(files, group)?;
        let text = self.text(merged).map_err(|error| {
            let what = group.word("files");
            Error::Refused(format!("error while running post render on {what}: {error}"))
        })?;
        take_group_apart(&text, group)
    }

    fn text(&self, mut text: String) -> Result<String, crate::kustomize::Error> {
        for asked in self.renderers.iter().filter_map(|renderer| renderer.kustomize.as_ref()) {
            text = customize(&text, asked)?;
        }
        if let Some(CommonMetadata { labels, annotations }) = self.common {
            text = label(&text, labels, annotations)?;
        }
        let own = [(ORIGIN_NAME, &self.origin.name), (ORIGIN_NAMESPACE, &self.origin.namespace)];
        let own = own.map(|(key, text)| (key.to_owned(), text.clone()));
        label(&text, &own.into(), &BTreeMap::new())
    }
}

/// What is post-rendered together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    All,
    Hooks,
    Manifests,
}

impl Group {
    /// Returns how Helm calls it.
    fn word(self, all: &'static str) -> &'static str {
        match self {
            Self::All => all,
            Self::Hooks => "hooks",
            Self::Manifests => "manifests",
        }
    }
}

fn borrowed(files: &[Rendered]) -> Vec<(&str, &str)> {
    files.iter().map(|file| (&*file.name, &*file.text)).collect()
}

/// Joins what came from the same file.
fn by_file<'a>(parts: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Rendered> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for (name, text) in parts {
        let file = files.entry(name.to_owned());
        file.and_modify(|known| {
            known.push_str("\n---\n");
            known.push_str(text);
        })
        .or_insert_with(|| text.to_owned());
    }
    files.into_iter().map(|(name, text)| Rendered { name, text }).collect()
}

/// Returns the documents of rendered files as one stream; each says which file it came from.
///
/// # Errors
/// A document is no YAML, or no map; Helm's texts.
pub fn merge(files: &[(&str, &str)]) -> Result<String, Error> {
    merge_group(files, Group::All)
}

fn merge_group(files: &[(&str, &str)], group: Group) -> Result<String, Error> {
    let mut files: Vec<_> = files.to_vec();
    files.sort_unstable();
    let mut merged = Vec::new();
    for (name, text) in files {
        let base = name.rsplit('/').next().unwrap_or(name);
        if base.starts_with('_') || text.trim().is_empty() {
            continue;
        }
        for document in split(text) {
            let wrong = |doing: &str, why: String| {
                let what = group.word("manifests");
                Error::Refused(format!("error merging {what}: {doing} {name}: {why}"))
            };
            for mut document in parse(document).map_err(|why| wrong("parsing", why))? {
                annotate(&mut document.root, name).map_err(|why| wrong("annotating", why))?;
                merged.push(document);
            }
        }
    }
    Ok(layout::write(&merged))
}

/// Takes the answer of a post-renderer apart into the files that its documents came from.
///
/// # Errors
/// It is no YAML, or no map; Helm's texts.
pub fn take_apart(answer: &str) -> Result<Vec<Rendered>, Error> {
    take_group_apart(answer, Group::All)
}

fn take_group_apart(answer: &str, group: Group) -> Result<Vec<Rendered>, Error> {
    let (of, prefix) = match group {
        Group::All => (String::new(), String::new()),
        Group::Hooks | Group::Manifests => {
            let word = group.word("");
            (format!(" for {word}"), format!("{word}-"))
        }
    };
    let wrong = |why: String| {
        Error::Refused(format!(
            "error while parsing post rendered output{of}: error parsing YAML: {why}"
        ))
    };
    let mut files: BTreeMap<String, Vec<Document>> = BTreeMap::new();
    for (number, mut document) in parse(answer).map_err(wrong)?.into_iter().enumerate() {
        let name = annotations(&document.root).and_then(|all| all.field(FILE));
        let name = match name.map(|node| node.value.as_str()) {
            None | Some("") => format!("generated-by-postrender-{prefix}{number}.yaml"),
            Some(name) => name.to_owned(),
        };
        let root = &mut document.root;
        if let Some(all) = root.field_mut("metadata").and_then(|m| m.field_mut("annotations")) {
            all.remove(FILE);
        }
        clear_empty(root);
        files.entry(name).or_default().push(document);
    }
    let file = |(name, documents): (String, Vec<Document>)| Rendered {
        name,
        text: layout::write(&documents),
    };
    Ok(files.into_iter().map(file).collect())
}

/// Reads the documents of a text; of a list that stands alone its items.
fn parse(text: &str) -> Result<Vec<Document>, String> {
    let mut documents = stream::read(text)?;
    for document in &mut documents {
        require_map(&document.root)?;
        clear_empty(&mut document.root);
    }
    Ok(documents)
}

fn require_map(node: &Node) -> Result<(), String> {
    let found = match node.kind {
        Kind::Mapping => return Ok(()),
        Kind::Scalar => "ScalarNode",
        Kind::Sequence => "SequenceNode",
        Kind::Alias => "AliasNode",
    };
    Err(format!("wrong node kind: expected MappingNode but was {found}"))
}

fn annotations(root: &Node) -> Option<&Node> {
    root.field("metadata")?.field("annotations")
}

/// Removes annotations and metadata that hold nothing.
fn clear_empty(root: &mut Node) {
    let is_empty = |node: Option<&Node>| node.is_some_and(|node| node.content.is_empty());
    if let Some(metadata) = root.field_mut("metadata")
        && is_empty(metadata.field("annotations"))
    {
        metadata.remove("annotations");
    }
    if is_empty(root.field("metadata")) {
        root.remove("metadata");
    }
}

fn annotate(root: &mut Node, name: &str) -> Result<(), String> {
    require_map(root)?;
    let annotations = child(child(root, "metadata"), "annotations");
    let value = Node::scalar(name, Style::Single);
    if let Some(known) = annotations.field_mut(FILE) {
        *known = Node { style: known.style, ..value };
    } else {
        annotations.content.extend([Node::scalar(FILE, Style::Plain), value]);
    }
    Ok(())
}

/// Returns a field that is a map, made where it is missing.
fn child<'a>(parent: &'a mut Node, name: &str) -> &'a mut Node {
    let at = parent.position(name).unwrap_or_else(|| {
        parent.content.extend([Node::scalar(name, Style::Plain), Node::mapping()]);
        parent.content.len() - 1
    });
    &mut parent.content[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_say_where_they_came_from_and_come_back() {
        let files = [
            ("c/templates/b.yaml", "kind: B # x\n---\n\n---\nkind: C\nmetadata: {name: c}\n"),
            ("c/templates/_p.tpl", "no: 1"),
            ("c/templates/a.yaml", "kind: A\nmetadata:\n  annotations:\n    k: v\n  name: a\n"),
        ];
        let merged = merge(&files).unwrap();
        assert_eq!(
            merged,
            "kind: A\nmetadata:\n  annotations:\n    k: v\n    \
             postrenderer.helm.sh/postrender-filename: 'c/templates/a.yaml'\n  name: a\n---\n\
             kind: B # x\nmetadata:\n  annotations:\n    \
             postrenderer.helm.sh/postrender-filename: 'c/templates/b.yaml'\n---\n\
             kind: C\nmetadata: {name: c, annotations: {postrenderer.helm.sh/postrender-filename: \
             'c/templates/b.yaml'}}\n"
        );
        let files = take_apart(&format!("{merged}---\nkind: New\n")).unwrap();
        let files: Vec<_> = files.iter().map(|f| (f.name.as_str(), f.text.as_str())).collect();
        assert_eq!(
            files,
            [
                ("c/templates/a.yaml", "kind: A\nmetadata:\n  annotations:\n    k: v\n  name: a\n"),
                ("c/templates/b.yaml", "kind: B # x\n---\nkind: C\nmetadata: {name: c}\n"),
                ("generated-by-postrender-3.yaml", "kind: New\n"),
            ]
        );
    }
}
