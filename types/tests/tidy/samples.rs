//! Each rule on a small bad sample that it must find, and on a good one that it must leave alone.

use crate::check;
use crate::files::File;

const HEADER: &str = "//! A sample.\n";

fn file(path: &str, text: impl Into<String>) -> File {
    File {
        path: path.to_owned(),
        text: text.into(),
    }
}

/// A Rust file that its crate's root names, with a header and then `body`.
fn findings_in_source(body: &str) -> Vec<String> {
    findings(vec![file("types/src/lib.rs", format!("{HEADER}{body}"))])
}

fn findings(files: Vec<File>) -> Vec<String> {
    check(&files).iter().map(ToString::to_string).collect()
}

/// Exactly one finding, at this place, with these words.
#[track_caller]
fn assert_finds(findings: &[String], place: &str, words: &str) {
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(
        findings[0].starts_with(place),
        "not at {place}: {findings:?}"
    );
    assert!(findings[0].contains(words), "no `{words}`: {findings:?}");
}

#[track_caller]
fn assert_clean(findings: &[String]) {
    assert!(findings.is_empty(), "{findings:?}");
}

#[test]
fn a_long_file_is_found() {
    assert_clean(&findings_in_source(&"fn f() {}\n".repeat(499)));
    let found = findings_in_source(&"fn f() {}\n".repeat(500));
    assert_finds(&found, "types/src/lib.rs:501:", "501 lines");
}

#[test]
fn white_space_is_found() {
    assert_finds(
        &findings_in_source("fn f() {} \n"),
        "types/src/lib.rs:2:",
        "end of the line",
    );
    assert_finds(
        &findings_in_source("\tfn f() {}\n"),
        "types/src/lib.rs:2:",
        "tab",
    );
    assert_finds(
        &findings_in_source("fn f() {}"),
        "types/src/lib.rs:2:",
        "no newline",
    );
    assert_finds(
        &findings_in_source("fn f() {}\r\n"),
        "types/src/lib.rs:1:",
        "carriage return",
    );
    assert_clean(&findings(vec![file("s3-tests/pass.tsv", "a\tb\n")]));
}

#[test]
fn banned_words_are_found() {
    let banned = [
        concat!("    to", "do!()"),
        concat!("    db", "g!(x)"),
        concat!("// FIX", "ME later"),
        concat!("// simplified for", " now"),
        concat!("let p = \"/ro", "ot/x\";"),
        concat!("let p = \"/wo", "rk/\";"),
    ];
    for line in banned {
        assert_finds(
            &findings_in_source(&format!("{line}\n")),
            "types/src/lib.rs:2:",
            "`",
        );
    }
    assert_clean(&findings_in_source(concat!(
        "// wait for",
        " nowhere, for",
        " now_ms, a/ro",
        "ot/b, $HO/ro",
        "ot/\n"
    )));
    let prose = concat!("TO", "DO list, good for", " now\n");
    assert_clean(&findings(vec![file("CHANGELOG.md", prose)]));
    let path = concat!("run /wo", "rk/main\n");
    assert_finds(
        &findings(vec![file("README.md", path)]),
        "README.md:1:",
        "one machine",
    );
}

#[test]
fn a_missing_header_is_found() {
    let found = findings(vec![file("types/src/lib.rs", "use std::fs;\n")]);
    assert_finds(&found, "types/src/lib.rs:1:", "header");
}

#[test]
fn long_inline_tests_are_found() {
    let module = |lines| format!("mod tests {{\n{}}}\n", "    fn f() {}\n".repeat(lines));
    assert_clean(&findings_in_source(&module(79)));
    assert_finds(
        &findings_in_source(&module(80)),
        "types/src/lib.rs:2:",
        "sibling",
    );
}

#[test]
fn a_switched_off_lint_without_a_reason_is_found() {
    assert_clean(&findings_in_source(
        "#[allow(dead_code, reason = \"x\")]\nfn f() {}\n",
    ));
    assert_clean(&findings_in_source(
        "#[expect(\n    dead_code,\n    reason = \"x\"\n)]\nfn f() {}\n",
    ));
    let found = findings_in_source("#[allow(dead_code)]\nfn f() {}\n// reason = none\n");
    assert_finds(&found, "types/src/lib.rs:2:", "no reason");
}

#[test]
fn a_fenced_crate_named_outside_is_found() {
    let named = |path: &str, line: &str| {
        let text = format!("{HEADER}{line}\n");
        findings(vec![file(path, text)])
    };
    assert_finds(
        &named("server/src/lib.rs", "use rocksdb::DB;"),
        "server/src/lib.rs:2:",
        "rocksdb",
    );
    assert_finds(
        &named("index/src/lib.rs", "type T = rocksdb::DB;"),
        "index/src/lib.rs:2:",
        "rocksdb",
    );
    assert_finds(
        &named("server/src/lib.rs", "use s3s;"),
        "server/src/lib.rs:2:",
        "s3s",
    );
    assert_finds(
        &named("gateway/src/lib.rs", "use aws_sigv4::x;"),
        "gateway/src/lib.rs:2:",
        "sigv4",
    );
    assert_clean(&named("gateway/tests/sign.rs", "use aws_sigv4::x;"));
    assert_clean(&named("gateway/src/lib.rs", "use s3s::S3;"));
    assert_clean(&named("server/src/lib.rs", "// about s3s::S3"));
    assert_clean(&named(
        "server/src/lib.rs",
        "let filter = \"s3s::ops=warn\";",
    ));
}

