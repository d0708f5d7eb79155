//! One connection of `/ws`: takes requests in order, and hands proofs of receipt on. What it says is written by the
//! flusher.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::coop::consume_budget;
use tokio::time::Instant;
use tungstenite::Message;

use super::super::requests::{Answer, Reply, Responder};
use super::frames::{self, ENCODING, Head};
use super::shared::{Guest, NativeContext};
use crate::auth::Caller;
use crate::chat::ChatError;
use crate::domain::{Origin, SessionId};
use crate::fanout::hub::Opened;
use crate::fanout::seats::Seat;
use crate::fanout::session::{NewSession, Session};
use crate::logging::served::{self, Served};
use crate::transport::brake::Brake;
use crate::transport::closing::closing;
use crate::transport::lobby::LobbyPlace;
use crate::transport::outbox::{Outbox, Reason};
use crate::transport::websocket::{Ping, PingCount, WebSocket, reason_of};

/// How long the last frames of a session may take.
const FAREWELL: Duration = Duration::from_secs(2);

pub(super) struct NativeSocket {
    shared: Arc<NativeContext>,
    outbox: Outbox,
    session: Option<Opened>,
    /// Its place in the lobby, until it is known whose it is.
    stranger: Option<LobbyPlace>,
    origin: Option<Origin>,
    responder: Responder,
    pings: Arc<PingCount>,
    brake: Brake,
    /// When the handshake came.
    begun: Instant,
}

impl NativeSocket {
    /// Serves a connection until it ends.
    pub(super) async fn serve(
        shared: Arc<NativeContext>,
        socket: WebSocket,
        guest: Guest,
        origin: Option<Origin>,
        begun: Instant,
    ) {
        let config = &shared.config;
        let outbox = Outbox::new(config.outbox_bytes);
        let is_stranger = matches!(guest, Guest::Stranger(_));
        let hello_within = is_stranger.then_some(config.hello_within);
        outbox.start_heartbeat(
            &shared.wheel,
            config.ping_interval,
            config.ping_timeout,
            hello_within,
        );
        let pings = Arc::new(PingCount::default());
        let ping = Ping::Numbered(Arc::clone(&pings));
        let bytes_out = shared.requests.hub().metrics().bytes_out.websocket.clone();
        socket.attach(&outbox, &config.flusher, ping, bytes_out);
        let responder = shared.requests.responder();
        let mut connection = Self {
            shared,
            outbox: outbox.clone(),
            session: None,
            stranger: None,
            origin,
            responder,
            pings,
            brake: Brake::default(),
            begun,
        };
        match guest {
            Guest::Known(caller, seat) => drop(connection.open(caller, seat)),
            Guest::Stranger(stranger) => connection.stranger = Some(stranger),
        }
        // Its last words are said beside what the reader still does, and where the transport carries them (D20).
        let code = |reason| {
            let closing = closing(reason);
            (closing.code, closing.reason)
        };
        tokio::join!(
            connection.live(&socket),
            socket.serve(&outbox, FAREWELL, code)
        );
    }

    async fn live(&mut self, socket: &WebSocket) {
        self.read(socket).await;
        // It has left before its last words are written.
        self.session = None;
    }

    fn session(&self) -> Option<&Arc<Session>> {
        self.session.as_deref()
    }

    async fn read(&mut self, socket: &WebSocket) {
        let outbox = self.outbox.clone();
        loop {
            // Whatever is wrong with a session, others get their turn (D39).
            consume_budget().await;
            // Not beyond this: a proof that is read below would wake this very task.
            let message = {
                let signal = outbox.session_signal();
                tokio::pin!(signal);
                signal.as_mut().enable();
                self.report();
                if self.outbox.is_closed() {
                    return;
                }
                tokio::select! {
                    message = socket.next() => message,
                    () = signal => continue,
                }
            };
            match message {
                Some(Ok(Message::Text(text))) => {
                    let metrics = self.shared.requests.hub().metrics();
                    metrics.bytes_in.websocket.increment(text.len() as u64);
                    self.request(text.as_str()).await;
                }
                Some(Ok(Message::Pong(payload))) => {
                    // One that answers no ping is allowed at any time (RFC 6455, 5.5.3), and proves nothing.
                    if self.pings.is_last(&payload) {
                        self.outbox.pong();
                    }
                    self.brake.slow_down().await;
                }
                Some(Ok(Message::Ping(_) | Message::Frame(_))) => self.brake.slow_down().await,
                Some(Ok(Message::Binary(_))) => self.outbox.close(Reason::UnsupportedData),
                Some(Ok(Message::Close(_))) => {
                    if let Some(session) = &self.session {
                        let hub = self.shared.requests.hub();
                        hub.before_goodbye(session).await;
                    }
                    self.outbox.close(Reason::TransportClosed);
                }
                None => self.outbox.close(Reason::TransportClosed),
                Some(Err(error)) => self.outbox.close(reason_of(&error)),
            }
        }
    }

