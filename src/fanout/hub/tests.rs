//! A hub on the embedded store, alone: what a session is given of its user's logs, over the ends of pages and of
//! memberships, and what it is asked to prove.

mod panics;
mod restored;

use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use super::super::offer::{Encoding, Protocol};
use super::super::session::Place;
use super::*;
use crate::bus::LocalBus;
use crate::commit::{Announce, CommitterConfig};
use crate::domain::{
    Body, ClientMessageId, Content, Entropy, Event, EventId, Fingerprint, GatewayId, Member, Role,
    RoomId, RoomName, Seq, SessionId, SystemClock, Timestamp, UserId,
};
use crate::metrics::Metrics;
use crate::presence::{LocalPresence, PresenceConfig};
use crate::store::sqlite::{SqliteOptions, SqliteStore};
use crate::store::{NewMessage, NewRoom, Run, Store};
use crate::traces::Traces;
use crate::transport::outbox::{Frame, Outbox, Pings};

const OWNER: UserId = UserId::from_bytes([1; 12]);
const NOW: Timestamp = Timestamp::from_millis(0);
/// Long enough for anything but a fault.
const DEADLINE: Duration = Duration::from_secs(30);

static ENCODING: Encoding = Encoding {
    protocol: Protocol::SocketIo,
    encode: |_, json| Frame::from(String::from_utf8(json.to_vec()).unwrap()),
};

/// What happens in a room, behind the event that makes it, before the user connects for the first time.
#[derive(Debug, Clone)]
struct Past {
    messages: usize,
    /// The user is removed, this many more messages are sent, and perhaps they are added again.
    removed: Option<(usize, bool)>,
}

impl Past {
    const fn of(messages: usize) -> Self {
        Self {
            messages,
            removed: None,
        }
    }
}

struct Scene {
    hub: Arc<Hub>,
    store: Arc<dyn Store>,
    entropy: Entropy,
    _directory: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = SqliteOptions {
            directory: directory.path().to_owned(),
            time_limit: SqliteOptions::TIME_LIMIT,
        };
        let store = SqliteStore::open(&options, Arc::new(SystemClock)).unwrap();
        store.migrate().await.unwrap();
        let gateway = GatewayId::from_u64(1);
        let ports = HubPorts {
            gateway,
            store: Arc::new(store),
            bus: Arc::new(LocalBus::hub().connect(gateway)),
            presence: Arc::new(LocalPresence::hub(PresenceConfig::default()).connect(gateway)),
            frontier: Arc::default(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(Entropy::seeded(1)),
            metrics: Metrics::none(),
            traces: Traces::off(),
        };
        Self {
            store: Arc::clone(&ports.store),
            hub: assemble(ports),
            entropy: Entropy::seeded(2),
            _directory: directory,
        }
    }

    fn user(&self) -> UserId {
        let mut bytes = [2; 12];
        self.entropy.fill(&mut bytes);
        UserId::from_bytes(bytes)
    }

    /// A room of the owner and this user with a past.
    async fn room(&self, user: UserId, past: &Past) -> ConversationId {
        let id = RoomId::generate(NOW, &self.entropy);
        let created = EventId::generate(NOW, &self.entropy);
        let name = RoomName::parse("a room").unwrap();
        let room = NewRoom::new((id, created), name, OWNER, &[user], NOW);
        self.store.create_room(room).await.unwrap();
        let (room, store) = (ConversationId::Room(id), &self.store);
        self.write(room, past.messages).await;
        if let Some((behind, is_added_again)) = past.removed {
            self.happen(room, Body::MemberRemoved { user, heir: None })
                .await;
            self.write(room, behind).await;
            if is_added_again {
                let role = Role::Member;
                self.happen(room, Body::MemberAdded { user, role }).await;
                self.write(room, 1).await;
            }
        }
        assert!(store.member(room, user).await.unwrap().is_some());
        room
    }

    async fn write(&self, conversation: ConversationId, count: usize) {
        let messages: Vec<_> = (0..count).map(|_| self.message(OWNER)).collect();
        for messages in messages.chunks(Run::LIMIT) {
            let first = self.head(conversation).await.next();
            let places = std::iter::successors(Some(first), |seq| Some(seq.next()));
            let events = messages.iter().zip(places);
            let events = events.map(|(message, seq)| message.event(conversation, seq));
            self.append(events.collect()).await;
        }
    }

