use super::*;

fn options() -> SuiteOptions {
    SuiteOptions {
        data: std::env::temp_dir(),
        memory: "/dev/shm".into(),
        binary: None,
        rows: vec!["put-4k".to_owned()],
        duration: Duration::from_secs(1),
        rounds: 1,
        results: None,
        label: "latest".to_owned(),
    }
}

#[test]
fn rows_have_names_of_their_own_that_can_be_buckets() {
    let names: std::collections::BTreeSet<&str> = ROWS.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), ROWS.len());
    assert!(names.iter().all(|name| {
        name.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    }));
}

/// Options that contradict themselves or the machine, and what the message must name.
#[test]
fn what_cannot_be_run_is_refused_by_name() {
    let unknown = SuiteOptions {
        rows: vec!["put-5k".to_owned()],
        ..options()
    };
    let no_binary = SuiteOptions {
        binary: Some("/no/such/binary".into()),
        ..options()
    };
    let path = SuiteOptions {
        label: "../a".to_owned(),
        ..options()
    };
    // Asked for by name, it cannot be skipped.
    let no_memory = SuiteOptions {
        rows: vec!["put-64m-tmpfs".to_owned()],
        memory: "/no/such/directory".into(),
        ..options()
    };
    for (options, named) in [
        (unknown, "get-4k"),
        (no_binary, "/no/such/binary"),
        (path, "--label"),
        (no_memory, "--memory"),
    ] {
        let error = choose(&options).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}
