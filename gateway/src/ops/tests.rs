use super::*;
use std::collections::BTreeSet;

#[test]
fn the_table_is_sorted_and_names_each_operation_once() {
    assert!(SUPPORT.is_sorted_by(|a, b| a.0 < b.0));
}

#[test]
fn the_table_says_what_the_gateway_answers() {
    let offered: BTreeSet<&str> = SUPPORT
        .iter()
        .filter(|(_, degree)| *degree != Support::NotYet)
        .map(|(name, _)| *name)
        .collect();
    let answered: BTreeSet<&str> = crate::s3::ANSWERED.iter().copied().collect();
    assert_eq!(offered, answered);
}

#[test]
fn the_rendered_table_has_every_operation() {
    let table = support_table();
    assert!(SUPPORT.iter().all(|(name, _)| table.contains(name)));
    assert_eq!(table.lines().count(), 5);
}

#[test]
fn the_readme_shows_the_table() {
    let readme = include_str!("../../../README.md");
    let shown = readme
        .split_once("<!-- support table: begin -->\n")
        .and_then(|(_, rest)| rest.split_once("<!-- support table: end -->"))
        .map(|(shown, _)| shown);
    let table = support_table();
    assert_eq!(
        shown,
        Some(table.as_str()),
        "put this between README's marks:\n{table}"
    );
}
