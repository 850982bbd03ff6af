//! Rules on the text of one file: length, white space, banned words, headers, reasons.

use crate::files::{File, Finding};

const FILE_LINES_MAX: usize = 500;
const INLINE_TESTS_LINES_MAX: usize = 80;

/// Words that may not stand in source, and the mend. Split, so that this file keeps the rule itself.
const BANNED_IN_SOURCE: &[(&str, &str)] = &[
    (concat!("to", "do!"), FINISH_IT),
    (concat!("unimple", "mented!"), FINISH_IT),
    (concat!("TO", "DO"), NOTE_IT),
    (concat!("FIX", "ME"), NOTE_IT),
    (concat!("XX", "X"), NOTE_IT),
    (concat!("for", " now"), DO_IT_WHOLE),
    (concat!("db", "g!"), "use tracing"),
];
const FINISH_IT: &str = "write the code, or return an error that says what is not supported";
const DO_IT_WHOLE: &str = "do it whole, or say what the limit is and why";
const NOTE_IT: &str = "mend it, or write it into CHANGELOG.md";

/// Words that may stand in no file at all.
const BANNED_EVERYWHERE: &[(&str, &str)] = &[
    (concat!("/ro", "ot/"), NO_MACHINE),
    (concat!("/wo", "rk/"), NO_MACHINE),
    (concat!("/ho", "me/"), NO_MACHINE),
    (concat!("py", "pi.org"), NO_REGISTRY),
    (concat!("index.crates", ".io"), NO_REGISTRY),
    (concat!("deb.debian", ".org"), NO_REGISTRY),
];
const NO_MACHINE: &str = "a path of one machine: take it from the environment or the configuration";
const NO_REGISTRY: &str = "the tools know their registry: leave its name out";

/// All rules of this file.
pub fn check(file: &File) -> Vec<Finding> {
    let mut findings = whitespace(file);
    findings.extend(banned_words(file));
    if file.has_extension("rs") {
        findings.extend(length(file));
        findings.extend(header(file));
        findings.extend(inline_tests(file));
        findings.extend(reasons(file));
    }
    findings
}

fn length(file: &File) -> Option<Finding> {
    let lines = file.text.lines().count();
    (lines > FILE_LINES_MAX).then(|| {
        let message = format!("{lines} lines, more than {FILE_LINES_MAX}: split it by subject");
        file.finding(FILE_LINES_MAX + 1, message)
    })
}

fn whitespace(file: &File) -> Vec<Finding> {
    let tabs_allowed = file.path.ends_with("Makefile") || file.has_extension("tsv");
    let mut findings = Vec::new();
    for (number, line) in file.numbered_lines() {
        if line.ends_with([' ', '\t']) {
            findings.push(file.finding(number, "white space at the end of the line: remove it"));
        }
        if line.contains('\t') && !tabs_allowed {
            findings.push(file.finding(number, "tab: use spaces, or \\t in a string"));
        }
    }
    if file.text.contains('\r') {
        findings.push(file.finding(
            1,
            "carriage return: end lines with \\n, or write \\r in a string",
        ));
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        findings.push(file.finding(file.text.lines().count(), "no newline at the end: add one"));
    }
    findings
}

fn banned_words(file: &File) -> Vec<Finding> {
    let is_prose = ["md", "txt", "tsv"]
        .iter()
        .any(|extension| file.has_extension(extension));
    let in_source = if is_prose { &[] } else { BANNED_IN_SOURCE };
    let words = || BANNED_EVERYWHERE.iter().chain(in_source);
    file.numbered_lines()
        .flat_map(|(number, line)| {
            words()
                .filter(|(word, _)| contains_word(line, word))
                .map(move |(word, mend)| file.finding(number, format!("`{word}`: {mend}")))
        })
        .collect()
}

/// Whether `word` stands in `line`, and is not a part of a longer word or path.
fn contains_word(line: &str, word: &str) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    let in_path = |c: char| in_word(c) || ".}$~".contains(c);
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let goes_on = word.ends_with(in_word) && after.is_some_and(in_word);
        !goes_on && !before.is_some_and(in_path)
    })
}

/// A source file begins by saying what is in it. (Tests beside `foo.rs` are of what its header says.)
fn header(file: &File) -> Option<Finding> {
    let is_source = file.path.contains("/src/") && !file.path.ends_with("/tests.rs");
    (is_source && !file.text.starts_with("//! ")).then(|| {
        file.finding(
            1,
            "no header: begin with a `//!` line that says what the file holds",
        )
    })
}

/// Inline test modules are how files grow long. (rustfmt puts the closing brace under `mod`.)
fn inline_tests(file: &File) -> Vec<Finding> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut findings = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(indent) = line.strip_suffix("mod tests {") else {
            continue;
        };
        let rest = &lines[start..];
        let end = rest
            .iter()
            .position(|line| line.strip_prefix(indent) == Some("}"));
        let length = end.unwrap_or(rest.len());
        if length > INLINE_TESTS_LINES_MAX {
            let message = format!(
                "inline tests of {length} lines, more than {INLINE_TESTS_LINES_MAX}: \
                 move them to a sibling file, `#[cfg(test)] mod tests;`"
            );
            findings.push(file.finding(start + 1, message));
        }
    }
    findings
}

/// A lint that is switched off says why, beside it.
fn reasons(file: &File) -> Vec<Finding> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut findings = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let attribute = line.trim_start();
        let switches_off = attribute.starts_with("#")
            && ["[allow(", "[expect(", ", allow(", ", expect("]
                .iter()
                .any(|word| attribute.contains(word));
        let end = lines[start..]
            .iter()
            .position(|line| line.ends_with(")]"))
            .unwrap_or(0);
        let has_reason = lines[start..=start + end]
            .iter()
            .any(|line| line.contains("reason = "));
        if switches_off && !has_reason {
            findings.push(file.finding(
                start + 1,
                "no reason: add `reason = \"...\"` to the attribute",
            ));
        }
    }
    findings
}
