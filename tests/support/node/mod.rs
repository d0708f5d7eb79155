//! Socket.IO clients of others as typed test clients: the official one (`socket.io-client` from npm) in several versions, and
//! python-socketio.
//!
//! Knows `tests/clients/driver.mjs`, `driver.py` and their lines; refuses to know hobnob's events and payloads.
//! Commands and lines travel over a Unix socket, so that the Node process can be on a leash even when it is frozen.

mod arrivals;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Mutex as AsyncMutex;

use arrivals::Arrivals;

use crate::support::fold::Fold;
use crate::support::leash::{Leashed, START_DEADLINE, freeze, repository, scratch, signal, tool};

/// How long a client waits for anything before the test fails.
const WAIT_DEADLINE: Duration = Duration::from_secs(60);

/// Whose clients a process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Library {
    /// The official one, by its name in `tests/clients/package.json`.
    JavaScript(&'static str),
    /// python-socketio, `sync` or `async`.
    Python(&'static str),
}

impl Library {
    /// What runs its driver; the socket comes next.
    fn driver(self) -> Command {
        let clients = repository().join("tests/clients");
        let (program, driver, installed) = match self {
            Self::JavaScript(package) => {
                let installed = clients.join("node_modules").join(package);
                (tool("node"), "driver.mjs", installed)
            }
            Self::Python(_) => {
                let python = repository().join(".tools/python-clients/bin/python");
                (python.clone(), "driver.py", python)
            }
        };
        assert!(
            installed.exists(),
            "{self:?} is not installed: run `make tools`"
        );
        let mut command = Command::new(program);
        command.arg(clients.join(driver));
        command
    }

    fn variant(self) -> &'static str {
        match self {
            Self::JavaScript(variant) | Self::Python(variant) => variant,
        }
    }
}

/// One Node process with any number of Socket.IO clients in it. Dropping it kills the process.
pub(crate) struct Node {
    process: Leashed,
    commands: AsyncMutex<OwnedWriteHalf>,
    arrivals: Arc<Arrivals>,
    next_number: AtomicU64,
    _directory: TempDir,
}

/// One official client inside a [`Node`].
pub(crate) struct SocketIo {
    node: Arc<Node>,
    id: String,
    fold: Arc<Fold>,
}

/// Why a connection was refused: the client's `connect_error`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ConnectError {
    /// The error's message.
    pub(crate) message: String,
    /// The error's `data`, null when the server sent none.
    pub(crate) data: Value,
}

impl Node {
    /// Starts a process with the newest official client, and waits until it listens to commands.
    ///
    /// # Panics
    /// When Node or `tests/clients/node_modules` is missing: run `make tools`.
    pub(crate) async fn start() -> Arc<Self> {
        Self::start_with(Library::JavaScript("socket.io-client")).await
    }

    /// The same with clients of this library.
    ///
    /// # Panics
    /// When it is missing: run `make tools`.
    pub(crate) async fn start_with(library: Library) -> Arc<Self> {
        let directory = scratch("node");
        let path = directory.path().join("driver.sock");
        let listener = UnixListener::bind(&path).expect("a Unix socket");
        let mut command = library.driver();
        command.arg(&path).arg(library.variant());
        let process = Leashed::start(directory.path(), &command);
        let accepted = tokio::time::timeout(START_DEADLINE, listener.accept()).await;
        let (stream, _) = accepted
            .expect("the driver connects in time")
            .expect("the driver connects");
        let (commands, arrivals) = listen(stream);
        let node = Self {
            process,
            commands,
            arrivals,
            next_number: AtomicU64::new(1),
            _directory: directory,
        };
        Arc::new(node)
    }

    /// The process id, to freeze or kill all clients in it at once.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Freezes the process (SIGSTOP): its clients keep their connections and read nothing.
    pub(crate) fn stop(&self) {
        freeze(self.pid());
    }

    /// Lets a frozen process go on (SIGCONT).
    pub(crate) fn cont(&self) {
        signal(self.pid(), "CONT");
    }

    /// Starts a client with the given `socket.io-client` options (`auth`, `transports`, `reconnection`, …), without
    /// waiting for the outcome.
    pub(crate) async fn client(self: &Arc<Self>, url: &str, options: Value) -> SocketIo {
        self.client_emitting(url, options, &[]).await.0
    }

