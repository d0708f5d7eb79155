//! What Linux says about this process, read from /proc when somebody asks. Elsewhere there is nothing to read, and
//! the values are absent.

use std::fs;

/// Ticks a second in /proc/self/stat: USER_HZ, which is 100 on every Linux that Rust's standard library runs on.
const TICKS: f64 = 100.0;

/// What the operating system says of this process at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) memory_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) open_files: Option<u64>,
    pub(super) threads: Option<u64>,
    /// When it was started, in seconds since 1970.
    pub(super) started_seconds: Option<f64>,
}

impl Reading {
    /// Reads it now.
    pub(super) fn take() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let machine = fs::read_to_string("/proc/stat").unwrap_or_default();
        Self {
            memory_bytes: number_after(&status, "VmRSS:").map(|kib| kib * 1024),
            virtual_bytes: number_after(&status, "VmSize:").map(|kib| kib * 1024),
            cpu_seconds: ticks(&stat, CPU_TICKS).map(|ticks| ticks / TICKS),
            open_files: open_file_count(),
            threads: number_after(&status, "Threads:"),
            started_seconds: number_after(&machine, "btime")
                .and_then(|booted| Some(booted as f64 + ticks(&stat, START_TICKS)? / TICKS)),
        }
    }
}

/// How many files this process has open; none where that is unknown.
#[must_use]
pub fn open_file_count() -> Option<u64> {
    let files = fs::read_dir("/proc/self/fd").ok()?;
    Some(files.count() as u64)
}

/// How many files this process may have open (its soft limit), connections included; none where that is unknown or
/// unlimited.
#[must_use]
pub fn open_file_limit() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    number_after(&limits, "Max open files")
}

fn number_after(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Places after the program's name in proc(5)'s stat: user and system time (fields 14 and 15), and the start (22).
const CPU_TICKS: std::ops::Range<usize> = 11..13;
const START_TICKS: std::ops::Range<usize> = 19..20;

/// The second field, the program's name, may contain spaces and ends with the last `)`.
fn ticks(stat: &str, places: std::ops::Range<usize>) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields = fields.split_whitespace();
    let wanted = fields.skip(places.start).take(places.len());
    let numbers: Vec<f64> = wanted.filter_map(|field| field.parse().ok()).collect();
    (numbers.len() == places.len()).then(|| numbers.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Clock, SystemClock};

    #[test]
    fn a_reading_is_taken_from_proc() {
        let reading = Reading::take();
        assert!(reading.memory_bytes > Some(100_000), "{reading:?}");
        assert!(reading.virtual_bytes > reading.memory_bytes, "{reading:?}");
        assert!(reading.open_files > Some(2), "{reading:?}");
        assert!(reading.threads > Some(0), "{reading:?}");
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 0 0 0 0 900";
        assert_eq!(ticks(stat, CPU_TICKS), Some(300.0));
        assert_eq!(ticks(stat, START_TICKS), Some(900.0));
        assert_eq!(ticks("7 (a) S 1", CPU_TICKS), None);
    }

    #[test]
    fn the_process_started_lately() {
        let now = SystemClock.now().millis() as f64 / 1000.0;
        let age = now - Reading::take().started_seconds.unwrap();
        assert!((-2.0..3600.0).contains(&age), "{age}");
    }
}
