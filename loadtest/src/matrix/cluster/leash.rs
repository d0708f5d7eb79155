//! Child processes that cannot outlive this one, on `deploy/local/leash`. Knows signals; refuses to know what is served.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Invalid;

/// One process on a leash. Dropping it kills the process and keeps its directory.
#[derive(Debug)]
pub(crate) struct Leashed {
    leash: Child,
    pid: u32,
}

impl Leashed {
    /// Starts a command; its output is appended to `output.log` in `directory`.
    pub(crate) fn start(directory: &Path, command: &Command) -> Result<Self, Invalid> {
        let mut leash = Command::new(repository().join("deploy/local/leash"));
        leash
            .arg(directory)
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        // The gateways refuse settings they do not know, and ours are complete.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HOBNOB_")) {
            leash.env_remove(name);
        }
        leash.envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let mut leash = leash.spawn()?;
        let output = leash
            .stdout
            .take()
            .ok_or_else(|| Invalid("no output".to_owned()))?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let pid = line.trim().parse();
        let pid = pid.map_err(|_| Invalid("the leash printed no process id".to_owned()))?;
        Ok(Self { leash, pid })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it still runs (a zombie does not).
    pub(crate) fn is_running(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let state = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next());
        state.is_some_and(|state| state != 'Z' && state != 'X')
    }

    /// Sends a signal: `TERM`, `STOP`, `CONT`. Bash's own `kill`, because unsafe code is forbidden here.
    pub(crate) fn signal(&self, name: &str) -> Result<(), Invalid> {
        let pid = self.pid.to_string();
        let status = Command::new("bash")
            .args(["-c", "kill -s \"$0\" \"$1\"", name, &pid])
            .status()?;
        match status.success() {
            true => Ok(()),
            false => Err(Invalid(format!("process {pid} took no {name}"))),
        }
    }

    fn end(&mut self) {
        if let Some(mut order) = self.leash.stdin.take() {
            let _already_gone = order.write_all(b"keep\n");
        }
        let _already_reaped = self.leash.wait();
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        self.end();
    }
}

/// The repository's root.
pub(crate) fn repository() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// A port of 127.0.0.1 that was free a moment ago.
pub(crate) fn free_port() -> Result<u16, Invalid> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A program of the repository's own tools, else one on PATH.
pub(crate) fn tool(name: &str) -> PathBuf {
    let own = repository().join(".tools/bin").join(name);
    if own.is_file() {
        own
    } else {
        PathBuf::from(name)
    }
}
