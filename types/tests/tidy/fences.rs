//! Rule: a third-party crate behind one of our traits is named only in its one file or folder.

use crate::files::{File, Finding};

/// Crate as written in Rust, and the beginnings of the paths that may name it.
const FENCES: &[(&str, &str)] = &[
    ("s3s", "gateway/"),
    ("rocksdb", "index/src/engine/rocks chunkstore/src/catalog"),
    ("openraft", "index/src/engine/raft"),
    ("reed_solomon_erasure", "chunkstore/src/erasure"),
    ("rustls", "rpc/"),
    ("tokio_rustls", "rpc/"),
    ("rcgen", "rpc/"),
    ("x509_parser", "rpc/src/identity/"),
    ("h2", "rpc/"),
    ("aws_sigv4", "server/ s3-tests/ bench/"),
    ("getrandom", "types/src/entropy"),
];
/// What tests may name besides.
const TEST_FENCES: &[(&str, &str)] = &[("aws_sigv4", "gateway/")];

/// Every line that names a fenced crate outside its place.
pub fn check(file: &File) -> Vec<Finding> {
    if !file.has_extension("rs") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (name, places) in FENCES {
        if is_inside(&file.path, name, places) {
            continue;
        }
        for (number, line) in file.numbered_lines() {
            if names_crate(line, name) {
                let message = format!(
                    "names the crate {name}: only {} may",
                    places.replace(' ', ", ")
                );
                findings.push(file.finding(number, message));
            }
        }
    }
    findings
}

fn is_inside(path: &str, name: &str, places: &str) -> bool {
    let in_tests = TEST_FENCES
        .iter()
        .filter(|(fenced, _)| is_test(path) && *fenced == name)
        .map(|(_, places)| *places);
    let mut places = in_tests.chain([places]).flat_map(str::split_whitespace);
    places.any(|place| path.starts_with(place))
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Whether code in the line begins a path with the crate's name. Comments and strings may name it.
fn names_crate(line: &str, name: &str) -> bool {
    let code = line.trim_start();
    if code.starts_with("//") {
        return false;
    }
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let in_string = before.replace("\\\"", "").matches('"').count() % 2 == 1;
        let continues = before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        let is_import = before.ends_with("use ") && after.starts_with([';', ' ']);
        !in_string && !continues && (after.starts_with("::") || is_import)
    })
}
