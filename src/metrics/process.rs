//! What Linux says about this process, read from /proc when somebody asks. Elsewhere there is nothing to read, and
//! the values are absent.

use std::fs;

/// Ticks a second in /proc/self/stat: USER_HZ, which is 100 on every Linux that Rust's standard library runs on.
const TICKS: u64 = 100;

/// One reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) memory_bytes: Option<u64>,
    pub(super) cpu_seconds: Option<u64>,
    pub(super) open_files: Option<u64>,
    pub(super) threads: Option<u64>,
}

impl Reading {
    /// Now.
    pub(super) fn take() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Self {
            memory_bytes: status_number(&status, "VmRSS:").map(|kib| kib * 1024),
            cpu_seconds: cpu_ticks(&stat).map(|ticks| ticks / TICKS),
            open_files: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|files| files.count() as u64),
            threads: status_number(&status, "Threads:"),
        }
    }
}

/// How many files this process may have open (its soft limit), connections included; none where that is unknown or
/// unlimited.
#[must_use]
pub fn open_file_limit() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn status_number(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Fields 14 and 15 of proc(5); the second field, the program's name, may contain spaces and ends with the last `)`.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_taken_from_proc() {
        let reading = Reading::take();
        assert!(reading.memory_bytes > Some(100_000), "{reading:?}");
        assert!(reading.open_files > Some(2), "{reading:?}");
        assert!(reading.threads > Some(0), "{reading:?}");
        assert_eq!(
            cpu_ticks("7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0"),
            Some(300)
        );
    }
}
