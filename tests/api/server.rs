//! A server without a socket, and people who talk to it. Only presence and the announcer are stood in for, so that
//! tests can take presence away and see what is announced; the rest is what production runs.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use hobnob::api::{ApiConfig, router};
use hobnob::auth::{Auth, AuthConfig, Secret};
use hobnob::chat::{Chat, ChatPorts, Limits};
use hobnob::commit::frontier::Frontier;
use hobnob::commit::{Announce, Committer, CommitterConfig};
use hobnob::domain::{
    ConversationId, Entropy, Event, ManualClock, Seq, SessionId, Timestamp, UserId,
};
use hobnob::presence::{Presence, PresenceError, Transition};
use hobnob::store::Store;
use hobnob::store::sqlite::{SqliteOptions, SqliteStore};
use hobnob::throttle::LocalThrottle;
use hobnob::traces::{Trace, Traces};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// What every person's password is.
pub(super) const PASSWORD: &str = "correct horse";

/// A server on a data directory of its own.
pub(super) struct Server {
    router: Router,
    pub(super) chat: Arc<Chat>,
    pub(super) store: Arc<dyn Store>,
    pub(super) announced: Arc<Announced>,
    pub(super) presence: Arc<Roster>,
    pub(super) clock: Arc<ManualClock>,
    _directory: tempfile::TempDir,
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::with(ApiConfig::default(), Limits::default()).await
    }

    pub(super) async fn with(config: ApiConfig, limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let options = SqliteOptions {
            directory: directory.path().to_owned(),
            time_limit: SqliteOptions::TIME_LIMIT,
        };
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&options, clock.clone()).unwrap());
        store.migrate().await.unwrap();
        let (announced, presence) = (Arc::<Announced>::default(), Arc::<Roster>::default());
        let ports = ports(&store, &announced, &presence, &clock, limits.room_members);
        let chat = Arc::new(Chat::new(ports, limits));
        Self {
            router: router(Arc::clone(&chat), config),
            chat,
            store,
            announced,
            presence,
            clock,
            _directory: directory,
        }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    /// A request with or without a token and a JSON body.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        self.send(request.unwrap()).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, None, Some(body)).await
    }

    /// Somebody who has registered.
    pub(super) async fn person(&self, name: &str) -> Person<'_> {
        let typed = json!({"username": name, "password": PASSWORD});
        let answer = self.post("/register", typed).await.expect(201);
        Person {
            server: self,
            id: text(&answer["userId"]),
            token: text(&answer["token"]),
            refresh_token: text(&answer["refreshToken"]),
        }
    }
}

fn ports(
    store: &Arc<dyn Store>,
    announced: &Arc<Announced>,
    presence: &Arc<Roster>,
    clock: &Arc<ManualClock>,
    room_members: usize,
) -> ChatPorts {
    let entropy = Arc::new(Entropy::from_os());
    let config = AuthConfig {
        secrets: vec![Secret::parse("s".repeat(32)).unwrap()],
        ..AuthConfig::default()
    };
    let auth = Auth::start(&config, clock.clone(), Arc::clone(&entropy)).unwrap();
    let committer = Committer::new(
        CommitterConfig {
            room_members,
            ..CommitterConfig::default()
        },
        Arc::clone(store),
        announced.clone(),
        None,
        Arc::new(Frontier::default()),
        Arc::clone(&entropy),
        hobnob::metrics::Metrics::none(),
    );
    ChatPorts {
        store: Arc::clone(store),
        committer: Arc::new(committer),
        presence: presence.clone(),
        auth: Arc::new(auth),
        clock: clock.clone(),
        throttle: Arc::new(LocalThrottle::new(Arc::clone(&entropy))),
        entropy,
        traces: Traces::off(),
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    /// The JSON of an answer with this status.
    #[track_caller]
    pub(super) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        if self.text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.text).unwrap()
    }

    /// Asserts a refusal in the documented shape, with nothing else in it.
    #[track_caller]
    pub(super) fn refused(self, status: u16, code: &str) {
        assert_eq!(self.headers["content-type"], "application/json");
        let body = self.expect(status);
        let message = body["error"]["message"].as_str().unwrap();
        assert!(!message.is_empty());
        assert_eq!(body, json!({"error": {"code": code, "message": message}}));
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The target of a `Link` with this relation.
    pub(super) fn link(&self, rel: &str) -> Option<String> {
        let mark = format!(">; rel=\"{rel}\"");
        let entry = self
            .header("link")
            .split(", ")
            .find(|entry| entry.ends_with(&mark))?;
        Some(
            entry
                .trim_start_matches('<')
                .trim_end_matches(&mark)
                .to_owned(),
        )
    }
}

