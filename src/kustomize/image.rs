//! Other images for containers.
//!
//! Source: sigs.k8s.io/kustomize/api v0.21.1 filters/imagetag, filters/fieldspec,
//! internal/image/image.go.

use regex::bytes::Regex;

use super::error::{Error, require};
use super::resource::Resource;
use crate::api::Image;
use crate::template::go_regex;
use crate::yaml::layout::{Kind, Node};

/// Lists whose items have an image, wherever they stand.
const LISTS: [&str; 2] = ["containers", "initContainers"];
/// Where images stand besides. `[]` marks a list.
const PATHS: [&[&str]; 6] = [
    &["spec", "containers[]", "image"],
    &["spec", "initContainers[]", "image"],
    &["spec", "volumes[]", "image", "reference"],
    &["spec", "template", "spec", "containers[]", "image"],
    &["spec", "template", "spec", "initContainers[]", "image"],
    &["spec", "template", "spec", "volumes[]", "image", "reference"],
];

/// What a rule says of one image.
struct Rule<'a> {
    image: &'a Image,
    name: Regex,
}

/// Changes the images of all objects; those in definitions of kinds are left alone.
///
/// # Errors
/// A name is no expression, or what should be an image is none.
pub(super) fn set(resources: &mut [Resource], image: &Image) -> Result<(), Error> {
    let expression =
        format!("^{}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$", image.name);
    let name = go_regex(&expression).map_err(|_| {
        let why = "runtime error: invalid memory address or nil pointer dereference";
        Error(format!("recovered from kustomize build panic: {why}"))
    });
    let is_asked = |resource: &&mut Resource| resource.kind() != "CustomResourceDefinition";
    let rule = Rule { image, name: name? };
    for resource in resources.iter_mut().filter(is_asked) {
        rule.walk(&mut resource.root)?;
    }
    for resource in resources.iter_mut().filter(is_asked) {
        let id = resource.id();
        for path in PATHS {
            let what = format!("considering field '{}' of object {id}", path.join("/"));
            rule.follow(&mut resource.root, path).map_err(|error| error.doing(&what))?;
        }
    }
    Ok(())
}

impl Rule<'_> {
    fn walk(&self, node: &mut Node) -> Result<(), Error> {
        match node.kind {
            Kind::Mapping => {
                for pair in node.content.chunks_exact_mut(2) {
                    let [key, value] = pair else { continue };
                    self.walk(value)?;
                    if LISTS.contains(&key.value.as_str()) && value.kind == Kind::Sequence {
                        value.content.iter_mut().try_for_each(|item| self.item(item))?;
                    }
                }
                Ok(())
            }
            Kind::Sequence => node.content.iter_mut().try_for_each(|item| self.walk(item)),
            Kind::Scalar | Kind::Alias => Ok(()),
        }
    }

    fn item(&self, item: &mut Node) -> Result<(), Error> {
        require(item, Kind::Mapping)?;
        item.field_mut("image").map_or(Ok(()), |image| self.change(image))
    }

    /// Follows a path to an image, if there is one.
    fn follow(&self, node: &mut Node, path: &[&str]) -> Result<(), Error> {
        let Some((name, rest)) = path.split_first() else { return self.change(node) };
        if node.is_null() {
            return Ok(());
        }
        match node.kind {
            Kind::Sequence => node.content.iter_mut().try_for_each(|i| self.follow(i, path)),
            Kind::Mapping => {
                let (name, is_list) = name.strip_suffix("[]").map_or((*name, false), |n| (n, true));
                let Some(field) = node.field_mut(name) else { return Ok(()) };
                if is_list && field.is_null() {
                    *field = Node { kind: Kind::Sequence, ..Node::default() };
                }
                self.follow(field, rest)
            }
            Kind::Scalar | Kind::Alias => {
                Err(Error("expected sequence or mapping node".to_owned()))
            }
        }
    }

    fn change(&self, node: &mut Node) -> Result<(), Error> {
        require(node, Kind::Scalar)?;
        if self.name.is_match(node.value.as_bytes()) {
            node.value = renamed(&node.value, self.image);
            node.tag.clear();
        }
        Ok(())
    }
}

fn renamed(old: &str, image: &Image) -> String {
    let (name, tag, digest) = split(old);
    let name = if image.new_name.is_empty() { name } else { &image.new_name };
    // Either of them takes the place of both.
    let (tag, digest) = match (image.new_tag.as_str(), image.digest.as_str()) {
        ("", "") => (tag, digest),
        (tag, digest) => (tag, digest),
    };
    let mut text = name.to_owned();
    for (sign, part) in [(':', tag), ('@', digest)] {
        if !part.is_empty() {
            text.push(sign);
            text.push_str(part);
        }
    }
    text
}

/// `registry:5000/name:tag@digest` → name, tag, digest.
fn split(image: &str) -> (&str, &str, &str) {
    let from = image.find('/').unwrap_or(0);
    let find = |sign: char| image[from..].find(sign).map(|at| at + from);
    match (find(':'), find('@')) {
        (None, None) => (image, "", ""),
        (colon, Some(at)) if colon.is_none_or(|colon| at < colon) => {
            (&image[..at], "", &image[at + 1..])
        }
        (Some(colon), Some(at)) => (&image[..colon], &image[colon + 1..at], &image[at + 1..]),
        (Some(colon), None) => (&image[..colon], &image[colon + 1..], ""),
        // Handled above: without a colon a digest comes first.
        (None, Some(at)) => (&image[..at], "", &image[at + 1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_taken_apart() {
        for (image, wanted) in [
            ("nginx", ("nginx", "", "")),
            ("nginx:1.2", ("nginx", "1.2", "")),
            ("reg:5000/nginx", ("reg:5000/nginx", "", "")),
            ("reg:5000/nginx:1@sha256:a", ("reg:5000/nginx", "1", "sha256:a")),
            ("nginx@sha256:a", ("nginx", "", "sha256:a")),
        ] {
            assert_eq!(split(image), wanted, "{image}");
        }
    }
}
