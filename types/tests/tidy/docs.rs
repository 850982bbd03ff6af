//! Rules that keep documents true: the Makefile's help, and the reasons of skipped tests.

use crate::files::{File, Finding};

/// All rules of this file.
pub fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        if file.path == "Makefile" {
            findings.extend(makefile_help(file));
        }
        if file.path.ends_with("skip.tsv") {
            findings.extend(skip_reasons(file));
        }
    }
    findings
}

/// Every target has a line of help, and is declared not to be a file.
fn makefile_help(file: &File) -> Vec<Finding> {
    let phony: Vec<&str> = file
        .text
        .lines()
        .filter_map(|line| line.strip_prefix(".PHONY:"))
        .flat_map(str::split_whitespace)
        .collect();
    let mut findings = Vec::new();
    for (number, line) in file.numbered_lines() {
        let Some((target, rest)) = line.split_once(':') else {
            continue;
        };
        let is_target = target.starts_with(|c: char| c.is_ascii_lowercase())
            && target.chars().all(|c| c.is_ascii_lowercase() || c == '-')
            && !rest.starts_with('=');
        if is_target && !rest.contains("## ") {
            findings
                .push(file.finding(number, format!("target {target} has no help: add `## ...`")));
        }
        if is_target && !phony.contains(&target) {
            findings
                .push(file.finding(number, format!("target {target} is not in .PHONY: add it")));
        }
    }
    findings
}

/// A skipped test has three columns: its name, the reason, and where it is tracked.
fn skip_reasons(file: &File) -> Vec<Finding> {
    file.numbered_lines()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .filter(|(_, line)| {
            let columns: Vec<&str> = line.split('\t').collect();
            columns.len() != 3 || columns.iter().any(|column| column.trim().is_empty())
        })
        .map(|(number, _)| {
            file.finding(
                number,
                "not three columns: write test, reason and reference, with tabs between",
            )
        })
        .collect()
}
