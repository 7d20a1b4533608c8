//! `.gitmodules`: which repositories are in a repository, and where they come from.
//!
//! Source: git Documentation/gitmodules.adoc, Documentation/config.adoc (syntax); go-git v5
//! submodule.go, internal/url/url.go.

use std::collections::HashMap;

use url::Url;

use crate::base::secret::SafeUrl;

/// Name of the file.
pub(super) const FILE: &str = ".gitmodules";

/// Reads the file: addresses as they were written, by path. Of what is not understood nothing is
/// taken.
pub(super) fn read(text: &str) -> HashMap<String, String> {
    let mut modules: HashMap<String, (String, String)> = HashMap::new();
    let mut name = None;
    for line in whole_lines(text) {
        let line = line.trim();
        if line.starts_with('[') {
            name = section(line);
            continue;
        }
        let Some(name) = &name else { continue };
        let Some((key, rest)) = line.split_once('=') else { continue };
        let (path, url) = modules.entry(String::clone(name)).or_default();
        match key.trim().to_ascii_lowercase().as_str() {
            "path" => *path = value(rest),
            "url" => *url = value(rest),
            _ => {}
        }
    }
    let modules = modules.into_values().filter(|(path, url)| !path.is_empty() && !url.is_empty());
    modules.map(|(path, url)| (rooted("", &path), url)).collect()
}

/// Joins lines that end with a backslash with the next ones.
fn whole_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        let ends = line.strip_suffix('\\');
        match lines.last_mut().filter(|_| goes_on) {
            Some(last) => last.push_str(ends.unwrap_or(line)),
            None => lines.push(ends.unwrap_or(line).to_owned()),
        }
        goes_on = ends.is_some();
    }
    lines
}

/// Returns the name in `[submodule "name"]`; none: the section is another one.
fn section(line: &str) -> Option<String> {
    let inner = line.strip_prefix('[')?.split_once(']')?.0;
    let (kind, name) = inner.split_once(char::is_whitespace)?;
    let name = name.trim().strip_prefix('"')?.strip_suffix('"')?;
    kind.eq_ignore_ascii_case("submodule").then(|| name.to_owned())
}

/// Reads a value: parts in quotes are taken as they are, all else ends before a comment.
fn value(text: &str) -> String {
    let (mut out, mut quoted, mut kept) = (String::new(), false, 0);
    let mut rest = text.trim_start().chars();
    while let Some(one) = rest.next() {
        match one {
            '"' => quoted = !quoted,
            '#' | ';' if !quoted => break,
            '\\' => match rest.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => {}
            },
            other => out.push(other),
        }
        if quoted || !one.is_whitespace() {
            kept = out.len();
        }
    }
    out.truncate(kept);
    out
}

/// Returns the address that a text in the file of a repository means.
///
/// # Errors
/// It is none that is fetched; says why.
pub(super) fn address(parent: &SafeUrl, text: &str) -> Result<SafeUrl, String> {
    let parse = |text: &str| text.parse::<SafeUrl>().map_err(|error| error.to_string());
    let before = text.split_once(':').map(|(before, _)| before);
    let is_host = |part: &str| !part.is_empty() && !part.contains('/') && !part.starts_with('.');
    if text.contains("://") {
        let url = parse(text)?;
        return match url.expose().scheme() {
            "http" | "https" | "ssh" => Ok(url),
            other => Err(format!("`{other}://` is not fetched, only https://, http:// and ssh://")),
        };
    }
    if let Some(host) = before.filter(|part| is_host(part)) {
        // `git@host:path`, as scp writes it.
        let path = text[host.len() + 1..].trim_start_matches('/');
        return parse(&format!("ssh://{host}/{path}"));
    }
    if text.starts_with('/') {
        return Err("a path of a machine's own is not fetched: write an address".to_owned());
    }
    let mut url: Url = parent.expose().clone();
    let path = rooted(url.path(), text);
    url.set_path(&format!("/{path}"));
    url.set_query(None);
    Ok(url.into())
}

/// Joins paths; no `..` leads above the root.
pub(crate) fn rooted(base: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_read_as_git_reads_them() {
        let text = "# ours\n[core]\n\tpath = none\n\turl = none\n\
            [submodule \"libs/a\"]\n\tpath = libs/a\n\turl = ../a.git ; beside\n\tbranch = main\n\
            [Submodule \"b\"]\nURL=\"https://x.example/b#c.git\" # more\n  Path = ./b/ \n\
            [submodule \"c\"]\n\tpath = \"c d\"\n\turl = https://x.exam\\\nple/c\n\
            [submodule \"no url\"]\n\tpath = e\n[submodule \"no path\"]\n\turl = f\n";
        let got = read(text);
        let want = [
            ("libs/a", "../a.git"),
            ("b", "https://x.example/b#c.git"),
            ("c d", "https://x.example/c"),
        ];
        let want = want.map(|(path, url)| (path.to_owned(), url.to_owned()));
        assert_eq!(got, want.into());
    }

    #[test]
    fn addresses_are_whole_or_beside_the_repository() {
        let rows = [
            ("https://g.example/org/web.git", "../a.git", Ok("https://g.example/org/a.git")),
            ("https://g.example/org/web.git/", "./a", Ok("https://g.example/org/web.git/a")),
            ("https://g.example/web?x=1", "../../../a", Ok("https://g.example/a")),
            ("ssh://git@g.example:22/org/web", "../a", Ok("ssh://git@g.example:22/org/a")),
            ("https://g.example/web", "http://h.example/a", Ok("http://h.example/a")),
            (
                "https://g.example/web",
                "git@h.example:org/a.git",
                Ok("ssh://git@h.example/org/a.git"),
            ),
            ("https://g.example/web", "h.example:a", Ok("ssh://h.example/a")),
            ("https://g.example/web", "file:///etc", Err("`file://` is not fetched")),
            ("https://g.example/web", "git://h.example/a", Err("`git://` is not fetched")),
            ("https://g.example/web", "/etc", Err("a path of a machine's own")),
            ("https://g.example/web", "https://", Err("")),
        ];
        for (parent, text, want) in rows {
            let got = address(&parent.parse().unwrap(), text);
            match (got.map(|url| url.expose().to_string()), want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "{text}"),
                (Err(got), Err(want)) => assert!(got.contains(want), "{text}: {got}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
    }

    #[test]
    fn no_path_leads_above_the_root() {
        let rows = [("a/b", "../c", "a/c"), ("", "../../x", "x"), ("a", "./", "a"), ("", "/", "")];
        for (base, path, want) in rows {
            assert_eq!(rooted(base, path), want, "{base} {path}");
        }
    }
}