    /// The same, and emits these events (a name and its arguments) in the same breath, long before the client has
    /// connected. The references are for [`SocketIo::wait_ack`].
    pub(crate) async fn client_emitting(
        self: &Arc<Self>,
        url: &str,
        options: Value,
        events: &[(&str, Value)],
    ) -> (SocketIo, Vec<u64>) {
        let id = format!("client-{}", self.number());
        let fold = Arc::<Fold>::default();
        self.arrivals.fold_into(&id, &fold);
        let client = SocketIo {
            node: Arc::clone(self),
            id,
            fold,
        };
        let references: Vec<u64> = events.iter().map(|_| self.number()).collect();
        let emits = events.iter().zip(&references);
        let emits: Vec<Value> = emits
            .map(|((event, arguments), reference)| json!({ "event": event, "args": arguments, "ref": reference }))
            .collect();
        client
            .send(json!({ "do": "connect", "url": url, "options": options, "emits": emits }))
            .await;
        (client, references)
    }

    /// Connects a client with `token` over `transports` (`websocket`, `polling`, or both for the upgrade).
    ///
    /// # Errors
    /// The first `connect_error`, after which the client is disconnected for good.
    pub(crate) async fn connect(
        self: &Arc<Self>,
        url: &str,
        token: &str,
        transports: &[&str],
    ) -> Result<SocketIo, ConnectError> {
        let options = json!({ "auth": { "token": token }, "transports": transports });
        let client = self.client(url, options).await;
        match client.wait_connected().await {
            Ok(()) => Ok(client),
            Err(error) => {
                client.disconnect().await;
                Err(error)
            }
        }
    }

    fn number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// `kill -9` of all clients in it at once.
    pub(crate) fn kill9(&self) {
        signal(self.pid(), "KILL");
    }

    async fn send(&self, command: &Value) {
        let line = format!("{command}\n");
        self.commands
            .lock()
            .await
            .write_all(line.as_bytes())
            .await
            .expect("node takes a command");
    }
}

impl SocketIo {
    /// Waits for the outcome of connecting.
    ///
    /// # Errors
    /// The `connect_error` when that comes first.
    pub(crate) async fn wait_connected(&self) -> Result<(), ConnectError> {
        let line = self
            .take(|line| line["type"] == "connect" || line["type"] == "connect_error")
            .await;
        if line["type"] == "connect" {
            return Ok(());
        }
        let message = line["message"].as_str().unwrap_or_default().to_owned();
        Err(ConnectError {
            message,
            data: line["data"].clone(),
        })
    }

    /// Waits for an `open` or `upgrade` of the connection, and returns the transport in use then.
    pub(crate) async fn wait_transport(&self, kind: &str) -> String {
        let line = self.take(|line| line["type"] == kind).await;
        line["transport"].as_str().unwrap_or_default().to_owned()
    }

    /// Emits without an acknowledgement.
    pub(crate) async fn emit(&self, event: &str, arguments: Value) {
        self.send(json!({ "do": "emit", "event": event, "args": arguments }))
            .await;
    }

    /// Emits `arguments` (an array) and returns the first argument of the acknowledgement.
    ///
    /// # Panics
    /// When none comes within 60 s.
    pub(crate) async fn emit_with_ack(&self, event: &str, arguments: Value) -> Value {
        let reference = self.emit_for_ack(event, arguments).await;
        self.wait_ack(reference).await
    }

    /// Emits now and returns the reference with which [`SocketIo::wait_ack`] waits later: many may be under way.
    pub(crate) async fn emit_for_ack(&self, event: &str, arguments: Value) -> u64 {
        let reference = self.node.number();
        let wait = u64::try_from(WAIT_DEADLINE.as_millis()).expect("a short time");
        let command = json!({ "do": "emit", "event": event, "args": arguments, "ref": reference, "timeoutMs": wait });
        self.send(command).await;
        reference
    }

    /// Waits for one acknowledgement.
    pub(crate) async fn wait_ack(&self, reference: u64) -> Value {
        let answer = self.wait_outcome(reference).await;
        answer.unwrap_or_else(|| panic!("{} got no answer to {reference}", self.id))
    }