#[test]
fn a_dependency_against_the_direction_is_found() {
    let manifest = |folder: &str, dependencies: &str| {
        let text = format!("[lints]\nworkspace = true\n{dependencies}\n");
        findings(vec![file(&format!("{folder}/Cargo.toml"), text)])
    };
    assert_clean(&manifest(
        "gateway",
        "[dependencies]\nindex.workspace = true",
    ));
    let found = manifest("index", "[dependencies]\nchunkstore.workspace = true");
    assert_finds(
        &found,
        "index/Cargo.toml:4:",
        "may not depend on chunkstore",
    );
    let found = manifest(
        "index",
        "[dev-dependencies]\ngateway = { workspace = true }",
    );
    assert_finds(&found, "index/Cargo.toml:4:", "may not depend on gateway");
    let found = manifest(
        "gateway",
        "[target.'cfg(unix)'.dependencies]\nscheduler.workspace = true",
    );
    assert_finds(
        &found,
        "gateway/Cargo.toml:4:",
        "may not depend on scheduler",
    );
    assert_finds(
        &manifest("other", ""),
        "other/Cargo.toml:1:",
        "unknown crate",
    );
}

#[test]
fn other_faults_of_a_manifest_are_found() {
    let with_lints = |dependencies: &str| {
        let text = format!("[lints]\nworkspace = true\n{dependencies}\n");
        findings(vec![file("types/Cargo.toml", text)])
    };
    let found = with_lints("[dependencies]\ntokio.workspace = true");
    assert_finds(&found, "types/Cargo.toml:4:", "fenced");
    let found = with_lints("[dependencies]\ndb = { package = \"rocksdb\", workspace = true }");
    assert_finds(&found, "types/Cargo.toml:4:", "rocksdb");
    let found = with_lints("[dependencies]\nbytes = \"1\"");
    assert_finds(&found, "types/Cargo.toml:4:", "version of its own");
    let found = findings(vec![file(
        "types/Cargo.toml",
        "[package]\nname = \"types\"\n",
    )]);
    assert_finds(&found, "types/Cargo.toml:1:", "lints");
    let found = findings(vec![file(
        "md5-lanes/Cargo.toml",
        "[lints.rust]\nunsafe_op_in_unsafe_fn = \"deny\"\nmissing_docs = \"deny\"\n\
         [lints.clippy]\nundocumented_unsafe_blocks = \"deny\"\n",
    )]);
    assert_finds(&found, "md5-lanes/Cargo.toml:1:", "multiple_unsafe_ops");
    let found = findings(vec![file("types/Cargo.toml", "[package\n")]);
    assert_finds(&found, "types/Cargo.toml:1:", "TOML");
}

#[test]
fn a_dead_file_is_found() {
    let tree = |root: &str| {
        findings(vec![
            file("types/src/lib.rs", format!("{HEADER}{root}\n")),
            file(
                "types/src/a.rs",
                format!("{HEADER}#[cfg(test)]\nmod tests;\n"),
            ),
            file("types/src/a/tests.rs", HEADER),
            file(
                "types/tests/b.rs",
                format!("{HEADER}#[path = \"c/d.rs\"]\nmod d;\nmod e;\n"),
            ),
            file("types/tests/c/d.rs", HEADER),
            file("types/tests/e/mod.rs", HEADER),
        ])
    };
    assert_clean(&tree("pub mod a;"));
    assert_clean(&tree("pub(crate) mod a;"));
    let found = tree("// mod a;");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("types/src/a.rs:1: dead file"),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("types/src/a/tests.rs:1: dead file"),
        "{found:?}"
    );
}

#[test]
fn faults_of_the_makefile_are_found() {
    let makefile = |text: &str| findings(vec![file("Makefile", text)]);
    assert_clean(&makefile(
        ".PHONY: run\nSTEP := x\nrun: build ## start\n\tcommand\n",
    ));
    assert_finds(
        &makefile(".PHONY: run\nrun: build\n"),
        "Makefile:2:",
        "no help",
    );
    assert_finds(&makefile("run: ## start\n"), "Makefile:1:", ".PHONY");
}

#[test]
fn a_skipped_test_without_reason_is_found() {
    let skip = |text: &str| findings(vec![file("s3-tests/skip.tsv", text)]);
    assert_clean(&skip(
        "# test\treason\treference\ntest_acl\tno ACLs yet\tREADME.md\n",
    ));
    assert_finds(
        &skip("test_acl\tno ACLs yet\n"),
        "s3-tests/skip.tsv:1:",
        "three columns",
    );
    assert_finds(
        &skip("test_acl\t\tREADME.md\n"),
        "s3-tests/skip.tsv:1:",
        "three columns",
    );
}