    /// Hands proofs of receipt on.
    fn report(&self) {
        while let Some(mark) = self.outbox.take_report() {
            if let Some(session) = self.session() {
                self.shared.requests.hub().proved(session, mark);
            }
        }
    }

    async fn request(&mut self, text: &str) {
        let _unanswered = self.session().map(Session::take_request);
        let head = frames::head(text);
        if let Err(error) = self.admit().await {
            return self.refuse(&head.unwrap_or_default(), error);
        }
        let head = match head {
            Ok(head) => head,
            Err(error) => return self.refuse(&Head::default(), error),
        };
        let reply = match (head.name.as_str(), self.session().cloned()) {
            ("hello", _) => self.hello(text).await,
            (_, None) => Err(ChatError::TokenMissing),
            ("join_room", Some(session)) => self.join_room(&session, text).await,
            (name, Some(session)) => self.take(&session, name, text).await,
        };
        match reply {
            Ok(reply) => self.reply(head, reply).await,
            Err(error) => {
                let reason = without_user(&error);
                self.refuse(&head, error);
                if self.session.is_none() {
                    // A connection without a user has one try: its client must not wait for the time limit.
                    self.outbox.close(reason);
                }
            }
        }
    }

    async fn admit(&self) -> Result<(), ChatError> {
        let Some(session) = self.session() else {
            return Ok(());
        };
        self.while_busy(self.shared.requests.admit(session)).await
    }

    async fn take(
        &self,
        session: &Arc<Session>,
        name: &str,
        text: &str,
    ) -> Result<Reply, ChatError> {
        let taken = self.shared.requests.take(session, name, text);
        self.while_busy(taken).await.ok_or(ChatError::UnknownEvent)
    }

    /// Authenticates, unless the handshake did, and starts delivery (D32).
    async fn hello(&mut self, text: &str) -> Result<Reply, ChatError> {
        let hello = frames::hello(text)?;
        let session = match (&hello.token, self.session()) {
            (Some(token), None) => {
                let (caller, seat) = self.shared.seat(token, self.origin)?;
                self.open(caller, seat)
            }
            (Some(token), Some(session)) => {
                let caller = self.shared.requests.chat().authenticate(token)?;
                if caller.user != session.user() {
                    return Err(ChatError::WrongUser { field: "token" });
                }
                session.extend(caller.expires_at);
                Arc::clone(session)
            }
            (None, Some(session)) => Arc::clone(session),
            (None, None) => return Err(ChatError::TokenMissing),
        };
        let requests = &self.shared.requests;
        Ok(requests.join(&session, None, hello.options()).await)
    }

    async fn join_room(&self, session: &Session, text: &str) -> Result<Reply, ChatError> {
        Ok(Reply::Now(
            self.shared
                .requests
                .join_room(session, &frames::room(text)?)
                .await,
        ))
    }

    fn open(&mut self, caller: Caller, seat: Seat) -> Arc<Session> {
        let opened = self.shared.requests.hub().open(NewSession {
            id: SessionId::generate(&self.shared.entropy),
            user: caller.user,
            expires_at: caller.expires_at,
            encoding: &ENCODING,
            outbox: self.outbox.clone(),
            is_auto: false,
            seat,
        });
        if let Some(stranger) = self.stranger.take() {
            stranger.is_known();
        }
        let handshake = &self.shared.requests.hub().metrics().handshake_seconds;
        handshake.websocket.record(self.begun.elapsed());
        self.outbox.settle();
        served::now_serving(Served::Session(opened.id()));
        let session = Arc::clone(&opened);
        self.session = Some(opened);
        session
    }

    async fn reply(&self, head: Head, reply: Reply) {
        let Some(session) = self.session() else {
            return;
        };
        let outbox = self.outbox.clone();
        let write = move |done| answer(&outbox, &head, &done);
        self.while_busy(self.responder.answer(session, reply, write))
            .await;
    }

    /// Does what keeps the connection from being read.
    async fn while_busy<T>(&self, work: impl Future<Output = T>) -> T {
        self.outbox.set_busy(true);
        let done = work.await;
        self.outbox.set_busy(false);
        done
    }

    fn refuse(&self, head: &Head, error: ChatError) {
        answer(&self.outbox, head, &self.shared.requests.refuse(error));
    }
}

fn answer(outbox: &Outbox, head: &Head, answer: &Answer) {
    // Whoever has gone needs no answer.
    let _ = outbox.push(frames::answer(head, answer));
}

/// How a connection ends whose user could not be found out, or not let in.
const fn without_user(error: &ChatError) -> Reason {
    match error {
        ChatError::TooManySessions { .. } => Reason::TooManySessions,
        ChatError::Busy => Reason::ServerClosed,
        _ => Reason::Unauthorized,
    }
}
