//! What clients ask over a socket, and what they are answered: the same operations and objects on both protocols.
//! Knows the use cases and the hub; knows no frames. A protocol hands over a name and JSON, and writes the answer.

mod answer;
#[cfg(fuzzing)]
pub mod fuzzing;
mod params;
mod reply;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument;

use crate::chat::{Chat, ChatError, Sending};
use crate::domain::{ChangeKind, ConversationId, Refusal, RoomId, Seq, UserId};
use crate::fanout::hub::{Hub, Since};
use crate::fanout::session::{Expectation, Session};
use crate::metrics::Metrics;
use crate::traces::Receiving;

pub use answer::Answer;
use answer::{ChangedJson, JoinedJson, Ok, PresenceList, SentJson};
pub use params::JoinOptions;
use params::{Authenticate, Delete, Edit, Position, React, SendDirect, SendRoom, Typing, id, read};
pub use reply::{Reply, Responder, Sent};

/// How long a session is not read after a request beyond its rate.
const BRAKE: Duration = Duration::from_millis(10);

/// Takes up requests of sessions.
#[derive(Debug, Clone)]
pub struct Requests {
    chat: Arc<Chat>,
    hub: Arc<Hub>,
}

impl Requests {
    /// Answers what these use cases say, to sessions of this hub.
    #[must_use]
    pub fn new(chat: Arc<Chat>, hub: Arc<Hub>) -> Self {
        Self { chat, hub }
    }

    /// The use cases, for who is asked to say whom a token speaks for.
    #[must_use]
    pub fn chat(&self) -> &Arc<Chat> {
        &self.chat
    }

    /// The hub, where an authenticated connection becomes a session.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// What answers the requests of one connection.
    #[must_use]
    pub fn responder(&self) -> Responder {
        Responder::new(Arc::clone(&self.hub))
    }

    /// Whether a session may ask now. One that asks too fast is slowed down besides: refusing costs time too, and others
    /// need it.
    ///
    /// # Errors
    /// `rate_limited`.
    pub async fn admit(&self, session: &Session) -> Result<(), ChatError> {
        let admitted = session
            .admit(self.chat.session_rate())
            .map_err(ChatError::from)
            .and_then(|()| self.chat.admit(session.user()));
        if admitted.is_err() {
            tokio::time::sleep(BRAKE).await;
        }
        admitted
    }

    /// Takes up a request; `None` when there is none of this name. Returns when the session's next request may be taken
    /// up: a send has its place behind the earlier ones then.
    pub async fn take(&self, session: &Arc<Session>, name: &str, payload: &str) -> Option<Reply> {
        // At the level debug only: a span costs more than everything else that is done here. Whose session it is, every
        // line says.
        let span = tracing::debug_span!("request", name);
        self.take_up(session, name, payload).instrument(span).await
    }

    async fn take_up(&self, session: &Arc<Session>, name: &str, payload: &str) -> Option<Reply> {
        let reply = match name {
            "send_message" => self.send_message(session, payload).await,
            "send_group_message" => self.send_group_message(session, payload),
            "message_ack" => self.acknowledge(session, payload, false),
            "message_read" => self.acknowledge(session, payload, true),
            "typing" => self.typing(session, payload).await,
            "edit_message" => self.edit(session, payload),
            "delete_message" => self.delete(session, payload),
            "react" => self.react(session, payload),
            "watch_presence" => self.watch(session, payload).await,
            "unwatch_presence" => self.unwatch(session, payload),
            "authenticate" => self.authenticate(session, payload),
            _ => return None,
        };
        self.count(session);
        if matches!(reply, Result::Ok(Reply::Sent(_))) {
            let taken = &self.hub.metrics().messages_in;
            session.protocol().of(taken).increment(1);
        }
        Some(reply.unwrap_or_else(|error| Reply::Now(self.refuse(error))))
    }

