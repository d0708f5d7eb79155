//! What one event costs a gateway in memory: encoding, the envelope for the bus, and the hub's offer to its sessions. No
//! sockets and no database: `loadtest/` measures those.
//!
//!     cargo bench --bench gateway

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has nothing to say"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use hobnob::bus::LocalBus;
use hobnob::chat::Cursors;
use hobnob::commit::frontier::Frontier;
use hobnob::commit::{Announce, Committer, CommitterConfig};
use hobnob::domain::{
    Body, ClientMessageId, Clock, Content, ConversationId, Entropy, Event, EventId, Fingerprint,
    GatewayId, Message, Reactions, RoomId, RoomName, Seq, SessionId, SystemClock, Timestamp,
    UserId,
};
use hobnob::fanout::envelope::{Envelope, encode_event};
use hobnob::fanout::hub::{Announcer, Hub, HubConfig, HubParts, HubPorts, Opened};
use hobnob::fanout::offer::{Encoding, Offer, Protocol};
use hobnob::fanout::session::NewSession;
use hobnob::metrics::Metrics;
use hobnob::presence::{LocalPresence, PresenceConfig};
use hobnob::redis::Seal;
use hobnob::store::sqlite::{SqliteOptions, SqliteStore};
use hobnob::store::{NewRoom, Store};
use hobnob::traces::Traces;
use hobnob::transport::outbox::{Outbox, Pings};
use hobnob::transport::socketio;
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

/// How long the sessions may take to read their (empty) backlog.
const SETTLE: Duration = Duration::from_secs(1);
/// Bytes of a message's text.
const TEXT: usize = 100;
/// The gateway that publishes.
const WRITER: GatewayId = GatewayId::from_u64(1);

static ENCODING: Encoding = Encoding {
    protocol: Protocol::SocketIo,
    encode: |name, json| socketio::encode_event(name, &[std::str::from_utf8(json).unwrap_or("{}")]),
};

fn message(conversation: ConversationId, seq: u64) -> Arc<Event> {
    let content = Content::parse(&"x".repeat(TEXT), TEXT).expect("a text");
    Arc::new(Event {
        id: EventId::from_bytes([1; 12]),
        conversation,
        seq: Seq::new(seq),
        sender: UserId::from_bytes([2; 12]),
        at: Timestamp::from_millis(1_764_000_000_000),
        body: Body::Message(Message {
            original: None,
            fingerprint: Fingerprint::of(&content),
            content: Some(content),
            client_message_id: ClientMessageId::parse("c-1").expect("an id"),
            edited_at: None,
            deleted_at: None,
            reactions: Reactions::default(),
        }),
    })
}

fn room() -> ConversationId {
    RoomId::from_bytes([3; 12]).into()
}

/// A message's JSON, and its frame.
#[divan::bench]
fn encode(bencher: Bencher<'_, '_>) {
    let event = message(room(), 7);
    let frame = |offer: &Offer| {
        offer
            .encoded
            .as_ref()
            .map(|encoded| encoded.frame(&ENCODING))
    };
    bencher.bench(|| frame(&Offer::of(black_box(&event))));
}

/// To the bus; the JSON is there already.
#[divan::bench]
fn envelope_encode(bencher: Bencher<'_, '_>) {
    let offer = Offer::of(&message(room(), 7));
    bencher.bench(|| encode_event(black_box(&offer), WRITER));
}

/// From the bus.
#[divan::bench]
fn envelope_decode(bencher: Bencher<'_, '_>) {
    let payload = encode_event(&Offer::of(&message(room(), 7)), WRITER);
    bencher
        .with_inputs(|| payload.clone())
        .bench_values(Envelope::decode);
}

/// The proof that a payload is ours (D49): once for each that is published.
#[divan::bench]
fn proof_sign(bencher: Bencher<'_, '_>) {
    let (seal, payload) = (seal(), payload());
    let parts: [&[u8]; 2] = [b"hobnob:room:", &payload];
    bencher.bench(|| seal.sign(black_box(&parts)));
}

/// The same for each that is heard.
#[divan::bench]
fn proof_verify(bencher: Bencher<'_, '_>) {
    let (seal, payload) = (seal(), payload());
    let parts: [&[u8]; 2] = [b"hobnob:room:", &payload];
    let tag = seal.sign(&parts);
    bencher.bench(|| seal.verifies(black_box(&parts), &tag));
}

fn seal() -> Seal {
    Seal::new(
        &[b"the secret of the benchmark".as_slice()],
        "log",
        Arc::new(SystemClock),
    )
}