    async fn append(&self, events: Vec<Event>) {
        let run = Run {
            conversation: events[0].conversation,
            first: events[0].seq,
            events: events.into_iter().map(Arc::new).collect(),
        };
        let outcomes = self.store.append(vec![run]).await;
        assert_eq!(outcomes[0].stopped, None);
    }

    async fn happen(&self, conversation: ConversationId, body: Body) {
        let event = Event {
            id: EventId::generate(NOW, &self.entropy),
            conversation,
            seq: self.head(conversation).await.next(),
            sender: OWNER,
            at: NOW,
            body,
        };
        self.append(vec![event]).await;
    }

    async fn head(&self, conversation: ConversationId) -> Seq {
        let heads = self.store.heads(&[conversation]).await.unwrap();
        heads.get(&conversation).copied().unwrap_or_default()
    }

    fn message(&self, sender: UserId) -> NewMessage {
        let id = EventId::generate(NOW, &self.entropy);
        let content = Content::parse("said", Content::DEFAULT_LIMIT).unwrap();
        NewMessage {
            id,
            sender,
            at: NOW,
            client_message_id: ClientMessageId::parse(&id.to_string()).unwrap(),
            fingerprint: Fingerprint::of(&content),
            content,
        }
    }

    /// All that is the user's of a log when they connect for the first time.
    async fn log_of(&self, user: UserId, conversation: ConversationId) -> Vec<u64> {
        let member = self.store.member(conversation, user).await.unwrap();
        let member: Member = member.unwrap();
        let head = self.head(conversation).await.min(member.last_seq());
        (member.resume_after().next().get()..=head.get()).collect()
    }

    async fn joined(&self, user: UserId, outbox_bytes: usize) -> Client {
        let outbox = Outbox::new(outbox_bytes);
        let session = self.hub.open(NewSession {
            id: SessionId::generate(&self.entropy),
            user,
            expires_at: Timestamp::from_millis(i64::MAX),
            encoding: &ENCODING,
            outbox: outbox.clone(),
            is_auto: true,
            seat: self.hub.seats().take(user, None).unwrap(),
        });
        let joined = self.hub.join(&session, Since::new(), None).await.unwrap();
        self.hub.deliver(&session, joined.backlog);
        Client {
            session,
            outbox,
            got: HashMap::new(),
            pings: 0,
        }
    }
}

/// A hub on these, with cursors and a committer that nobody asks for anything.
fn assemble(ports: HubPorts) -> Arc<Hub> {
    let parts = HubParts::new(HubConfig::default(), ports.clone());
    let cursors = Cursors::new(Arc::clone(&ports.store), parts.announcer(), Metrics::none());
    let committer = Committer::new(
        CommitterConfig::default(),
        ports.store,
        parts.announcer(),
        None,
        ports.frontier,
        ports.entropy,
        Metrics::none(),
    );
    Hub::new(parts, Arc::new(cursors), Arc::new(committer))
}

struct Client {
    session: Opened,
    outbox: Outbox,
    got: HashMap<String, Vec<u64>>,
    pings: usize,
}

impl Client {
    /// Takes what waits; answers no ping.
    fn take(&mut self) {
        while let Some(batch) = self.outbox.try_take(4096, Pings::ForProof) {
            self.pings += usize::from(batch.ping);
            for frame in batch.frames {
                let Frame::Text(text) = frame else {
                    panic!("binary")
                };
                let event: Value = serde_json::from_str(text.as_str()).unwrap();
                let id = event["conversationId"].as_str().unwrap().to_owned();
                let seq = event["seq"].as_u64().unwrap();
                self.got.entry(id).or_default().push(seq);
            }
        }
    }

    fn got(&self, conversation: ConversationId) -> Vec<u64> {
        let got = self.got.get(&conversation.to_string());
        got.cloned().unwrap_or_default()
    }