/// A registered user with tokens.
pub(super) struct Person<'a> {
    pub(super) server: &'a Server,
    pub(super) id: String,
    pub(super) token: String,
    pub(super) refresh_token: String,
}

impl Person<'_> {
    pub(super) fn user(&self) -> UserId {
        self.id.parse().unwrap()
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.server
            .call(Method::GET, path, Some(&self.token), None)
            .await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.server
            .call(Method::POST, path, Some(&self.token), Some(body))
            .await
    }

    pub(super) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.server
            .call(Method::PATCH, path, Some(&self.token), Some(body))
            .await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.server
            .call(Method::DELETE, path, Some(&self.token), None)
            .await
    }

    /// Makes a room with these others; its id.
    pub(super) async fn room(&self, name: &str, others: &[&Person<'_>]) -> String {
        let members: Vec<&str> = others.iter().map(|person| person.id.as_str()).collect();
        let room = self
            .post("/room", json!({"name": name, "members": members}))
            .await;
        text(&room.expect(201)["_id"])
    }

    /// Says something in a room; the message.
    pub(super) async fn say(&self, room: &str, content: &str) -> Value {
        self.post("/group", json!({"roomId": room, "content": content}))
            .await
            .expect(201)
    }

    /// Says something to somebody, as a socket would; the message's seq.
    pub(super) async fn tell(&self, other: &Person<'_>, content: &str) -> Seq {
        let chat = &self.server.chat;
        let draft = chat.draft(content, None).unwrap();
        let sending = chat.submit_direct(self.user(), other.user(), draft, None);
        sending.await.unwrap().stored().await.unwrap().seq
    }
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The values of one field of every entry.
pub(super) fn each(list: &Value, field: &str) -> Vec<Value> {
    let list = list.as_array().unwrap();
    list.iter().map(|entry| entry[field].clone()).collect()
}

/// Remembers what was announced.
#[derive(Default)]
pub(super) struct Announced {
    pub(super) joined: Mutex<Vec<(ConversationId, Vec<UserId>)>>,
    pub(super) committed: Mutex<Vec<Arc<Event>>>,
}

impl Announce for Announced {
    fn committed(&self, event: &Arc<Event>, _: Option<SessionId>, _: Option<&Trace>) {
        self.committed.lock().push(Arc::clone(event));
    }

    fn delegated(&self, _: &Arc<Event>, _: Option<SessionId>) {}

    fn found(&self, _event: &Arc<Event>) {}

    fn joined(&self, conversation: ConversationId, users: &[UserId]) {
        self.joined.lock().push((conversation, users.to_vec()));
    }
}

/// How presence is.
#[derive(Debug, Default, Clone, Copy)]
pub(super) enum Mood {
    #[default]
    Fine,
    Away,
    Panicking,
}

/// Who is online.
#[derive(Default)]
pub(super) struct Roster {
    users: Mutex<HashSet<UserId>>,
    pub(super) mood: Mutex<Mood>,
}

#[async_trait]
impl Presence for Roster {
    fn signals(&self) -> Option<tokio::sync::mpsc::Receiver<hobnob::presence::PresenceSignal>> {
        None
    }

    async fn enter(&self, user: UserId) -> Result<Transition, PresenceError> {
        self.users.lock().insert(user);
        Ok(Transition::Changed)
    }

    async fn exit(&self, user: UserId) -> Result<Transition, PresenceError> {
        self.users.lock().remove(&user);
        Ok(Transition::Changed)
    }

    async fn online(&self, users: &[UserId]) -> Result<Vec<bool>, PresenceError> {
        let mood = *self.mood.lock();
        match mood {
            Mood::Fine => {
                let online = self.users.lock();
                Ok(users.iter().map(|user| online.contains(user)).collect())
            }
            Mood::Away => Err(PresenceError("away".to_owned())),
            Mood::Panicking => panic!("presence panics, as this test wants"),
        }
    }

    async fn gateways(&self) -> Result<Vec<hobnob::domain::GatewayId>, PresenceError> {
        Ok(Vec::new())
    }

    async fn run(&self, stop: CancellationToken) {
        stop.cancelled().await;
    }
}

/// More than an access token's lifetime.
pub(super) const SIXTEEN_MINUTES: Duration = Duration::from_secs(16 * 60);
