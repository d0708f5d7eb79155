//! A real `redis-server` that a test may kill, freeze, flush and restart on the same port.
//!
//! Speaks just enough of the Redis protocol to send a command; refuses to be a Redis client for the product.

use std::io::{BufRead, BufReader, Error, ErrorKind, Result, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::leash::{Leashed, START_DEADLINE, free_port, freeze, scratch, signal, tool};
use crate::until;

/// Of the users that tests make; it protects nothing.
const PASSWORD: &str = "of-a-test";

/// A Redis that lives as long as this value, or as the test process.
#[derive(Debug)]
pub struct Redis {
    process: Option<Leashed>,
    port: u16,
    directory: TempDir,
}

/// What Redis answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A simple or a bulk string.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A nil string or array.
    Nil,
    /// An array.
    Array(Vec<Reply>),
    /// An error, with its code word.
    Error(String),
}

/// The Redis shared by all tests that do not break it. Never flush it; use keys or databases of your own.
pub fn shared_redis() -> &'static Redis {
    static SHARED: OnceLock<Redis> = OnceLock::new();
    SHARED.get_or_init(Redis::start)
}

impl Redis {
    /// Starts a Redis without persistence: after a restart it is empty, which is what P5 is about.
    pub fn start() -> Self {
        for _ in 0..5 {
            let mut redis = Self {
                process: None,
                port: free_port(),
                directory: scratch("redis"),
            };
            redis.launch();
            // Another process may have taken the port in between: then this one exits at once.
            if redis.wait_ready() {
                return redis;
            }
        }
        panic!("redis-server did not start on five free ports");
    }

    /// Starts a copy of another server, and returns when it is in step.
    pub async fn start_replica(of: &Self) -> Self {
        let replica = Self::start();
        replica.command(&["REPLICAOF", "127.0.0.1", &of.port.to_string()]);
        until("a replica in step", async || {
            let info = replica.command(&["INFO", "replication"]);
            matches!(info, Reply::Text(info) if info.contains("master_link_status:up"))
        })
        .await;
        replica
    }

    /// Lets the next start begin empty again, after a `SAVE`.
    pub fn forget_snapshot(&self) {
        std::fs::remove_file(self.directory.path().join("dump.rdb")).expect("a snapshot");
    }

    /// `redis://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The same for a user of [`Self::grant`].
    pub fn url_of(&self, user: &str) -> String {
        format!("redis://{user}:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    /// Makes a user who may do everything, until the server restarts.
    pub fn grant(&self, user: &str) {
        let password = format!(">{PASSWORD}");
        let rules = [
            "ACL", "SETUSER", user, "reset", "on", &password, "~*", "&*", "+@all",
        ];
        assert_eq!(self.command(&rules), Reply::Text("OK".to_owned()));
    }

    /// The port, the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process id.
    ///
    /// # Panics
    /// When it has been killed.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a running redis-server").pid()
    }

    /// `kill -9`; returns when the process is gone.
    pub fn kill9(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill9();
        }
    }

    /// Freezes the server (SIGSTOP): connections stay open, nothing answers.
    pub fn stop(&self) {
        freeze(self.pid());
    }

    /// Lets a frozen server go on (SIGCONT).
    pub fn cont(&self) {
        signal(self.pid(), "CONT");
    }

    /// Kills the server if it still runs, and starts it again, empty, on the same port.
    pub fn restart(&mut self) {
        self.launch();
        assert!(
            self.wait_ready(),
            "redis-server did not come back on port {}",
            self.port
        );
    }

    /// Sends one command on a connection of its own and returns the answer.
    ///
    /// # Panics
    /// When the server cannot be reached or does not answer in 10 s.
    pub fn command(&self, arguments: &[&str]) -> Reply {
        self.try_command(arguments)
            .unwrap_or_else(|error| panic!("redis {arguments:?}: {error}"))
    }

    fn try_command(&self, arguments: &[&str]) -> Result<Reply> {
        ask(self.port, arguments)
    }

    /// Starts it, empty, on its port; kills it before if it still runs. [`Self::answers`] tells when it is there.
    pub fn launch(&mut self) {
        self.kill9();
        let mut command = Command::new(tool("redis-server"));
        command
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .arg("--dir")
            .arg(self.directory.path());
        self.process = Some(Leashed::start(self.directory.path(), &command));
    }

