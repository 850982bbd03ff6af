//! The process that gets killed: obeys a script, or lets threads write and promise.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::thread;

/// Threads of the `workers` command.
const WORKERS: u64 = 4;
/// Bytes of a record that a worker writes.
const RECORD_BYTES: u64 = 700;
/// Records that each worker writes before it stops; a test kills it long before.
const RECORDS_MAX: u64 = 200_000;
/// How many records a worker is ahead of its syncs.
const AHEAD: u64 = 3;
/// The file that all workers write.
const SHARED: &str = "shared";

/// Obeys the script, one command a line up to "end", says "ready" and waits to be killed. Paths are
/// relative to the current directory. Also says "created INODE" for each `create`.
pub fn run(script: impl BufRead) {
    let mut lines = script.lines().map(|line| line.expect("read the script"));
    for line in lines.by_ref().take_while(|line| line != "end") {
        obey(&line.split(' ').collect::<Vec<_>>());
    }
    say("ready");
    assert_eq!(lines.next(), None, "the script goes on after its end");
    panic!("no test is there to kill this process");
}

/// One write to standard output, so that lines of several threads stay whole.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())
        .and_then(|()| out.flush())
        .expect("say");
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

fn existing(name: &str) -> File {
    OpenOptions::new().write(true).open(name).expect("open")
}

fn writable(name: &str) -> File {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(name)
        .expect("open or create")
}

fn obey(words: &[&str]) {
    let done = match words {
        ["create", name] => File::create_new(name)
            .and_then(|file| file.metadata())
            .map(|made| {
                say(&format!("created {}", made.ino()));
            }),
        ["write", name, offset, length, byte] => {
            let bytes = byte.repeat(usize::try_from(number(length)).expect("64-bit"));
            writable(name).write_all_at(bytes.as_bytes(), number(offset))
        }
        ["append", name, length, byte] => {
            let bytes = byte.repeat(usize::try_from(number(length)).expect("64-bit"));
            let file = OpenOptions::new().append(true).open(name);
            file.and_then(|mut file| file.write_all(bytes.as_bytes()))
        }
        // Replaced from the start, through the file position.
        ["replace", name, length, byte] => {
            let bytes = byte.repeat(usize::try_from(number(length)).expect("64-bit"));
            let (start, end) = bytes.as_bytes().split_at(bytes.len() / 2);
            let file = File::create(name);
            file.and_then(|mut file| file.write_all(start).and_then(|()| file.write_all(end)))
        }
        ["resize", name, bytes] => writable(name).set_len(number(bytes)),
        ["sync", name] => existing(name).sync_data(),
        ["syncdir", name] => File::open(name).and_then(|directory| directory.sync_all()),
        ["rename", from, to] => fs::rename(from, to),
        ["link", from, to] => fs::hard_link(from, to),
        ["copy", from, to] => fs::copy(from, to).map(|_| ()),
        ["link-fails", from, to] => {
            fs::hard_link(from, to).expect_err("a directory has no second name");
            Ok(())
        }
        ["rename-fails", from, to] => {
            fs::rename(from, to).expect_err("a directory cannot move into itself");
            Ok(())
        }
        ["unlink", name] => fs::remove_file(name),
        ["mkdir", name] => fs::create_dir(name),
        ["rmdir", name] => fs::remove_dir(name),
        ["workers", honesty] => return work(*honesty == "honest"),
        _ => panic!("unknown command {words:?}"),
    };
    done.unwrap_or_else(|error| panic!("{words:?}: {error}"));
}

/// All workers append records to files of their own and to one shared file, run ahead of their
/// syncs, and promise what they synced; liars promise before the sync.
fn work(honest: bool) {
    File::create(SHARED)
        .and_then(|file| file.sync_all())
        .expect("create the shared file");
    let mut names: Vec<String> = (0..WORKERS).map(|worker| format!("own{worker}")).collect();
    names
        .iter()
        .for_each(|name| File::create_new(name).map(|_| ()).expect("create"));
    File::open(".")
        .and_then(|directory| directory.sync_all())
        .expect("sync the directory");
    thread::scope(|scope| {
        for (worker, name) in (0..).zip(names.drain(..)) {
            let body = move || work_alone(worker, &name, honest);
            thread::Builder::new()
                .name(format!("worker{worker}"))
                .spawn_scoped(scope, body)
                .expect("spawn");
        }
    });
}

fn work_alone(worker: u64, name: &str, honest: bool) {
    let (own, shared) = (existing(name), existing(SHARED));
    for record in 0..RECORDS_MAX {
        let bytes = content(worker, record);
        own.write_all_at(&bytes, record * RECORD_BYTES)
            .expect("write");
        shared
            .write_all_at(&bytes, shared_offset(worker, record))
            .expect("write");
        if record % (AHEAD + 1) != 0 {
            continue;
        }
        let promise = format!("promise {worker} {record}");
        if !honest {
            say(&promise);
        }
        own.sync_data()
            .and_then(|()| shared.sync_data())
            .expect("sync");
        if honest {
            say(&promise);
        }
    }
}

fn shared_offset(worker: u64, record: u64) -> u64 {
    (record * WORKERS + worker) * RECORD_BYTES
}

/// Bytes that differ between any two records.
fn content(worker: u64, record: u64) -> Vec<u8> {
    let mut bytes = format!("record {record} of worker {worker};").into_bytes();
    bytes.resize(usize::try_from(RECORD_BYTES).expect("64-bit"), b'#');
    bytes
}

/// Whether all records up to the promised one are in both files in the directory `root`.
pub fn promise_holds(promise: &str, root: &Path) -> bool {
    let mut words = promise.split(' ').skip(1).map(number);
    let (worker, last) = (
        words.next().expect("a worker"),
        words.next().expect("a record"),
    );
    let holds = |name: &str, offset: u64, record: u64| {
        let mut bytes = content(worker, record);
        let file = File::open(root.join(name)).expect("open");
        let read = file.read_exact_at(&mut bytes, offset);
        read.is_ok() && bytes == content(worker, record)
    };
    // Promises come one after the other: only what is new since the last one is looked at.
    (last.saturating_sub(AHEAD)..=last).all(|record| {
        holds(&format!("own{worker}"), record * RECORD_BYTES, record)
            && holds(SHARED, shared_offset(worker, record), record)
    })
}