    /// The same; none when the client gave up, which it does at once when its connection ends.
    pub(crate) async fn wait_outcome(&self, reference: u64) -> Option<Value> {
        let arrivals = &self.node.arrivals;
        let mut line = self.wait("an answer", || arrivals.answer(reference)).await;
        (line["type"] == "ack").then(|| line["args"][0].take())
    }

    /// The logs it received, of every event that is in one.
    pub(crate) fn fold(&self) -> &Fold {
        &self.fold
    }

    /// Takes the first event of this name that was not taken yet, and returns its first argument. Other events stay.
    pub(crate) async fn wait_for(&self, event: &str) -> Value {
        let mut line = self
            .take(|line| line["type"] == "event" && line["event"] == event)
            .await;
        line["args"][0].take()
    }

    /// The same, for the first one whose argument is the one looked for.
    pub(crate) async fn wait_for_matching(
        &self,
        event: &str,
        matches: impl Fn(&Value) -> bool,
    ) -> Value {
        let wanted = |line: &Value| {
            line["type"] == "event" && line["event"] == event && matches(&line["args"][0])
        };
        self.take(wanted).await["args"][0].take()
    }

    /// Waits until the client reports a disconnect, and returns its reason (`transport close`, …).
    pub(crate) async fn wait_disconnected(&self) -> String {
        let line = self.take(|line| line["type"] == "disconnect").await;
        line["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// The first arguments of all events of this name received so far, taken or not, in order.
    pub(crate) fn received(&self, event: &str) -> Vec<Value> {
        self.node.arrivals.received(&self.id, event)
    }

    /// Closes politely; the client does not reconnect by itself.
    pub(crate) async fn disconnect(&self) {
        self.send(json!({ "do": "disconnect" })).await;
    }

    /// Connects a disconnected client again, with other credentials when given.
    pub(crate) async fn reconnect(&self, auth: Option<Value>) {
        match auth {
            Some(auth) => self.send(json!({ "do": "reconnect", "auth": auth })).await,
            None => self.send(json!({ "do": "reconnect" })).await,
        }
    }

    /// Closes the transport under the client, as a network does; the client reconnects by itself.
    pub(crate) async fn cut(&self) {
        self.send(json!({ "do": "cut" })).await;
    }

    async fn send(&self, mut command: Value) {
        command["id"] = json!(self.id);
        self.node.send(&command).await;
    }

    /// Takes the first waiting line of this client that `wanted` accepts; the others stay, in order.
    async fn take(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait("a line", || self.node.arrivals.take(&self.id, &wanted))
            .await
    }

    async fn wait(&self, what: &str, look: impl Fn() -> Option<Value>) -> Value {
        let arrivals = &self.node.arrivals;
        let mut changed = arrivals.subscribe();
        let found = tokio::time::timeout(WAIT_DEADLINE, async {
            loop {
                if let Some(line) = look() {
                    return line;
                }
                changed
                    .changed()
                    .await
                    .expect("the node process still speaks");
            }
        });
        found.await.unwrap_or_else(|_| {
            let left = arrivals.summary(&self.id);
            panic!("{} waited in vain for {what}; {left}", self.id)
        })
    }
}

/// Splits the connection into a sender of commands and a task that collects lines until Node ends.
fn listen(stream: UnixStream) -> (AsyncMutex<OwnedWriteHalf>, Arc<Arrivals>) {
    let (input, output) = stream.into_split();
    let arrivals = Arc::new(Arrivals::default());
    let collected = Arc::clone(&arrivals);
    tokio::spawn(async move {
        let mut lines = BufReader::new(input).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            collected.add(serde_json::from_str(&line).expect("the driver prints JSON"));
        }
    });
    (AsyncMutex::new(output), arrivals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::leash::free_port;

    #[tokio::test]
    async fn a_refused_connection_is_a_connect_error() {
        let node = Node::start().await;
        let url = format!("http://127.0.0.1:{}", free_port());
        let refused = node.connect(&url, "none", &["websocket"]).await;
        assert_eq!(
            refused.err().map(|error| error.message),
            Some("websocket error".to_owned())
        );
    }
}
