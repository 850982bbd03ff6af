//! Rule: every Rust file is part of a crate. A file that no `mod` names is dead: it is neither compiled nor
//! tested, whatever it says.

use crate::files::{File, Finding};
use std::collections::{BTreeMap, BTreeSet};

/// Every `.rs` file that cannot be reached from a crate's roots.
pub fn check(files: &[File]) -> Vec<Finding> {
    let sources: BTreeMap<&str, &File> = files
        .iter()
        .filter(|file| file.has_extension("rs"))
        .map(|file| (file.path.as_str(), file))
        .collect();
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<String> = roots(files, &sources);
    while let Some(path) = waiting.pop() {
        if let Some(file) = sources.get(path.as_str())
            && reached.insert(file.path.as_str())
        {
            waiting.extend(modules_named_in(file, roots_by_name(&path)));
        }
    }
    sources
        .values()
        .filter(|file| !reached.contains(file.path.as_str()))
        .map(|file| {
            file.finding(
                1,
                "dead file: no `mod` line leads to it; name it in its parent or delete it",
            )
        })
        .collect()
}

/// Files that cargo compiles by their place, and those that a Cargo.toml names as `path = "....rs"`.
fn roots(files: &[File], sources: &BTreeMap<&str, &File>) -> Vec<String> {
    let by_name = sources
        .keys()
        .filter(|path| roots_by_name(path))
        .map(|path| (*path).to_owned());
    let by_manifest = files
        .iter()
        .filter_map(|file| Some((file, file.path.strip_suffix("Cargo.toml")?)))
        .flat_map(|(file, folder)| {
            let paths = file
                .text
                .lines()
                .filter_map(|line| quoted(line.strip_prefix("path = ")?));
            paths.map(move |path| format!("{folder}{path}"))
        });
    by_name.chain(by_manifest).collect()
}

fn roots_by_name(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(
        parts.as_slice(),
        [.., "src", "lib.rs" | "main.rs"]
            | [.., "build.rs"]
            | [.., "src", "bin", _]
            | [.., "src", "bin", _, "main.rs"]
            | [_, "tests" | "benches" | "examples" | "fuzz_targets", _]
            | [_, "tests" | "benches" | "examples", _, "main.rs"]
    )
}

/// The files that the `mod name;` lines of a file may mean.
fn modules_named_in(file: &File, is_root: bool) -> Vec<String> {
    let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let stem = name.trim_end_matches(".rs");
    let own_folder = if is_root || stem == "mod" {
        folder.to_owned()
    } else {
        format!("{folder}/{stem}")
    };
    let mut found = Vec::new();
    let mut given_path = None;
    for line in file.text.lines() {
        let line = line.trim();
        if let Some(path) = line.strip_prefix("#[path = ") {
            given_path = quoted(path);
        } else if let Some(module) = module_name(line) {
            match given_path.take() {
                Some(path) => found.push(format!("{folder}/{path}")),
                None => {
                    found.push(format!("{own_folder}/{module}.rs"));
                    found.push(format!("{own_folder}/{module}/mod.rs"));
                }
            }
        }
    }
    found
}

/// `name` of the lines `mod name;`, `pub mod name;` and `pub(crate) mod name;`.
fn module_name(line: &str) -> Option<&str> {
    let (visibility, name) = line.strip_suffix(';')?.rsplit_once("mod ")?;
    let is_visibility =
        visibility.is_empty() || visibility.starts_with("pub") && visibility.ends_with(' ');
    (is_visibility && name.chars().all(|c| c.is_alphanumeric() || c == '_')).then_some(name)
}

fn quoted(text: &str) -> Option<&str> {
    text.split('"').nth(1)
}
