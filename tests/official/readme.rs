//! README's own programs, as they stand there: twice in a row on the same data, directly and through HAProxy; the
//! client also over a restart of its gateway and the end of its token.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::register;
use crate::support::gateway::{Gateway, metric_sum};
use crate::support::leash::{START_DEADLINE, repository, scratch, tool};
use crate::support::servers::Proxy;
use crate::support::until;

/// The code blocks of this language in README, in their order.
fn blocks(language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(repository().join("README.md")).expect("README");
    let fence = format!("```{language}\n");
    let mut parts = text.split(&fence);
    parts.next();
    let blocks = parts.map(|part| part.split("```").next().unwrap_or_default().to_owned());
    blocks.collect()
}

/// Runs what is labelled `sh` by `sh`, as one script, and returns what it said.
async fn run_shell(shell: &str, url: &str) -> String {
    let blocks = blocks("sh");
    assert!(blocks.len() >= 2, "where are the commands?");
    let script = format!("set -eu\n{}", blocks.concat());
    let mut command = Command::new(shell);
    command.arg("-c").arg(script).env("URL", url);
    let run = command.output().await.expect("a shell");
    let complaints = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success(), "{complaints}{run:?}");
    String::from_utf8(run.stdout).expect("text")
}

#[tokio::test]
async fn the_commands_run_in_sh_and_bash_twice_in_a_row_directly_and_through_haproxy() {
    let gateways = [Gateway::embedded().await];
    let proxy = Proxy::haproxy(&gateways).await;
    for url in [gateways[0].url(""), proxy.url("")] {
        for shell in ["sh", "bash"] {
            for _ in 0..2 {
                let said = run_shell(shell, &url).await;
                assert_eq!(
                    said.matches("Hello, den!").count(),
                    2,
                    "sent and read: {said}"
                );
            }
        }
    }
}

/// README's client as a process: lines in are messages, lines out are what came.
struct Talk {
    child: Child,
    input: ChildStdin,
    said: Arc<Mutex<Vec<String>>>,
}

impl Talk {
    fn start(folder: &Path, url: &str, me: &str, other: &Value) -> Self {
        let mut command = Command::new(tool("node"));
        command
            .arg(folder.join("talk.mjs"))
            .args([me, other["userId"].as_str().expect("an id")])
            .env("URL", url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("node runs");
        let said = Arc::default();
        listen(child.stdout.take(), &said);
        listen(child.stderr.take(), &said);
        Self {
            input: child.stdin.take().expect("its input"),
            child,
            said,
        }
    }

    async fn say(&mut self, content: &str) {
        let line = format!("{content}\n");
        let written = self.input.write_all(line.as_bytes()).await;
        written.expect("it reads");
    }

    fn heard(&self, content: &str) -> usize {
        let said = self.said.lock();
        said.iter().filter(|line| line.ends_with(content)).count()
    }

    async fn hears(&self, content: &str) {
        until(content, async || {
            let is_heard = self.heard(content) > 0;
            is_heard
                .then_some(())
                .ok_or_else(|| self.said.lock().clone())
        })
        .await;
    }

    /// No more lines: it ends, and had everything once.
    async fn ends(self, contents: &[String]) {
        drop(self.input);
        let mut child = self.child;
        let status = tokio::time::timeout(START_DEADLINE, child.wait()).await;
        assert!(status.expect("an end").expect("a status").success());
        let said = self.said.lock();
        for content in contents {
            let count = said.iter().filter(|line| line.ends_with(content)).count();
            assert_eq!(count, 1, "{content}: {said:#?}");
        }
    }
}

fn listen(output: Option<impl AsyncRead + Unpin + Send + 'static>, said: &Arc<Mutex<Vec<String>>>) {
    let mut lines = BufReader::new(output.expect("its output")).lines();
    let said = Arc::clone(said);
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            said.lock().push(line);
        }
    });
}

/// README's client in a folder where it finds its package.
fn talk_program() -> TempDir {
    let folder = scratch("talk");
    let programs: Vec<String> = blocks("js");
    assert_eq!(programs.len(), 1, "one program, whole");
    std::fs::write(folder.path().join("talk.mjs"), &programs[0]).expect("a file");
    let packages = repository().join("tests/clients/node_modules");
    std::os::unix::fs::symlink(packages, folder.path().join("node_modules")).expect("a link");
    folder
}

async fn until_tokens_expired(gateway: &Gateway, sessions: usize) {
    until("tokens expire", async || {
        let metrics = gateway.metrics().await;
        let of_tokens = metrics.lines().filter(|line| line.contains("unauthorized"));
        let of_tokens: String = of_tokens.map(|line| format!("{line}\n")).collect();
        let ended = metric_sum(&of_tokens, "hobnob_sessions_closed_total");
        (ended >= sessions as f64).then_some(()).ok_or(metrics)
    })
    .await;
}

/// A conversation of two of README's clients: at once, after a kill of the gateway, and after the end of their tokens.
async fn converse(gateway: &mut Gateway, url: &str, run: usize, people: [&Value; 2]) {
    let folder = talk_program();
    let mut alice = Talk::start(folder.path(), url, "alice", people[1]);
    let mut bob = Talk::start(folder.path(), url, "bob", people[0]);
    let said = |what: &str| format!("{what} in run {run} by {url}");
    let (first, second) = (said("hello"), said("after the kill"));
    let (third, fourth) = (said("after the token"), said("to the end"));

    alice.say(&first).await;
    bob.hears(&first).await;
    gateway.restart().await;
    bob.say(&second).await;
    alice.hears(&second).await;
    until_tokens_expired(gateway, 2).await;
    alice.say(&third).await;
    bob.hears(&third).await;
    bob.say(&fourth).await;
    alice.hears(&fourth).await;
    alice.ends(&[second, fourth]).await;
    bob.ends(&[first, third]).await;
}

#[tokio::test]
async fn the_client_goes_on_over_a_restart_and_its_tokens_end_twice_in_a_row_directly_and_through_haproxy()
 {
    let settings = [("HOBNOB_ACCESS_TOKEN_LIFETIME", "10s")];
    let mut gateways = [Gateway::embedded_with(&settings).await];
    let alice = register(&gateways[0], "alice").await;
    let bob = register(&gateways[0], "bob").await;
    let proxy = Proxy::haproxy(&gateways).await;
    for (run, url) in [gateways[0].url(""), proxy.url("")].iter().enumerate() {
        converse(&mut gateways[0], url, run, [&alice, &bob]).await;
    }
}
