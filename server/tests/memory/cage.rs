//! A limit that the kernel holds a process to: a control group where one may be made, or else a limit of
//! its data segment.

use crate::MIB;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::fs;
use std::path::{Path, PathBuf};

/// Stacks of threads and what the allocator has set aside count as data, though hardly any of their pages are ever
/// touched: a server of 58 MiB has 305 MiB of data.
const UNTOUCHED_BYTES: u64 = 384 * MIB;

/// See the module. A control group is removed when this is dropped, after its process.
pub enum Cage {
    Group(PathBuf),
    DataSegment,
}

impl Cage {
    /// Puts process `pid` under a limit of `bytes`.
    pub fn around(pid: u32, bytes: u64) -> Self {
        let version_2 = Path::new("/sys/fs/cgroup");
        let version_1 = Path::new("/sys/fs/cgroup/memory");
        for (root, limit) in [
            (version_1, "memory.limit_in_bytes"),
            (version_2, "memory.max"),
        ] {
            let group = root.join(format!("cairn-test-{pid}"));
            if fs::create_dir(&group).is_err() {
                continue;
            }
            let limited = fs::write(group.join(limit), bytes.to_string())
                .and_then(|()| fs::write(group.join("cgroup.procs"), pid.to_string()));
            if limited.is_ok() {
                return Self::Group(group);
            }
            let _ = fs::remove_dir(&group);
        }
        Self::data_segment(pid, bytes)
    }

    /// The same without a control group.
    pub fn data_segment(pid: u32, bytes: u64) -> Self {
        let limit = Rlimit {
            current: Some(bytes + UNTOUCHED_BYTES),
            maximum: Some(bytes + UNTOUCHED_BYTES),
        };
        let pid = Pid::from_raw(pid.try_into().unwrap());
        prlimit(pid, Resource::Data, limit).unwrap();
        Self::DataSegment
    }

    /// What it is, for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Group(_) => "control group",
            Self::DataSegment => "limit of the data segment",
        }
    }

    /// How often the kernel had to free pages of the group's files, where it is known: pressure, no fault.
    pub fn failures(&self) -> Option<u64> {
        let Self::Group(group) = self else {
            return None;
        };
        let count = fs::read_to_string(group.join("memory.failcnt")).ok()?;
        count.trim().parse().ok()
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        if let Self::Group(group) = self {
            let _ = fs::remove_dir(group);
        }
    }
}

/// What takes more than it may is stopped, in either cage.
#[test]
fn cages_hold() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    for cage in [Cage::around, Cage::data_segment] {
        let kept = "read go; head -c 700000000 /dev/zero | tail -c 699999999 >/dev/null";
        let mut child = Command::new("sh")
            .args(["-c", kept])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let _cage = cage(child.id(), 64 * MIB);
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        assert!(!child.wait().unwrap().success());
    }
}
