//! Helm's plugins that change what was rendered.
//!
//! Source: helm v4.3.1 internal/plugin (loader.go, runtime_subprocess.go, subprocess_commands.go),
//! pkg/postrenderer, pkg/cmd/flags.go.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{home, template_args::PostRender};
use crate::base::file::{self, env_var};
use crate::base::limit::{self, Limit};
use crate::release::{Error, manifest, postrender};
use crate::yaml::{self, Numbers, Value};

const TYPE: &str = "postrenderer/v1";
/// The runtime whose plugins are run: they are programs.
const RUNTIME: &str = "subprocess";
/// Longest definition of a plugin.
const DEFINITION_BYTES: u64 = 1 << 20;

/// A plugin that was found.
#[derive(Debug)]
pub(super) struct Plugin {
    name: String,
    folder: PathBuf,
    program: String,
    arguments: Vec<String>,
}

impl Plugin {
    /// Finds the plugin that was asked for.
    ///
    /// # Errors
    /// Helm's texts.
    pub(super) fn find(asked: &PostRender) -> Result<Option<Self>, String> {
        let mut names = asked.post_renderer.iter().filter(|name| !name.is_empty());
        let Some(name) = names.next() else { return Ok(None) };
        let wrong = |name: &str, why: &str| {
            format!("invalid argument {name:?} for \"--post-renderer\" flag: {why}")
        };
        if let Some(second) = names.next() {
            return Err(wrong(second, "cannot specify --post-renderer flag more than once"));
        }
        let folders = home::plugins();
        let all = folders.iter().flat_map(|folder| plugins(folder));
        let named: Vec<_> = all.filter(|(_, definition)| is_named(definition, name)).collect();
        let of_others = named.iter().find(|(_, definition)| runtime(definition) != RUNTIME);
        let of_others =
            of_others.map(|(folder, other)| (folder.clone(), runtime(other).to_owned()));
        let found = named.into_iter().find(|(_, definition)| runtime(definition) == RUNTIME);
        let Some((folder, definition)) = found else {
            let why = format!("plugin: {{Name:{name} Type:{TYPE}}} not found");
            return Err(wrong(name, &why) + &hint(name, of_others));
        };
        let folder_text = folder.display().to_string();
        let lookup = |key: &str| match key {
            "HELM_PLUGIN_NAME" => name.clone(),
            "HELM_PLUGIN_DIR" => folder_text.clone(),
            key => env_var(key).unwrap_or_default(),
        };
        let commands = definition.pointer("/runtimeConfig/platformCommand");
        let commands = commands.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let (program, mut arguments) = command(commands, PLATFORM, &lookup).unwrap_or_default();
        arguments.extend(asked.post_renderer_args.iter().cloned());
        Ok(Some(Self { name: name.clone(), folder, program, arguments }))
    }

    /// Gives rendered files to the plugin, and takes what it makes of them.
    pub(super) fn post(&self, files: Vec<manifest::Read>) -> Result<Vec<manifest::Read>, Error> {
        let given: Vec<(&str, &str)> = files
            .iter()
            .map(|read| (read.file.name.as_str(), read.file.text.as_str()))
            .filter(|(name, _)| !name.ends_with("NOTES.txt"))
            .collect();
        let answer = self.run(postrender::merge(&given)?).map_err(|why| {
            Error::Refused(format!("error while running post render on files: {why}"))
        })?;
        Ok(postrender::take_apart(&answer)?.into_iter().map(manifest::read).collect())
    }

