//! The seed's Socket.IO events and ours, served on the protocol layer. Knows names, arguments
//! and acknowledgements; what they do is the same as on `/ws`.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::chat::ChatError;
use crate::domain::{Entropy, SessionId};
use crate::fanout::hub::Opened;
use crate::fanout::offer::{Encoding, Protocol};
use crate::fanout::session::NewSession;
use crate::gateway::requests::{Answer, JoinOptions, Reply, Requests};
use crate::logging::served::{self, Served};
use crate::transport::outbox::{Frame, Mark, Reason};
use crate::transport::socketio::{
    Ack, Application, ConnectRefused, Connection, Event, HandshakeRequest, Socket, encode_event,
};

/// How many requests of one client may wait for their answers; the next is not read until one is answered.
const IN_FLIGHT: usize = 256;

static ENCODING: Encoding = Encoding {
    protocol: Protocol::SocketIo,
    encode: event,
};

fn event(name: &str, json: &[u8]) -> Frame {
    encode_event(name, &[std::str::from_utf8(json).unwrap_or("{}")])
}

/// Chat, as a Socket.IO application.
pub struct ChatApplication {
    requests: Requests,
    entropy: Arc<Entropy>,
}

impl ChatApplication {
    /// On these requests.
    #[must_use]
    pub fn new(requests: Requests, entropy: Arc<Entropy>) -> Self {
        Self { requests, entropy }
    }
}

#[async_trait]
impl Application for ChatApplication {
    async fn connect(
        &self,
        _namespace: &str,
        auth: Option<Value>,
        request: &HandshakeRequest,
        socket: Socket,
    ) -> Result<Box<dyn Connection>, ConnectRefused> {
        let metrics = self.requests.hub().metrics();
        let token = token(auth.as_ref(), request);
        let caller = token.and_then(|token| self.requests.chat().authenticate(&token));
        let caller = caller.map_err(|error| {
            metrics.refused.unauthorized.increment(1);
            refusal(&error)
        })?;
        let seat = self
            .requests
            .hub()
            .seats()
            .take(caller.user, request.origin);
        let seat = seat.map_err(|error| refusal(&error))?;
        let handshake = &metrics.handshake_seconds.socketio;
        handshake.record(request.at.elapsed());
        let session = self.requests.hub().open(NewSession {
            id: SessionId::generate(&self.entropy),
            user: caller.user,
            expires_at: caller.expires_at,
            encoding: &ENCODING,
            outbox: socket.outbox().clone(),
            is_auto: true,
            seat,
        });
        served::now_serving(Served::Session(session.id()));
        let in_flight = Arc::new(Semaphore::new(IN_FLIGHT));
        Ok(Box::new(ChatConnection {
            requests: self.requests.clone(),
            session,
            socket,
            in_flight,
        }))
    }
}

/// The token: `auth: {token}`, else `Authorization: Bearer`, else `?token=`.
fn token(auth: Option<&Value>, request: &HandshakeRequest) -> Result<String, ChatError> {
    match auth.and_then(|auth| auth.get("token")) {
        Some(Value::String(token)) => return Ok(token.clone()),
        Some(Value::Null) | None => {}
        Some(_) => return Err(ChatError::TokenInvalid),
    }
    let token = request.token().map(str::to_owned);
    token.ok_or(ChatError::TokenMissing)
}

fn refusal(error: &ChatError) -> ConnectRefused {
    let message = error.to_string();
    let data = json!({"code": error.code(), "message": message});
    ConnectRefused {
        message,
        data: Some(data),
    }
}

struct ChatConnection {
    requests: Requests,
    /// Left at the latest when the connection is dropped, by a panic as well.
    session: Opened,
    socket: Socket,
    in_flight: Arc<Semaphore>,
}

#[async_trait]
impl Connection for ChatConnection {
    async fn event(&mut self, event: Event<'_>) {
        let _unanswered = self.session.take_request();
        if let Err(error) = self.requests.admit(&self.session).await {
            return self
                .reply(event.ack, Reply::Now(self.requests.refuse(error)))
                .await;
        }
        let first = event.args.first().map_or("null", |arg| arg.get());
        let second = event.args.get(1).map(|arg| arg.get());
        let reply = match event.name.as_ref() {
            "join" => self.join(first, second).await,
            "join_room" => self.join_room(first).await.map(Reply::Now),
            name => self
                .requests
                .take(&self.session, name, first)
                .await
                .ok_or(ChatError::UnknownEvent),
        };
        let reply = reply.unwrap_or_else(|error| Reply::Now(self.requests.refuse(error)));
        self.reply(event.ack, reply).await;
    }

    fn proved(&mut self, mark: Mark) {
        self.requests.hub().proved(&self.session, mark);
    }

    fn taken(&mut self) {
        self.session.mark_now();
    }

    async fn disconnected(&mut self, reason: Reason) {
        self.session.leave();
        if reason == Reason::TransportClosed {
            self.requests.hub().before_goodbye(&self.session).await;
        }
    }
}

impl ChatConnection {
    /// `join(userId?, options?)`; the id may be left out altogether.
    async fn join(&self, first: &str, second: Option<&str>) -> Result<Reply, ChatError> {
        let (user, options) = match first {
            "null" => (None, second),
            object if object.starts_with('{') && second.is_none() => (None, Some(object)),
            text => (Some(string("userId", text)?), second),
        };
        let options = options.filter(|options| *options != "null");
        let options = options.map(JoinOptions::parse).transpose();
        let options = options.map(Option::unwrap_or_default);
        Ok(self
            .requests
            .join(&self.session, user.as_deref(), options)
            .await)
    }

    async fn join_room(&self, first: &str) -> Result<Answer, ChatError> {
        let room = string("roomId", first)?;
        Ok(self.requests.join_room(&self.session, &room).await)
    }

    async fn reply(&self, ack: Option<Ack>, reply: Reply) {
        let socket = self.socket.clone();
        match reply {
            Reply::Now(done) => answer(&socket, ack, &done),
            Reply::Joined(done, backlog) => {
                answer(&socket, ack, &done);
                self.requests.hub().deliver(&self.session, backlog);
            }
            Reply::Later(work) => {
                self.spawn(async move { answer(&socket, ack, &work.await) })
                    .await
            }
            Reply::Sent(work) => {
                let send = async move {
                    let sent = work.await;
                    answer(&socket, ack, &sent.answer);
                    sent.written();
                };
                self.spawn(send).await;
            }
        }
    }

    /// Runs what answers later; waits first while too many do.
    async fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let unanswered = self.session.take_request();
        let permit = Arc::clone(&self.in_flight).acquire_owned().await;
        served::spawn(async move {
            work.await;
            drop((permit, unanswered));
        });
    }
}

/// Answers by the acknowledgement; without one, a refusal is an `error` event.
fn answer(socket: &Socket, ack: Option<Ack>, answer: &Answer) {
    // Whoever has gone needs no answer.
    let _ = match (ack, answer) {
        (Some(ack), answer) => ack.send_raw(&[&answer.text()], Vec::new()),
        (None, Answer::Refused(_)) => socket.emit_raw("error", &[&answer.text()], Vec::new()),
        (None, Answer::Done(_)) => Ok(()),
    };
}

fn string(field: &'static str, json: &str) -> Result<String, ChatError> {
    serde_json::from_str(json).map_err(|_| ChatError::InvalidId { field })
}