    /// Takes everything until the session catches up with nothing any more.
    async fn catch_up(&mut self) {
        let caught_up = async {
            loop {
                self.take();
                let is_behind = |place| matches!(place, Some(Place::CatchingUp { .. }));
                let mut places = self.session.conversations().into_iter();
                if !places.any(|id| is_behind(self.session.place(id))) {
                    return self.take();
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(DEADLINE, caught_up).await.unwrap();
    }
}

/// Nothing tells of what was passed over but a later event: what was read to its end must have been.
async fn expect_all(pasts: &[Past], outbox_bytes: usize) {
    let scene = Scene::new().await;
    let user = scene.user();
    let mut rooms = Vec::new();
    for past in pasts {
        rooms.push(scene.room(user, past).await);
    }
    let mut client = scene.joined(user, outbox_bytes).await;
    client.catch_up().await;
    for (room, past) in rooms.into_iter().zip(pasts) {
        let log = scene.log_of(user, room).await;
        assert_eq!(client.got(room), log, "{past:?} of {pasts:?}");
    }
}

#[tokio::test]
async fn d45_a_full_page_that_ends_with_a_membership_says_nothing_of_the_next_conversation() {
    // The event that makes the room, these, and the removal: a page.
    let first = Past {
        messages: 198,
        removed: Some((0, false)),
    };
    // In every order of the two rooms' ids, whichever the store's is.
    expect_all(&[first.clone(), Past::of(3)], 1 << 20).await;
    expect_all(&[Past::of(3), first.clone()], 1 << 20).await;
    expect_all(&[first.clone(), first, Past::of(3)], 1 << 20).await;
}

fn past() -> impl Strategy<Value = Past> {
    let messages = prop_oneof![0..4_usize, 195..203_usize, 396..402_usize];
    let behind = prop_oneof![0..3_usize, 199..202_usize];
    let removed = proptest::option::of((behind, any::<bool>()));
    (messages, removed).prop_map(|(messages, removed)| Past { messages, removed })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn d45_a_backlog_is_whole_whatever_ends_where_a_page_does(
        pasts in proptest::collection::vec(past(), 1..5),
        outbox_bytes in prop_oneof![Just(8 << 10), Just(1 << 20)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(expect_all(&pasts, outbox_bytes));
    }
}

#[tokio::test]
async fn d48_at_the_end_of_a_backlog_proof_of_it_is_asked_for_at_once() {
    let scene = Scene::new().await;
    let user = scene.user();
    let room = scene.room(user, &Past::of(299)).await;
    let mut client = scene.joined(user, 1 << 20).await;
    client.catch_up().await;
    assert_eq!(client.got(room).len(), 300);
    // The ping with the first event, and its pong; then one for the rest, although no second has passed. The hub does
    // not run, so no pacer's turn has come either.
    let asked = async {
        while !client.session.is_settled() {
            client.take();
            client.outbox.pong();
            if let Some(mark) = client.outbox.take_report() {
                client.session.prove(mark, |_, _| {});
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, asked).await.unwrap();
}

/// A direct message of the session's own, committed.
fn own_event(scene: &Scene, user: UserId, seq: u64) -> Arc<Event> {
    let direct = ConversationId::direct(user, OWNER);
    Arc::new(scene.message(user).event(direct, Seq::new(seq)))
}

/// Somebody with everything of their conversation with [`OWNER`], which is empty.
async fn live_in_a_direct_conversation() -> (Scene, UserId, ConversationId, Client) {
    let scene = Scene::new().await;
    let user = scene.user();
    let direct = ConversationId::direct(user, OWNER);
    scene.store.ensure_direct(direct, NOW).await.unwrap();
    let mut client = scene.joined(user, 1 << 20).await;
    client.catch_up().await;
    (scene, user, direct, client)
}

#[tokio::test]
async fn d33_an_own_message_that_is_answered_while_its_session_is_handed_over_counts_as_given() {
    let (scene, user, direct, mut client) = live_in_a_direct_conversation().await;
    client.session.withdraw();
    scene.hub.drain.release(&client.session, |_| true);
    let announcer = scene.hub.parts.announcer();
    for seq in [1, 2] {
        let event = own_event(&scene, user, seq);
        let expectation = client.session.expect(event.id);
        announcer.committed(&event, Some(client.session.id()), None);
        expectation.answered(direct, event.seq);
    }
    client.take();
    assert_eq!(client.got(direct), [0_u64; 0], "its answers show them");
    client.session.mark_now();
    client.take();
    client.outbox.prove_taken();
    let mut proved = Vec::new();
    let mark = client.outbox.take_report().unwrap();
    client.session.prove(mark, |_, seq| proved.push(seq.get()));
    assert_eq!(proved, [2]);
}

#[tokio::test]
async fn d29_an_own_message_that_was_passed_and_is_not_answered_is_written_after_all() {
    let (scene, user, direct, mut client) = live_in_a_direct_conversation().await;
    let event = own_event(&scene, user, 1);
    let expectation = client.session.expect(event.id);
    // Another gateway has stored it, and the bus tells of it before that gateway's answer, which is lost.
    scene.hub.parts.announcer().found(&event);
    client.take();
    assert_eq!(client.got(direct), [0_u64; 0]);
    drop(expectation);
    client.take();
    assert_eq!(client.got(direct), [1]);
}
