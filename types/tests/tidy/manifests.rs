//! Rules on the Cargo.toml files: the direction of dependencies, the fences, versions in one place.

use crate::files::{File, Finding};
use toml::{Table, Value};

/// Our crates, and which of our crates each may use. Nothing else is allowed.
const DIRECTION: &[(&str, &str)] = &[
    ("types", ""),
    ("md5-lanes", "types"),
    ("rpc", "types"),
    ("index", "types rpc"),
    ("chunkstore", "types rpc"),
    ("gateway", "types md5-lanes index chunkstore"),
    ("scheduler", "types index chunkstore"),
    (
        "server",
        "types rpc index chunkstore gateway scheduler bench s3-tests chaos",
    ),
    ("bench", "types"),
    ("s3-tests", "types"),
    ("chaos", "types s3-tests"),
    ("fuzz", "types index chunkstore gateway"),
    ("sim", "types index chunkstore scheduler s3-tests"),
];

/// Third-party crates, who may depend on them, and who may in tests besides.
const FENCES: &[(&str, &str, &str)] = &[
    ("s3s", "gateway", ""),
    ("rocksdb", "index chunkstore", ""),
    ("openraft", "index", ""),
    ("reed-solomon-erasure", "chunkstore", ""),
    ("rustls", "rpc", ""),
    ("tokio-rustls", "rpc", ""),
    ("rcgen", "rpc", ""),
    ("x509-parser", "rpc", ""),
    ("h2", "rpc", ""),
    ("aws-sigv4", "server s3-tests bench", "gateway"),
    ("anyhow", "server bench chaos", "s3-tests"),
];

/// What would bring I/O, a runtime or a wire protocol into `types`.
const NOT_IN_TYPES: &str = "tokio rustix http hyper axum s3s";

/// Crates that are not members of the workspace, so that they cannot take versions or lints from it.
const OWN_WORKSPACE: &[&str] = &["fuzz", "sim"];

/// The crate that may use `unsafe`, which the workspace forbids, and so has lints of its own.
const UNSAFE_CRATE: &str = "md5-lanes";
/// What it must deny instead, by the tool of the lint.
const UNSAFE_DENIED: &[(&str, &str)] = &[
    ("rust", "unsafe_op_in_unsafe_fn"),
    ("rust", "missing_docs"),
    ("clippy", "undocumented_unsafe_blocks"),
    ("clippy", "multiple_unsafe_ops_per_block"),
];

/// All rules of this file, over every Cargo.toml of a crate; its folder has the crate's name.
pub fn check(files: &[File]) -> Vec<Finding> {
    files
        .iter()
        .filter_map(|file| Some((file, file.path.strip_suffix("/Cargo.toml")?)))
        .flat_map(|(file, path)| check_one(file, path.rsplit('/').next().unwrap_or(path)))
        .collect()
}

fn check_one(file: &File, folder: &str) -> Vec<Finding> {
    let manifest: Table = match toml::from_str(&file.text) {
        Ok(manifest) => manifest,
        Err(error) => return vec![file.finding(1, format!("is not TOML: {error}"))],
    };
    let Some((_, may_use)) = DIRECTION.iter().find(|(name, _)| *name == folder) else {
        let message = "unknown crate: add it to the direction of dependencies in tidy/manifests.rs";
        return vec![file.finding(1, message)];
    };
    let is_member = !OWN_WORKSPACE.contains(&folder);
    let mut findings = Vec::new();
    for dependency in dependencies(&manifest) {
        let name = dependency.name.as_str();
        let line = line_of(file, &dependency.key);
        let is_ours = DIRECTION.iter().any(|(ours, _)| *ours == name);
        if is_ours && !lists(may_use, name) {
            let message = format!(
                "{folder} may not depend on {name}: the direction is types -> rpc -> index, chunkstore -> gateway, scheduler -> server"
            );
            findings.push(file.finding(line, message));
        }
        if !may_depend(folder, &dependency) {
            let message = format!(
                "{folder} may not depend on {name}: it is fenced in (design: third-party fences)"
            );
            findings.push(file.finding(line, message));
        }
        if is_member && !dependency.is_from_workspace {
            let message = format!(
                "{name} has a version of its own: put it in [workspace.dependencies] and write `{name}.workspace = true`"
            );
            findings.push(file.finding(line, message));
        }
    }
    if is_member {
        findings.extend(lints(file, folder, &manifest));
    }
    findings
}

/// Whether a crate has the workspace's lints; the one that may use `unsafe` has others.
fn lints(file: &File, folder: &str, manifest: &Table) -> Vec<Finding> {
    let lints = manifest.get("lints");
    let lint = |tool: &str, name: &str| lints?.get(tool)?.get(name)?.as_str();
    if folder == UNSAFE_CRATE {
        return UNSAFE_DENIED
            .iter()
            .filter(|(tool, name)| lint(tool, name) != Some("deny"))
            .map(|(tool, name)| {
                let message = format!("may use unsafe: add `{name} = \"deny\"` to [lints.{tool}]");
                file.finding(1, message)
            })
            .collect();
    }
    if lints.and_then(|lints| lints.get("workspace")) == Some(&Value::Boolean(true)) {
        return Vec::new();
    }
    let message = "does not take the workspace's lints: add [lints] workspace = true";
    vec![file.finding(1, message)]
}

struct Dependency {
    key: String,
    /// The package, where the key renames it.
    name: String,
    is_dev: bool,
    is_from_workspace: bool,
}

/// Every dependency of every kind and target.
fn dependencies(manifest: &Table) -> Vec<Dependency> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter();
    let tables = targets
        .flat_map(|targets| targets.values())
        .filter_map(Value::as_table)
        .chain([manifest]);
    let mut found = Vec::new();
    for table in tables {
        for kind in ["dependencies", "build-dependencies", "dev-dependencies"] {
            let entries = table.get(kind).and_then(Value::as_table);
            found.extend(entries.into_iter().flatten().map(|(key, value)| {
                Dependency {
                    key: key.clone(),
                    name: value
                        .get("package")
                        .and_then(Value::as_str)
                        .unwrap_or(key)
                        .to_owned(),
                    is_dev: kind == "dev-dependencies",
                    is_from_workspace: value.get("workspace") == Some(&Value::Boolean(true)),
                }
            }));
        }
    }
    found
}

fn may_depend(folder: &str, dependency: &Dependency) -> bool {
    let name = dependency.name.as_str();
    if folder == "types" && lists(NOT_IN_TYPES, name) {
        return false;
    }
    let Some((_, users, testers)) = FENCES.iter().find(|(fenced, ..)| *fenced == name) else {
        return true;
    };
    lists(users, folder) || (dependency.is_dev && lists(testers, folder))
}

fn lists(names: &str, name: &str) -> bool {
    names.split_whitespace().any(|listed| listed == name)
}

/// The first line that begins with the key; 1 if it is written in a way not seen here.
fn line_of(file: &File, key: &str) -> usize {
    file.numbered_lines()
        .find(|(_, line)| {
            let rest = line.strip_prefix(key);
            rest.is_some_and(|rest| rest.starts_with([' ', '.', '=']))
        })
        .map_or(1, |(number, _)| number)
}