    fn wait_ready(&self) -> bool {
        let deadline = Instant::now() + START_DEADLINE;
        let process = self.process.as_ref().expect("launched");
        while process.is_running() && Instant::now() < deadline {
            if self.answers() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Whether what answers on the port is our process and not another's that took the port first.
    pub fn answers(&self) -> bool {
        let line = format!("process_id:{}\r\n", self.pid());
        matches!(self.try_command(&["INFO", "server"]), Ok(Reply::Text(info)) if info.contains(&line))
    }
}

/// Sends one command to whatever Redis listens on that port of 127.0.0.1.
///
/// # Errors
/// When it does not answer in 10 s.
pub fn ask(port: u16, arguments: &[&str]) -> Result<Reply> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut request = format!("*{}\r\n", arguments.len());
    for argument in arguments {
        request.push_str(&format!("${}\r\n{argument}\r\n", argument.len()));
    }
    stream.write_all(request.as_bytes())?;
    read_reply(&mut BufReader::new(stream))
}

fn read_reply(input: &mut impl BufRead) -> Result<Reply> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    let line = line.trim_end();
    let rest = line.get(1..).unwrap_or_default();
    match line.bytes().next() {
        Some(b'+') => Ok(Reply::Text(rest.to_owned())),
        Some(b'-') => Ok(Reply::Error(rest.to_owned())),
        Some(b':') => Ok(Reply::Integer(number(rest)?)),
        Some(b'$') => read_bulk(number(rest)?, input),
        Some(b'*') => read_array(number(rest)?, input),
        _ => Err(Error::new(
            ErrorKind::InvalidData,
            format!("not a reply: {line:?}"),
        )),
    }
}

fn read_bulk(length: i64, input: &mut impl BufRead) -> Result<Reply> {
    let Ok(length) = usize::try_from(length) else {
        return Ok(Reply::Nil);
    };
    let mut bytes = vec![0; length + 2];
    input.read_exact(&mut bytes)?;
    Ok(Reply::Text(
        String::from_utf8_lossy(&bytes[..length]).into_owned(),
    ))
}

fn read_array(length: i64, input: &mut impl BufRead) -> Result<Reply> {
    match usize::try_from(length) {
        Ok(length) => (0..length)
            .map(|_| read_reply(input))
            .collect::<Result<_>>()
            .map(Reply::Array),
        Err(_) => Ok(Reply::Nil),
    }
}

fn number(text: &str) -> Result<i64> {
    text.parse()
        .map_err(|_| Error::new(ErrorKind::InvalidData, format!("not a number: {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_answers_dies_and_comes_back_empty_on_its_port() {
        let mut redis = Redis::start();
        let first = redis.pid();
        assert_eq!(
            redis.command(&["SET", "key", "a b"]),
            Reply::Text("OK".to_owned())
        );
        assert_eq!(
            redis.command(&["GET", "key"]),
            Reply::Text("a b".to_owned())
        );
        assert_eq!(
            redis.command(&["MGET", "key", "none"]),
            Reply::Array(vec![Reply::Text("a b".to_owned()), Reply::Nil])
        );
        assert!(matches!(redis.command(&["INCR", "key"]), Reply::Error(_)));

        redis.kill9();
        assert!(redis.try_command(&["PING"]).is_err());

        redis.restart();
        assert_ne!(redis.pid(), first);
        assert_eq!(redis.command(&["EXISTS", "key"]), Reply::Integer(0));
    }

    #[test]
    fn the_shared_redis_is_one_server() {
        assert_eq!(
            shared_redis().url(),
            format!("redis://127.0.0.1:{}", shared_redis().port())
        );
        assert_eq!(
            shared_redis().command(&["PING"]),
            Reply::Text("PONG".to_owned())
        );
    }

    #[test]
    fn a_stopped_redis_is_frozen_until_it_continues() {
        let redis = Redis::start();
        redis.stop();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", redis.pid())).unwrap();
        assert!(stat.contains(") T "), "{stat}");
        redis.cont();
        assert_eq!(redis.command(&["PING"]), Reply::Text("PONG".to_owned()));
    }
}