    /// Prepares delivery, which [`Hub::deliver`] starts once the answer is written. `user` is the id a client claims, if it
    /// does; `options` is how it wants to resume, or what is wrong with what it said about that.
    pub async fn join(
        &self,
        session: &Arc<Session>,
        user: Option<&str>,
        options: Result<JoinOptions, ChatError>,
    ) -> Reply {
        self.count(session);
        let joined = async {
            self.claim(session, "userId", user)?;
            let options = options?;
            let since = resume_points(options.since)?;
            let is_auto = options.ack.map(|mode| mode.is_auto());
            self.hub.join(session, since, is_auto).await
        };
        match joined.await {
            Result::Ok(joined) => {
                let answer = JoinedJson::new(session.user(), &joined);
                Reply::Joined(Answer::done(&answer), joined.backlog)
            }
            Err(error) => Reply::Now(self.refuse(error)),
        }
    }

    fn count(&self, session: &Session) {
        let taken = &self.hub.metrics().socket_requests;
        session.protocol().of(taken).increment(1);
    }

    /// A refusal, which is counted.
    #[must_use]
    pub fn refuse(&self, error: ChatError) -> Answer {
        refusal(self.hub.metrics(), error)
    }

    /// Whether the session's user belongs to a room; delivery is by membership, so there is nothing else to do.
    pub async fn join_room(&self, session: &Session, room: &str) -> Answer {
        let checked = async {
            let room: RoomId = id("roomId", room)?;
            self.require_member(session, room.into()).await
        };
        match checked.await {
            Result::Ok(()) => Answer::done(&Ok::default()),
            Err(error) => self.refuse(error),
        }
    }

    async fn send_message(
        &self,
        session: &Arc<Session>,
        payload: &str,
    ) -> Result<Reply, ChatError> {
        let receiving = self.receiving(session);
        let params: SendDirect = read(payload)?;
        self.claim(session, "senderId", params.sender_id.as_deref())?;
        let receiver: UserId = id("receiverId", &params.receiver_id)?;
        let draft = self
            .chat
            .draft(&params.content, params.client_message_id.as_deref())?
            .traced(receiving);
        let expectation = session.expect(draft.id());
        let sending = self
            .chat
            .submit_direct(session.user(), receiver, draft, Some(session.id()))
            .await?;
        Ok(self.answer_send(sending, Some(expectation)))
    }

    fn send_group_message(&self, session: &Session, payload: &str) -> Result<Reply, ChatError> {
        let receiving = self.receiving(session);
        let params: SendRoom = read(payload)?;
        self.claim(session, "senderId", params.sender_id.as_deref())?;
        let room: RoomId = id("roomId", &params.room_id)?;
        let draft = self
            .chat
            .draft(&params.content, params.client_message_id.as_deref())?
            .traced(receiving);
        let sending = self
            .chat
            .submit_room(session.user(), room, draft, Some(session.id()))?;
        Ok(self.answer_send(sending, None))
    }

    /// The span of a message that is being received, when it is traced.
    fn receiving(&self, session: &Session) -> Option<Receiving> {
        let protocol = session.protocol().name();
        let traces = self.chat.traces();
        traces.receive(protocol, Some(session.id()), None)
    }

    fn acknowledge(
        &self,
        session: &Arc<Session>,
        payload: &str,
        is_read: bool,
    ) -> Result<Reply, ChatError> {
        let (conversation, seq) = read::<Position>(payload)?.parse()?;
        let (hub, session) = (Arc::clone(&self.hub), Arc::clone(session));
        Ok(self.later(async move {
            hub.acknowledge(&session, conversation, seq, is_read)
                .await?;
            Ok(Answer::done(&Ok::default()))
        }))
    }

    async fn typing(&self, session: &Session, payload: &str) -> Result<Reply, ChatError> {
        let params: Typing = read(payload)?;
        let conversation = params.conversation(session.user())?;
        self.require_member(session, conversation).await?;
        self.hub.typing(conversation, session.user(), params.typing);
        Ok(Reply::Now(Answer::done(&Ok::default())))
    }

    fn edit(&self, session: &Session, payload: &str) -> Result<Reply, ChatError> {
        let params: Edit = read(payload)?;
        let (conversation, seq) = params.at.parse()?;
        let (chat, user) = (Arc::clone(&self.chat), session.user());
        Ok(self.later(async move {
            let event = chat
                .edit_message(user, conversation, seq, &params.content)
                .await?;
            Ok(Answer::done(&ChangedJson::new(event.as_deref())))
        }))
    }

