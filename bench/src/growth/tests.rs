use super::space::IndexBytes;
use super::step::Cost;
use super::*;
use std::fs;

fn row(objects: u64) -> Row {
    let cost = Cost {
        server_cpu_ms: 0.12,
        ops_per_second: 5000.0,
        p99_ms: 9.0,
    };
    Row {
        objects,
        disks_bytes_per_object: 10.0,
        index: IndexBytes {
            total: 4500.0,
            inline_tables: 4200.0,
            other_tables: 200.0,
            rest: 100.0,
        },
        put: cost.clone(),
        get: cost,
        write_amplification: 3.5,
        start_after_stop_s: 0.2,
        start_after_kill_s: 0.4,
        rss_mib: 120.0,
        is_quiet: objects < 1_000_000,
    }
}

#[test]
fn the_document_has_a_column_for_each_step() {
    let file_system = FileSystem {
        kind: "ext4".to_owned(),
        device: "/dev/vda".to_owned(),
        free_bytes: 1,
    };
    let text = document(&file_system, 7 << 20, &[row(100_000), row(5_000_000)]);
    assert!(text.contains("empty server takes 7.00 MiB"), "{text}");
    let line = |name: &str| {
        let line = text.lines().find(|line| line.contains(name));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(line("| objects")[2..4], ["100000", "5000000"]);
    assert_eq!(line("per object, all")[2..4], ["4510", "4510"]);
    assert_eq!(line("write amplification")[3], "3.50");
    assert_eq!(line("at rest when")[2..4], ["yes", "NO"]);
}

#[test]
fn every_tag_of_the_picture_is_closed() {
    for rows in [
        vec![],
        vec![row(100_000)],
        vec![row(100_000), row(1_500_000)],
    ] {
        let svg = plot::svg(&rows);
        for tag in ["svg", "g", "text"] {
            let opened = svg.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, svg.matches(&format!("</{tag}>")).count(), "{tag}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert_eq!(svg.contains("1.5 M objects"), rows.len() == 2);
    }
}

#[test]
fn files_are_told_apart_by_their_family() {
    let dir = std::env::temp_dir().join(format!("growth-{}", std::process::id()));
    fs::create_dir_all(dir.join("p0")).unwrap();
    let write = |name: &str, length: usize, end: &str| {
        let mut bytes = vec![0; length];
        bytes.extend_from_slice(end.as_bytes());
        fs::write(dir.join(name), bytes).unwrap();
    };
    write("p0/1.sst", 100_000, "rocksdb.column.family.nameinline");
    write("p0/2.sst", 20_000, "rocksdb.column.family.namedefault");
    write("p0/3.log", 50_000, "nameinline");
    let bytes = IndexBytes::of(&dir).unwrap();
    fs::remove_dir_all(&dir).unwrap();
    assert!(bytes.inline_tables >= 100_000.0 && bytes.inline_tables < 120_000.0);
    assert!(bytes.other_tables >= 20_000.0 && bytes.other_tables < 40_000.0);
    assert!(bytes.rest >= 50_000.0, "{bytes:?}");
    assert!(bytes.per_object(10.0).total == bytes.total / 10.0);
}

#[test]
fn what_does_not_fit_is_refused() {
    let here = std::env::temp_dir();
    assert!(ensure_fits(&here, 0, ESTIMATED_BYTES).is_ok());
    let error = ensure_fits(&here, 1 << 50, ESTIMATED_BYTES).unwrap_err();
    assert!(error.to_string().contains("--objects"), "{error}");
}

#[test]
fn steps_that_are_too_close_are_refused() {
    assert!(ensure_steps(&[100_000, 130_000]).is_ok());
    for steps in [
        &[][..],
        &[0],
        &[20_000],
        &[100_000, 110_000],
        &[200_000, 100_000],
    ] {
        assert!(ensure_steps(steps).is_err(), "{steps:?}");
    }
}
