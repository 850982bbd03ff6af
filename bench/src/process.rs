//! What the kernel says of a process: CPU time, memory, and bytes written.

use anyhow::{Context, Result};
use std::fs;
use std::time::Duration;

/// A process, by its id.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    pid: u32,
}

impl Process {
    /// The process with this id.
    pub fn new(pid: u32) -> Self {
        Self { pid }
    }

    /// This process.
    pub fn own() -> Self {
        Self::new(std::process::id())
    }

    /// CPU time in user and kernel mode since its start, of all its threads, also of those that ended. It
    /// moves in steps of 10 ms.
    pub fn cpu(self) -> Result<Duration> {
        let stat = self.read("stat")?;
        let ticks =
            cpu_ticks(&stat, 2).with_context(|| format!("/proc/{}/stat is odd", self.pid))?;
        Ok(Duration::from_secs(ticks) / ticks_per_second())
    }

    /// Resident memory now.
    pub fn rss_bytes(self) -> Result<u64> {
        self.status("VmRSS")
    }

    /// The most that resident memory ever was.
    pub fn peak_rss_bytes(self) -> Result<u64> {
        self.status("VmHWM")
    }

    /// Bytes that it had the kernel write to disks, in whole pages.
    pub fn written_bytes(self) -> Result<u64> {
        let io = self.read("io")?;
        field(&io, "write_bytes").with_context(|| format!("/proc/{}/io is odd", self.pid))
    }

    /// CPU time of this process, and of its children that it has waited for.
    pub fn cpu_of_family() -> Result<Duration> {
        let stat = Self::own().read("stat")?;
        let ticks = cpu_ticks(&stat, 4).context("/proc/self/stat is odd")?;
        Ok(Duration::from_secs(ticks) / ticks_per_second())
    }

    fn status(self, name: &str) -> Result<u64> {
        let status = self.read("status")?;
        let kibibytes = field(&status, name)
            .with_context(|| format!("/proc/{}/status has no {name}", self.pid))?;
        Ok(kibibytes * 1024)
    }

    fn read(self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.pid);
        fs::read_to_string(&path).with_context(|| {
            format!("cannot read {path}: no such process on this machine, or another user's")
        })
    }
}

fn ticks_per_second() -> u32 {
    u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100)
}

/// CPU time that the whole machine was busy since it began, all cores together.
pub fn machine_cpu() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    let ticks = busy_ticks(&stat).context("/proc/stat is odd")?;
    Ok(Duration::from_secs(ticks) / ticks_per_second())
}

/// User, nice, system, then idle and waiting for disks, then interrupts and what other machines took.
fn busy_ticks(stat: &str) -> Option<u64> {
    let mut words = stat.strip_prefix("cpu ")?.split_whitespace();
    let mut sum = 0;
    for index in 0..8 {
        let ticks: u64 = words.next()?.parse().ok()?;
        if index != 3 && index != 4 {
            sum += ticks;
        }
    }
    Some(sum)
}

/// The sum of the first of: user and system time, those of children. The name before them may hold blanks and
/// parentheses; after it come single words.
fn cpu_ticks(stat: &str, first: usize) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_whitespace().skip(11);
    (0..first).map(|_| words.next()?.parse::<u64>().ok()).sum()
}

/// The number behind `name:`.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 7 3 20 0 9 0 1000";
        assert_eq!(cpu_ticks(stat, 2), Some(300));
        assert_eq!(cpu_ticks(stat, 4), Some(310));
        assert_eq!(cpu_ticks("42 (a", 2), None);
        let all = "cpu  10 1 5 1000 200 2 3 4 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(busy_ticks(all), Some(25));
        assert_eq!(
            field("VmHWM:\t  1234 kB\nVmRSS:\t 99 kB\n", "VmRSS"),
            Some(99)
        );
    }

    #[test]
    fn this_process_uses_memory() {
        let own = Process::own();
        let resident = own.rss_bytes().unwrap();
        assert!(resident > 0);
        assert!(
            own.peak_rss_bytes().unwrap() >= resident,
            "of the time until now"
        );
        own.cpu().unwrap();
        assert!(Process::new(u32::MAX).cpu().is_err());
    }
}
