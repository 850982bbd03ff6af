//! A limit that the kernel holds a process to: a control group where one may be made, or else a limit of
//! its data segment.

use crate::MIB;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::fs;
use std::path::{Path, PathBuf};

/// Stacks of threads count as data, though hardly any of their pages are ever touched.
const STACK_BYTES: u64 = 1024 * MIB;

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
        let limit = Rlimit {
            current: Some(bytes + STACK_BYTES),
            maximum: Some(bytes + STACK_BYTES),
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