    fn run(&self, input: String) -> Result<String, String> {
        let failed =
            |why: String| format!("failed to invoke post-renderer plugin {:?}: {why}", self.name);
        if self.program.is_empty() {
            let why = "failed to prepare plugin command: no plugin command is applicable";
            return Err(failed(why.to_owned()));
        }
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env("HELM_PLUGIN_NAME", &self.name)
            .env("HELM_PLUGIN_DIR", &self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(not_started(&self.program, &error)))?;
        // A plugin may write before it has read all.
        let stdin = child.stdin.take();
        let writer = std::thread::spawn(move || {
            stdin.map(|mut pipe| pipe.write_all(input.as_bytes()).is_ok())
        });
        let stderr = child.stderr.take();
        let said = std::thread::spawn(move || {
            let mut text = Vec::new();
            stderr.map(|pipe| pipe.take(DEFINITION_BYTES).read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut output = Vec::new();
        let read = child.stdout.take().map(|pipe| pipe.take(limit::current().of(Limit::Unpacked)));
        read.map(|mut pipe| pipe.read_to_end(&mut output))
            .transpose()
            .map_err(|error| failed(error.to_string()))?;
        let status = child.wait().map_err(|error| failed(error.to_string()))?;
        let _ = writer.join();
        let said = said.join().unwrap_or_default();
        if !said.trim().is_empty() {
            tracing::info!(plugin = self.name, "{}", said.trim());
        }
        if !status.success() {
            return Err(failed(format!("plugin {:?} exited with error", self.name)));
        }
        if output.trim_ascii().is_empty() {
            return Err(format!("post-renderer {:?} produced empty output", self.name));
        }
        Ok(String::from_utf8_lossy(&output).into_owned())
    }
}

/// Go's words for a program that does not start.
fn not_started(program: &str, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound if !program.contains('/') => {
            format!("exec: {program:?}: executable file not found in $PATH")
        }
        std::io::ErrorKind::NotFound => {
            format!("fork/exec {program}: no such file or directory")
        }
        std::io::ErrorKind::PermissionDenied => format!("fork/exec {program}: permission denied"),
        _ => format!("fork/exec {program}: {error}"),
    }
}

/// Returns the plugins of a folder, by name; those that cannot be read are left out.
fn plugins(folder: &Path) -> Vec<(PathBuf, Value)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    folders.sort();
    let read = |folder: PathBuf| {
        let path = folder.join("plugin.yaml");
        if !path.exists() {
            return None;
        }
        let text = file::read_text(&path, DEFINITION_BYTES).map_err(|error| error.to_string());
        let definition = text
            .and_then(|text| yaml::parse(&text, Numbers::Exact).map_err(|error| error.to_string()));
        match definition {
            Ok(definition) => Some((folder, definition)),
            Err(error) => {
                tracing::warn!(path = %path.display(), error, "failed to load plugin (ignoring)");
                None
            }
        }
    };
    folders.into_iter().filter_map(read).collect()
}

fn is_named(definition: &Value, name: &str) -> bool {
    let says = |field: &str, wanted: &str| {
        definition.get(field).and_then(Value::as_str).is_some_and(|text| text == wanted)
    };
    says("apiVersion", "v1") && says("name", name) && says("type", TYPE)
}

fn runtime(definition: &Value) -> &str {
    definition.get("runtime").and_then(Value::as_str).unwrap_or_default()
}

/// What to do about a plugin that is not found; there may be one of another runtime.
fn hint(name: &str, of_others: Option<(PathBuf, String)>) -> String {
    if let Some((folder, runtime)) = of_others {
        return format!(
            "\nhint: the plugin in {} is of runtime `{runtime}`, which is not run here: only \
             plugins of runtime `{RUNTIME}` are, which are programs",
            folder.display()
        );
    }
    if Path::new(name).is_file() {
        return "\nhint: since Helm 4 a post-renderer is the name of a plugin, not a program: a \
                folder below HELM_PLUGINS whose plugin.yaml says `type: postrenderer/v1`"
            .to_owned();
    }
    String::new()
}

/// An operating system and a processor, in Go's words.
type Platform = (&'static str, &'static str);

const PLATFORM: Platform = (
    if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS },
    if cfg!(target_arch = "x86_64") {
        "amd64"
    } else if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        std::env::consts::ARCH
    },
);

/// Chooses the command for a platform: that for both, else that for the system, else that for any.
fn command(
    commands: &[Value],
    (os, arch): Platform,
    lookup: &dyn Fn(&str) -> String,
) -> Option<(String, Vec<String>)> {
    let text = |command: &Value, field: &str| {
        command.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let rank = |command: &Value| {
        let (its_os, its_arch) = (text(command, "os"), text(command, "arch"));
        let (same_os, same_arch) =
            (its_os.eq_ignore_ascii_case(os), its_arch.eq_ignore_ascii_case(arch));
        match (same_os, its_os.is_empty(), same_arch, its_arch.is_empty()) {
            (true, _, true, _) => Some(0),
            (true, _, _, true) => Some(1),
            (_, true, _, true) => Some(2),
            _ => None,
        }
    };
    let best = commands.iter().filter_map(|command| Some((rank(command)?, command)));
    let (_, chosen) = best.min_by_key(|(rank, _)| *rank)?;
    let words = text(chosen, "command");
    let given = chosen.get("args").and_then(Value::as_array).into_iter().flatten();
    let given = given.filter_map(Value::as_str);
    let mut all = words.split(' ').chain(given).map(|word| expand(word, lookup));
    let program = all.next().filter(|program| !program.is_empty())?;
    Some((program, all.collect()))
}

/// Replaces `$NAME` and `${NAME}`.
fn expand(text: &str, lookup: &dyn Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
        rest = match braced {
            Some((name, behind)) => {
                out.push_str(&lookup(name));
                behind
            }
            None if end > 0 => {
                out.push_str(&lookup(&after[..end]));
                &after[end..]
            }
            None => {
                out.push('$');
                after
            }
        };
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_command_is_that_of_the_platform() {
        let lookup = |key: &str| format!("<{key}>");
        let any = json!({"command": "any $A ${B}c", "args": ["x", "$D/y", "5$"]});
        let system = json!({"command": "system", "os": "Linux"});
        let exact = json!({"command": "exact", "os": "linux", "arch": "amd64"});
        let other = json!({"command": "other", "os": "plan9"});
        let arch = json!({"command": "arch", "arch": "amd64"});
        let rows: [(&[&Value], &str); 6] = [
            (&[&any, &system, &exact], "exact"),
            (&[&any, &system], "system"),
            (&[&other, &any], "any <A> <B>c x <D>/y 5$"),
            (&[&other], ""),
            (&[&arch], ""),
            (&[], ""),
        ];
        for (commands, wanted) in rows {
            let commands: Vec<Value> = commands.iter().map(|c| (*c).clone()).collect();
            let found = command(&commands, ("linux", "amd64"), &lookup);
            let shown = found.map(|(program, arguments)| {
                std::iter::once(program).chain(arguments).collect::<Vec<_>>().join(" ")
            });
            assert_eq!(shown.unwrap_or_default(), wanted);
        }
    }
}
