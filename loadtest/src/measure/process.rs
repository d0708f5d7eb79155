//! What processes cost, from `/proc` (Linux). Knows nothing of what they do.

use std::path::PathBuf;
use std::time::Duration;

use crate::Invalid;

/// The kernel's unit in `/proc/PID/stat`: 100 a second on every Linux that matters (USER_HZ is part of its ABI).
const TICK: Duration = Duration::from_millis(10);

/// What one process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// CPU time in user and kernel mode, of all its threads; in steps of 10 ms.
    pub(crate) cpu: Duration,
    /// Resident memory, in bytes.
    pub(crate) resident: u64,
}

/// What a process has used until now.
///
/// # Errors
/// When there is no such process.
pub(crate) fn usage(pid: u32) -> Result<Usage, Invalid> {
    let read = |file: &str| {
        let path = PathBuf::from(format!("/proc/{pid}/{file}"));
        std::fs::read_to_string(path).map_err(|error| Invalid(format!("process {pid}: {error}")))
    };
    Ok(Usage {
        cpu: cpu(&read("stat")?),
        resident: resident(&read("status")?),
    })
}

/// Fields 14 and 15 of `stat`, counted behind the command's name, which may contain anything.
fn cpu(stat: &str) -> Duration {
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u32 = ticks.filter_map(|field| field.parse::<u32>().ok()).sum();
    TICK * ticks
}

fn resident(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_and_status_are_read() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 9 0 1 2 3";
        assert_eq!(cpu(stat), Duration::from_secs(3));
        assert_eq!(resident("Name:\tx\nVmRSS:\t    2048 kB\n"), 2048 * 1024);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(usage(std::process::id()).unwrap().resident > 0);
        assert!(usage(u32::MAX).is_err());
    }
}
