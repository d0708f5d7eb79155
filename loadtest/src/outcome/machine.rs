//! On what a run was measured: the machine, the servers' versions, the commit. Knows no run.

use std::process::Command;

use serde::{Deserialize, Serialize};

use testbed::leash::{find_tool, repository};

/// The machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    /// In bytes.
    pub(crate) memory: u64,
    pub(crate) kernel: String,
    /// Of mongod, redis-server and node.
    pub(crate) servers: Vec<String>,
}

impl Machine {
    /// This one.
    pub(crate) fn here() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_once(':'));
            value
                .map(|(_, value)| value.trim().to_owned())
                .unwrap_or_default()
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let kilobytes = memory.trim_end_matches(" kB").parse::<u64>();
        let versions = [
            ("mongod", "--version"),
            ("redis-server", "--version"),
            ("node", "--version"),
        ];
        Self {
            processor: field(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory: kilobytes.unwrap_or_default() * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            servers: versions
                .iter()
                .map(|(name, flag)| version(name, flag))
                .collect(),
        }
    }
}

fn version(name: &str, flag: &str) -> String {
    let output = Command::new(find_tool(name).unwrap_or_else(|| name.into()))
        .arg(flag)
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    let words = text
        .split_whitespace()
        .map(|word| word.trim_start_matches("v="));
    let is_version = |word: &&str| {
        let digits = word.trim_start_matches('v');
        digits.starts_with(|first: char| first.is_ascii_digit()) && digits.contains('.')
    };
    format!(
        "{name} {}",
        words.into_iter().find(is_version).unwrap_or("?")
    )
}

/// The commit that is checked out, with `+` when tracked files differ from it.
pub(crate) fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(repository())
            .args(arguments)
            .output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        text.unwrap_or_default()
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    let mark = if changed.is_empty() { "" } else { "+" };
    format!("{}{mark}", git(&["rev-parse", "--short=10", "HEAD"]))
}

/// The date and time now, in UTC.
pub(crate) fn now() -> String {
    let output = Command::new("date")
        .args(["-u", "+%Y-%m-%dT%H:%M:%SZ"])
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described() {
        let machine = Machine::here();
        assert!(machine.cores > 0 && machine.memory > 0);
        assert!(
            machine.servers.iter().all(|server| !server.ends_with('?')),
            "{machine:?}"
        );
        assert!(now().starts_with("20"));
    }
}