fn payload() -> Bytes {
    encode_event(&Offer::of(&message(room(), 7)), WRITER)
}

/// From the announcement of a commit to the last session's outbox, including the publication on a bus within the
/// process. Items are deliveries.
#[divan::bench(args = [1, 100, 10_000])]
fn hub_offer(bencher: Bencher<'_, '_>, sessions: usize) {
    let scene = Scene::with(sessions);
    let _context = scene.runtime.enter();
    let mut seq = 1;
    bencher
        .counter(ItemsCount::new(sessions))
        .with_inputs(|| {
            scene.drain();
            seq += 1;
            message(scene.room, seq)
        })
        .bench_local_values(|event| scene.announcer.committed(&event, None, None));
}

/// A hub with sessions of one user in one room, all of them live.
struct Scene {
    runtime: Runtime,
    announcer: Arc<Announcer>,
    room: ConversationId,
    outboxes: Vec<Outbox>,
    _opened: Vec<Opened>,
    _directory: tempfile::TempDir,
}

impl Scene {
    fn with(sessions: usize) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let directory = tempfile::tempdir().expect("a directory");
        let (announcer, room, outboxes, opened) =
            runtime.block_on(live(directory.path(), sessions));
        Self {
            runtime,
            announcer,
            room,
            outboxes,
            _opened: opened,
            _directory: directory,
        }
    }

    fn drain(&self) {
        for outbox in &self.outboxes {
            outbox.try_take(usize::MAX, Pings::HeartbeatOnly);
        }
    }
}

async fn live(
    directory: &std::path::Path,
    sessions: usize,
) -> (Arc<Announcer>, ConversationId, Vec<Outbox>, Vec<Opened>) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy = Arc::new(Entropy::seeded(1));
    let options = SqliteOptions {
        directory: directory.to_owned(),
        time_limit: SqliteOptions::TIME_LIMIT,
    };
    let store = SqliteStore::open(&options, Arc::clone(&clock)).expect("a store");
    store.migrate().await.expect("a schema");
    let (user, at) = (UserId::from_bytes([2; 12]), clock.now());
    let name = RoomName::parse("bench").expect("a name");
    let (id, created) = (RoomId::from_bytes([3; 12]), EventId::from_bytes([4; 12]));
    let made = NewRoom::new((id, created), name, user, &[], at);
    store.create_room(made).await.expect("a room");
    let gateway = GatewayId::generate(&entropy);
    let presence = LocalPresence::hub(PresenceConfig::default());
    let ports = HubPorts {
        gateway,
        store: Arc::new(store),
        bus: Arc::new(LocalBus::hub().connect(gateway)),
        presence: Arc::new(presence.connect(gateway)),
        frontier: Arc::new(Frontier::default()),
        clock,
        entropy: Arc::clone(&entropy),
        metrics: Metrics::none(),
        traces: Traces::off(),
    };
    let (announcer, hub) = assemble(ports);
    let (mut outboxes, mut opened) = (Vec::new(), Vec::new());
    for _ in 0..sessions {
        let outbox = Outbox::new(1 << 20);
        let session = hub.open(NewSession {
            id: SessionId::generate(&entropy),
            user,
            expires_at: Timestamp::from_millis(i64::MAX),
            encoding: &ENCODING,
            outbox: outbox.clone(),
            is_auto: true,
            seat: hub.seats().take(user, None).expect("there is no limit"),
        });
        let joined = hub.join(&session, HashMap::new(), None).await;
        hub.deliver(&session, joined.expect("it joins").backlog);
        outboxes.push(outbox);
        opened.push(session);
    }
    // The hub says to nobody that a session is attached; an event that reaches all of them does.
    tokio::time::sleep(SETTLE).await;
    announcer.committed(&message(id.into(), 1), None, None);
    let is_live = |outbox: &Outbox| outbox.queued_bytes() > 0;
    assert!(outboxes.iter().all(is_live), "not all sessions are live");
    (announcer, id.into(), outboxes, opened)
}

fn assemble(ports: HubPorts) -> (Arc<Announcer>, Arc<Hub>) {
    let parts = HubParts::new(HubConfig::default(), ports.clone());
    let announcer = parts.announcer();
    let store = || Arc::clone(&ports.store);
    let cursors = Cursors::new(store(), parts.announcer(), Metrics::none());
    let committer = Committer::new(
        CommitterConfig::default(),
        store(),
        parts.announcer(),
        None,
        ports.frontier,
        ports.entropy,
        Metrics::none(),
    );
    let hub = Hub::new(parts, Arc::new(cursors), Arc::new(committer));
    (announcer, hub)
}
