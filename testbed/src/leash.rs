//! Child processes that cannot outlive whoever starts them, not even when it is killed with -9.
//!
//! Knows how a process is started on `deploy/local/leash`, signalled and ended; refuses to know what it serves.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to start or to answer before a test fails.
pub const START_DEADLINE: Duration = Duration::from_secs(60);

/// The repository's root directory.
pub fn repository() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// A file named `name` in `.tools/bin`, else on PATH.
///
/// # Panics
/// When there is none: a test that needs a real server never skips.
pub fn tool(name: &str) -> PathBuf {
    find_tool(name).unwrap_or_else(|| panic!("`{name}` was not found: run `make tools`"))
}

/// The same, if there is one.
pub fn find_tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::iter::once(repository().join(".tools/bin"))
        .chain(std::env::split_paths(&path))
        // Debian keeps servers where only root's PATH looks.
        .chain([PathBuf::from("/usr/sbin")])
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

/// A port of 127.0.0.1 that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a loopback port");
    listener.local_addr().expect("its address").port()
}

/// Sends a signal (`KILL`, `TERM`, `STOP`, `CONT`) to one process.
///
/// Bash's own `kill` is used because the workspace forbids `unsafe`. A process that has gone is not an error.
pub fn signal(pid: u32, name: &str) {
    let _gone_is_fine = Command::new("bash")
        .args([
            "-c",
            "kill -s \"$0\" \"$1\" 2>/dev/null",
            name,
            &pid.to_string(),
        ])
        .status()
        .expect("bash runs");
}

/// Freezes a process (SIGSTOP), and returns when each of its threads stands still: on a busy machine one may still
/// answer a request for a while after the signal was sent. A process that has gone is not an error.
///
/// # Panics
/// When it goes on.
pub fn freeze(pid: u32) {
    signal(pid, "STOP");
    let deadline = Instant::now() + START_DEADLINE;
    while !stands_still(pid) {
        assert!(Instant::now() < deadline, "{pid} goes on after SIGSTOP");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether every thread of a process is stopped or dead.
fn stands_still(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return true;
    };
    threads
        .filter_map(Result::ok)
        .all(|thread| state(&thread.path()).is_none_or(|state| "TtZX".contains(state)))
}

/// The state of a process or a thread, as the letter that proc(5) gives it; none when it has gone.
fn state(directory: &Path) -> Option<char> {
    let stat = std::fs::read_to_string(directory.join("stat")).ok()?;
    // A command's name may contain anything, but ends at the last bracket.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// A directory for a server's data, removed when dropped.
pub fn scratch(prefix: &str) -> TempDir {
    tempfile::Builder::new()
        .prefix(&format!("hobnob-{prefix}-"))
        .tempdir()
        .expect("a temporary directory")
}

/// One process on a leash. Dropping it kills the process and keeps its directory, which belongs to the caller.
#[derive(Debug)]
pub struct Leashed {
    leash: Child,
    pid: u32,
}

impl Leashed {
    /// Starts `command` on a leash; its output goes to `output.log` in `directory`, which the leash removes if this
    /// process dies. Environment and working directory of `command` are kept.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(directory: &Path, command: &Command) -> Self {
        let mut leash = Command::new(repository().join("deploy/local/leash"));
        leash
            .arg(directory)
            .arg(command.get_program())
            .args(command.get_args());
        // Gateways refuse settings they do not know, and those of a command are complete.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HOBNOB_")) {
            leash.env_remove(name);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => leash.env(name, value),
                None => leash.env_remove(name),
            };
        }
        if let Some(working_directory) = command.get_current_dir() {
            leash.current_dir(working_directory);
        }
        let mut leash = leash
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("deploy/local/leash starts");
        let mut line = String::new();
        let output = leash.stdout.take().expect("a piped output");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("the leash prints a process id");
        let pid = line.trim().parse().expect("a process id");
        Self { leash, pid }
    }

    /// The process id of the command itself, not of its leash.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the command still runs (a zombie does not).
    pub fn is_running(&self) -> bool {
        state(Path::new(&format!("/proc/{}", self.pid)))
            .is_some_and(|state| state != 'Z' && state != 'X')
    }

    /// `kill -9`, and waits until the process is gone.
    pub fn kill9(mut self) {
        let _killed = self.end();
    }

    /// Waits until the command has ended by itself, and returns its exit status.
    ///
    /// # Panics
    /// When it still runs after the deadline.
    pub async fn ended(mut self) -> Option<i32> {
        let deadline = Instant::now() + START_DEADLINE;
        while self.is_running() {
            assert!(Instant::now() < deadline, "{} does not end", self.pid);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.end()
    }

    /// Kills the command if it still runs; the status it had.
    fn end(&mut self) -> Option<i32> {
        if let Some(mut order) = self.leash.stdin.take() {
            let _already_gone = order.write_all(b"keep\n");
        }
        self.leash.wait().ok()?.code()
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        let _killed = self.end();
    }
}
