//! The seed's Socket.IO events and ours, served on the protocol layer. Knows names, arguments
//! and acknowledgements; what they do is the same as on `/ws`.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::chat::ChatError;
use crate::domain::{Entropy, SessionId};
use crate::fanout::hub::Opened;
use crate::fanout::offer::{Encoding, Protocol};
use crate::fanout::session::NewSession;
use crate::gateway::requests::{Answer, JoinOptions, Reply, Requests, Responder};
use crate::logging::served::{self, Served};
use crate::transport::outbox::{Frame, Mark, Reason};
use crate::transport::socketio::{
    Ack, Application, ConnectRefused, HandshakeRequest, NamespaceHandler, ReceivedEvent, Socket,
    encode_event,
};
use crate::wire::ErrorJson;

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
    /// An application that answers events with these requests.
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
    ) -> Result<Box<dyn NamespaceHandler>, ConnectRefused> {
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
        Ok(Box::new(ChatConnection {
            requests: self.requests.clone(),
            responder: self.requests.responder(),
            session,
            socket,
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
    let told = ErrorJson::from(error).error;
    ConnectRefused {
        message: told.message.clone().into_owned(),
        data: serde_json::to_value(told).ok(),
    }
}

struct ChatConnection {
    requests: Requests,
    responder: Responder,
    /// Left at the latest when the connection is dropped, by a panic as well.
    session: Opened,
    socket: Socket,
}

#[async_trait]
impl NamespaceHandler for ChatConnection {
    async fn event(&mut self, event: ReceivedEvent<'_>) {
        let _unanswered = self.session.take_request();
        let (socket, ack) = (self.socket.clone(), event.ack);
        let write = move |done| answer(&socket, ack, &done);
        if let Err(error) = self.requests.admit(&self.session).await {
            return write(self.requests.refuse(error));
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
        match reply {
            Ok(reply) => self.responder.answer(&self.session, reply, write).await,
            Err(error) => write(self.requests.refuse(error)),
        }
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
