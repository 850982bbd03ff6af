//! Making a region and joining one, as far as it needs no running server.

use std::path::Path;
use std::process::{Command, Output};

/// The binary with a node's directory and two disks under `root`.
fn cairn(root: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    let data = format!(
        "{},{}",
        root.join("d1").display(),
        root.join("d2").display()
    );
    command
        .args(words)
        .arg(format!("--node-dir={}", root.join("node").display()))
        .arg(format!("--data={data}"))
        .env("NO_COLOR", "1");
    command
}

fn create(root: &Path) -> Command {
    let words = "cluster create --name n1 --zone a --rpc-advertise 127.0.0.1:9002";
    cairn(root, &words.split(' ').collect::<Vec<_>>())
}

fn join(root: &Path, token: &str) -> Command {
    let words = format!("node join {token} --name n2 --zone b --rpc-advertise 127.0.0.1:9012");
    cairn(root, &words.split(' ').collect::<Vec<_>>())
}

/// What a command that must fail says.
fn refusal(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the binary can be run");
    assert!(!status.success(), "{}", String::from_utf8_lossy(&stdout));
    String::from_utf8_lossy(&stderr).into_owned()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a directory");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry
            .expect("an entry")
            .file_name()
            .to_string_lossy()
            .into_owned()
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

/// A token of nobody's cluster, for an address at which nobody listens.
fn token() -> String {
    use rpc::identity::Fingerprint;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let entropy = types::entropy::OsEntropy;
    rpc::join::JoinToken::new(Fingerprint([7; 32]), vec![address], &entropy).to_string()
}

#[test]
fn a_region_is_made_with_its_authority_and_disks() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = create(dir.path()).output().expect("the binary can be run");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("cairn node token") && said.contains("ca.key"),
        "{said}"
    );
    let made = names(&dir.path().join("node"));
    let expected = "ca.key ca.pem first-map.bin node.key node.pem node.toml peers.toml root-key.json trust.pem";
    assert_eq!(made, expected.split(' ').collect::<Vec<_>>());
    for disk in ["d1", "d2"] {
        assert!(dir.path().join(disk).join("identity").is_file());
    }
    let again = refusal(&mut create(dir.path()));
    assert!(again.contains("is the directory of node n1"), "{again}");
}

#[test]
fn a_directory_that_is_used_is_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(dir.path().join("d2")).expect("made");
    std::fs::write(dir.path().join("d2/letter.txt"), "dear").expect("written");
    let said = refusal(&mut create(dir.path()));
    assert!(said.contains("d2") && said.contains("letter.txt"), "{said}");
    let said = refusal(&mut join(dir.path(), &token()));
    assert!(said.contains("d2") && said.contains("letter.txt"), "{said}");
    assert_eq!(names(dir.path()), ["d2"]);
}

#[test]
fn what_no_node_can_be_is_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let refused = |flag: &str| {
        let said = refusal(create(dir.path()).arg(flag));
        assert_eq!(names(dir.path()), Vec::<String>::new(), "{flag}");
        said
    };
    assert!(refused("--roles=gateway,index").contains("chunkstore"));
    assert!(refused("--roles=gateway,chunkstore").contains("keeps the index"));
    assert!(refused("--roles=cook").contains("gateway, index"));
    assert!(refused("--rack=a b").contains("rack"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command.args([
        "cluster",
        "create",
        "--name",
        "n1",
        "--zone",
        "a",
        "--node-dir",
    ]);
    let said = refusal(command.arg(dir.path().join("node")));
    assert!(said.contains("--rpc-advertise"), "{said}");
}

#[test]
fn a_token_that_is_none_or_leads_nowhere_joins_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let said = refusal(&mut join(dir.path(), "hello"));
    assert!(said.contains("this is no token"), "{said}");
    assert_eq!(names(dir.path()), Vec::<String>::new());
    let good = token();
    let said = refusal(&mut join(dir.path(), &good[..good.len() - 1]));
    assert!(said.contains("copy it again"), "{said}");
    assert_eq!(names(dir.path()), Vec::<String>::new());
    let said = refusal(&mut join(dir.path(), &good));
    assert!(said.contains("was not reached"), "{said}");
    // The key stays for another attempt; the directory is no node's.
    assert_eq!(names(&dir.path().join("node")), ["node.key"]);
    let said = refusal(&mut join(dir.path(), &good));
    assert!(said.contains("was not reached"), "{said}");
}

#[test]
fn a_single_machine_has_no_settings_of_a_node() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    let said = refusal(command.args(["config", "check", "--data=/x", "--rpc-listen=127.0.0.1:1"]));
    assert!(
        said.contains("rpc_listen") && said.contains("node_dir"),
        "{said}"
    );
}
