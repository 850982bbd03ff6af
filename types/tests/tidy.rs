//! The house rules of STYLE.md that no compiler or linter checks, as a test over the whole repository.
//!
//! Every rule is a pure function from files to findings, so that `tidy/samples.rs` can show, on small bad
//! samples, that each rule does find what it forbids. A finding names the file, the line, what is wrong
//! and the mend.

#[path = "tidy/docs.rs"]
mod docs;
#[path = "tidy/fences.rs"]
mod fences;
#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/manifests.rs"]
mod manifests;
#[path = "tidy/modules.rs"]
mod modules;
#[path = "tidy/samples.rs"]
mod samples;
#[path = "tidy/text.rs"]
mod text;

use files::{File, Finding};

/// All findings of all rules.
fn check(files: &[File]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = files
        .iter()
        .flat_map(|file| [text::check(file), fences::check(file)])
        .flatten()
        .collect();
    findings.extend(manifests::check(files));
    findings.extend(modules::check(files));
    findings.extend(docs::check(files));
    findings
}

#[test]
fn the_repository_keeps_the_house_rules() {
    let files = files::read_repository();
    assert!(
        files.len() > 20,
        "the repository was not found: {} files",
        files.len()
    );
    let findings = check(&files);
    let list: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(
        list.is_empty(),
        "{} finding(s) against STYLE.md:\n{}\n",
        list.len(),
        list.join("\n")
    );
}
