//! Tests of the configuration: precedence, and errors that name the line.

use super::*;
use clap::Parser;
use std::time::Duration;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    source: Source,
}

fn flags(line: &str) -> Source {
    Flags::try_parse_from(std::iter::once("cairn").chain(line.split_whitespace()))
        .unwrap()
        .source
}

fn file(text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cairn.toml");
    std::fs::write(&path, text).unwrap();
    let flag = format!("--config {}", path.display());
    (dir, flag)
}

fn error(text: &str) -> String {
    let (_dir, flag) = file(text);
    Config::load(&flags(&flag)).unwrap_err().to_string()
}

#[test]
fn a_directory_is_enough() {
    let config = Config::load(&flags("--data /srv/cairn")).unwrap();
    assert_eq!(config.index_dir, std::path::Path::new("/srv/cairn/index"));
    assert_eq!(config.listen.to_string(), "127.0.0.1:9000");
    assert_eq!(config.inline_limit, 16 * 1024);
}

#[test]
fn a_flag_wins_over_the_file() {
    let (_dir, flag) = file("data = ['/a', '/b']\nregion = 'pek3'\nreclaim_grace = '30h'\n");
    let config = Config::load(&flags(&format!("{flag} --region gd2"))).unwrap();
    assert_eq!(config.region, "gd2");
    assert_eq!(config.data.len(), 2);
    assert_eq!(config.reclaim_grace, Duration::from_secs(30 * 3600));
}

#[test]
fn errors_name_the_line() {
    let unknown = error("data = ['/a']\n\nlistne = '127.0.0.1:1'\n");
    assert!(
        unknown.contains("line 3") && unknown.contains("listne"),
        "{unknown}"
    );
    let kind = error("data = ['/a']\nlisten = 'nowhere'\n");
    assert!(kind.contains("line 2"), "{kind}");
    let size = error("data = ['/a']\nmemory_limit = '12 parsecs'\n");
    assert!(size.contains("line 2") && size.contains("64MiB"), "{size}");
    let value = error("data = ['/a']\n# comment\ninline_limit = '2MiB'\n");
    assert!(
        value.contains("cairn.toml:3") && value.contains("60KiB"),
        "{value}"
    );
    let relation = error("data = ['/a']\nreclaim_grace = '1h'\n");
    assert!(
        relation.contains("cairn.toml:2") && relation.contains("read_deadline"),
        "{relation}"
    );
    let user = "data = ['/a']\n[[users]]\nname = 'a'\ncanonical_id = 'b'\naccess_key = 'ccc'\nsecret_key = 'd'\n";
    assert!(error(user).contains("cairn.toml:2"), "{}", error(user));
}

#[test]
fn what_the_server_would_refuse_is_refused_here() {
    let refusals = [
        ("--data /a --domains http://foo", "domains"),
        ("--data /a --user a:b:AK/EY:longsecret", "users"),
        (
            "--data /a --root-access-key AKROOT --root-secret-key longsecret --user a:b:AKROOT:longsecret",
            "users",
        ),
        (
            "--data /a --user a:id:AKA:longsecret --user b:id:AKB:longsecret",
            "canonical_id",
        ),
        (
            "--data /a --user a:ida:AKA:longsecret --user b:idb:AKA:longsecret",
            "access_key",
        ),
        ("--data /a --write-deadline 0s", "write_deadline"),
        ("--data /a --read-deadline 0s", "read_deadline"),
        ("--data x1,./x1", "twice"),
        ("--data /a --index-dir /a", "index_dir"),
        ("--data /a --cache-path /c", "cache_disk"),
        ("--data /a --cache-disk 1GiB", "cache_path"),
        ("--data /a --cache-path /c --cache-disk 1MiB", "64MiB"),
        ("--data /a --cache-memory 1MiB", "cache_memory"),
        (
            "--data /a --cache-memory 0 --cache-path /c --cache-disk 1GiB",
            "cache_memory",
        ),
    ];
    for (line, word) in refusals {
        let error = Config::load(&flags(line)).unwrap_err().to_string();
        assert!(error.contains(word), "{line}: {error}");
    }
}

#[test]
fn errors_outside_the_file_name_flag_and_variable() {
    let error = Config::load(&flags("--data /a,/a"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("--data or CAIRN_DATA") && error.contains("twice"),
        "{error}"
    );
    let error = Config::load(&flags("--data /a --root-access-key abc"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("--root-secret-key"), "{error}");
}

#[test]
fn users_come_from_flags_too() {
    let config = Config::load(&flags("--data /a --user ann:id1:AKANN:secret:with:colons")).unwrap();
    assert_eq!(config.users[0].secret_key, "secret:with:colons");
}

#[test]
fn sizes_and_times_print_as_they_are_read() {
    for text in ["16KiB", "3MiB", "1GiB", "1000B"] {
        assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
    }
    assert_eq!(
        "25h".parse::<Span>().unwrap().0,
        Duration::from_secs(25 * 3600)
    );
}

#[test]
fn a_node_needs_no_disks_and_keeps_its_index_in_its_directory() {
    let config = Config::load(&flags("--node-dir /n")).unwrap();
    let node = config.node.unwrap();
    assert_eq!(config.index_dir, std::path::Path::new("/n/index"));
    assert_eq!(node.rpc_listen.to_string(), "0.0.0.0:9002");
    assert_eq!(node.join_listen.to_string(), "0.0.0.0:9003");
    assert_eq!(node.rpc_advertise, None, "nobody can connect to 0.0.0.0");
    let config = Config::load(&flags("--node-dir /n --rpc-listen 127.0.0.11:7000")).unwrap();
    let node = config.node.unwrap();
    assert_eq!(node.rpc_advertise.as_deref(), Some("127.0.0.11:7000"));
    assert_eq!(Config::load(&flags("--data /a")).unwrap().node, None);
}

#[test]
fn settings_of_a_node_that_cannot_be_are_refused() {
    let refusals = [
        ("--data /a --rpc-listen 127.0.0.1:1", "rpc_listen"),
        ("--node-dir /n --rpc-advertise 0.0.0.0:9002", "one machine"),
        ("--node-dir /n --rpc-advertise n1.example", "no port"),
        ("--node-dir /n --rpc-advertise n1.example:0", "from 1"),
        ("--node-dir /n --rpc-advertise a/b:9", "names no host"),
        ("--node-dir /n --rpc-advertise ::1:9", "brackets"),
        ("--node-dir /n --rpc-listen 127.0.0.1:65535", "join_listen"),
        (
            "--node-dir /n --rpc-listen 127.0.0.1:7 --join-listen 127.0.0.1:7",
            "join_listen",
        ),
    ];
    for (line, word) in refusals {
        let error = Config::load(&flags(line)).unwrap_err().to_string();
        assert!(error.contains(word), "{line}: {error}");
    }
    for good in ["n1.example:9002", "10.1.2.3:9", "[fd00::1]:9"] {
        assert_eq!(parse_address(good).as_deref(), Ok(good));
    }
}