    fn delete(&self, session: &Session, payload: &str) -> Result<Reply, ChatError> {
        let params: Delete = read(payload)?;
        let (conversation, seq) = params.at.parse()?;
        let (chat, user) = (Arc::clone(&self.chat), session.user());
        Ok(self.later(async move {
            let kind = ChangeKind::Delete { target: seq };
            let event = chat.change(conversation, user, kind).await?;
            Ok(Answer::done(&ChangedJson::new(event.as_deref())))
        }))
    }

    fn react(&self, session: &Session, payload: &str) -> Result<Reply, ChatError> {
        let params: React = read(payload)?;
        let (conversation, seq) = params.at.parse()?;
        let (chat, user) = (Arc::clone(&self.chat), session.user());
        Ok(self.later(async move {
            let reaction = (params.emoji.as_str(), params.added);
            let event = chat.react(user, conversation, seq, reaction).await?;
            Ok(Answer::done(&ChangedJson::new(event.as_deref())))
        }))
    }

    async fn watch(&self, session: &Arc<Session>, payload: &str) -> Result<Reply, ChatError> {
        let users = params::user_ids(payload)?;
        let online = self.hub.watch(session, &users).await?;
        Ok(Reply::Now(Answer::done(&PresenceList::new(online))))
    }

    fn unwatch(&self, session: &Session, payload: &str) -> Result<Reply, ChatError> {
        self.hub.unwatch(session, &params::user_ids(payload)?);
        Ok(Reply::Now(Answer::done(&PresenceList::new(HashMap::new()))))
    }

    fn authenticate(&self, session: &Session, payload: &str) -> Result<Reply, ChatError> {
        let params: Authenticate = read(payload)?;
        let caller = self.chat.authenticate(&params.token)?;
        if caller.user != session.user() {
            return Err(ChatError::WrongUser { field: "token" });
        }
        session.extend(caller.expires_at);
        Ok(Reply::Now(Answer::done(&Ok::default())))
    }

    async fn require_member(
        &self,
        session: &Session,
        conversation: ConversationId,
    ) -> Result<(), ChatError> {
        let is_member = match conversation {
            ConversationId::Direct(..) => conversation.peer_of(session.user()).is_some(),
            ConversationId::Room(_) if session.is_live(conversation) => true,
            ConversationId::Room(_) => self.chat.is_member(conversation, session.user()).await?,
        };
        if is_member {
            Result::Ok(())
        } else {
            Err(ChatError::Refused(Refusal::NotAMember))
        }
    }

    fn later(
        &self,
        work: impl Future<Output = Result<Answer, ChatError>> + Send + 'static,
    ) -> Reply {
        let metrics = self.hub.metrics().clone();
        Reply::Later(Box::pin(async move {
            work.await.unwrap_or_else(|error| refusal(&metrics, error))
        }))
    }

    fn answer_send(&self, sending: Sending, expectation: Option<Expectation>) -> Reply {
        let metrics = self.hub.metrics().clone();
        let begun = Instant::now();
        Reply::Sent(Box::pin(async move {
            let (answer, place) = match sending.stored().await {
                Result::Ok(event) => {
                    metrics.ack_seconds.record(begun.elapsed());
                    let place = (event.conversation, event.seq);
                    (Answer::done(&SentJson::new(&event)), Some(place))
                }
                Err(error) => (refusal(&metrics, error), None),
            };
            Sent {
                answer,
                place,
                expectation,
            }
        }))
    }

    /// A user id in a request, for compatibility with the seed, must be the token's.
    fn claim(
        &self,
        session: &Session,
        field: &'static str,
        claimed: Option<&str>,
    ) -> Result<(), ChatError> {
        match claimed {
            None => Result::Ok(()),
            Some(text) if id::<UserId>(field, text)? == session.user() => Result::Ok(()),
            Some(_) => Err(ChatError::WrongUser { field }),
        }
    }
}

fn refusal(metrics: &Metrics, error: ChatError) -> Answer {
    metrics.request_failed(error.code());
    Answer::Refused(error)
}

fn resume_points(since: HashMap<String, u64>) -> Result<Since, ChatError> {
    let points = since
        .into_iter()
        .map(|(conversation, seq)| Result::Ok((id("since", &conversation)?, Seq::new(seq))));
    points.collect()
}
