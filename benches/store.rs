//! What the log costs: appending to either store, and reading back the page that fills a gap.
//!
//!     cargo bench --bench store
//!     HOBNOB_BENCH_MONGODB='mongodb://127.0.0.1:27017/bench?replicaSet=rs0' cargo bench --bench store
//!
//! Without the variable the MongoDB rows are left out (their benchmarks do not exist then, rather than measure nothing);
//! the database it names is written to. Items are events.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has nothing to say"
)]

use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use hobnob::domain::{
    ClientMessageId, Clock, Content, ConversationId, Entropy, EventId, Fingerprint, RoomId, Seq,
    SystemClock, UserId,
};
use hobnob::fanout::offer::Offer;
use hobnob::store::mongo::{MongoConfig, MongoStore};
use hobnob::store::sqlite::{SqliteOptions, SqliteStore};
use hobnob::store::{NewMessage, Run, Span, Store};
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

/// Events read at once when a gap is filled, as in the hub.
const PAGE: usize = 200;

/// Runs of one message in conversations of their own, in one append.
#[divan::bench(args = [1, 10, 200])]
fn append_sqlite(bencher: Bencher<'_, '_>, runs: usize) {
    append(bencher, &Bench::sqlite(), runs);
}

/// The same, committed by a majority.
#[divan::bench(args = mongodb_sizes())]
fn append_mongodb(bencher: Bencher<'_, '_>, runs: usize) {
    append(bencher, &Bench::mongodb(), runs);
}

/// One page of a log, read and made ready to be offered: once per topic and gap.
#[divan::bench]
fn gap_repair_sqlite(bencher: Bencher<'_, '_>) {
    repair(bencher, &Bench::sqlite());
}

/// The same, read as a majority has it.
#[divan::bench(args = mongodb_pages())]
fn gap_repair_mongodb(bencher: Bencher<'_, '_>, _page: usize) {
    repair(bencher, &Bench::mongodb());
}

fn uri() -> Option<String> {
    std::env::var("HOBNOB_BENCH_MONGODB").ok()
}

fn mongodb_sizes() -> Vec<usize> {
    uri().map_or_else(Vec::new, |_| vec![1, 10, 200])
}

fn mongodb_pages() -> Vec<usize> {
    uri().map_or_else(Vec::new, |_| vec![PAGE])
}

fn append(bencher: Bencher<'_, '_>, bench: &Bench, runs: usize) {
    let places = |round: u64| {
        let run = |conversation| bench.run(conversation, round + 1, 1);
        (0..runs).map(run).collect::<Vec<_>>()
    };
    let mut round = 0;
    bencher
        .counter(ItemsCount::new(runs))
        .with_inputs(|| {
            round += 1;
            places(round - 1)
        })
        .bench_local_values(|runs| {
            let outcomes = bench.runtime.block_on(bench.store.append(runs));
            assert!(outcomes.iter().all(|outcome| outcome.committed == 1));
        });
}

fn repair(bencher: Bencher<'_, '_>, bench: &Bench) {
    let run = bench.run(0, 1, PAGE);
    let span = Span {
        conversation: run.conversation,
        after: Seq::ZERO,
        up_to: Seq::MAX,
    };
    bench.runtime.block_on(bench.store.append(vec![run]));
    bencher.counter(ItemsCount::new(PAGE)).bench_local(|| {
        let read = bench.store.events(std::slice::from_ref(&span), PAGE);
        let events = bench.runtime.block_on(read).expect("the log is read");
        assert_eq!(events.len(), PAGE);
        let offers = events.iter().map(Offer::of);
        offers.collect::<Vec<_>>()
    });
}

struct Bench {
    runtime: Runtime,
    store: Box<dyn Store>,
    entropy: Entropy,
    /// Which conversations are this benchmark's own.
    salt: u64,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn sqlite() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let directory = tempfile::tempdir().expect("a directory");
        let options = SqliteOptions {
            directory: directory.path().to_owned(),
            time_limit: SqliteOptions::TIME_LIMIT,
        };
        let store = SqliteStore::open(&options, clock).expect("a store");
        Self::on(runtime(), Box::new(store), directory)
    }

    fn mongodb() -> Self {
        let runtime = runtime();
        let config = MongoConfig::new(uri().expect("a database"));
        let entropy = Arc::new(Entropy::from_os());
        let store = runtime.block_on(MongoStore::connect(config, entropy));
        let directory = tempfile::tempdir().expect("a directory");
        Self::on(runtime, Box::new(store.expect("a store")), directory)
    }

    fn on(runtime: Runtime, store: Box<dyn Store>, directory: tempfile::TempDir) -> Self {
        runtime.block_on(store.migrate()).expect("a schema");
        let entropy = Entropy::from_os();
        Self {
            runtime,
            store,
            salt: entropy.next_u64(),
            entropy,
            _directory: directory,
        }
    }

    fn run(&self, conversation: usize, first: u64, length: usize) -> Run {
        let mut id = [0; 12];
        id[..8].copy_from_slice(&self.salt.to_be_bytes());
        id[8..].copy_from_slice(&u32::try_from(conversation).unwrap_or(0).to_be_bytes());
        let message = || {
            let at = SystemClock.now();
            let (id, content) = (EventId::generate(at, &self.entropy), "x".repeat(100));
            let content = Content::parse(&content, 100).expect("a text");
            NewMessage {
                id,
                sender: UserId::from_bytes([2; 12]),
                at,
                client_message_id: ClientMessageId::parse(&id.to_string()).expect("an id"),
                fingerprint: Fingerprint::of(&content),
                content,
            }
        };
        let conversation = ConversationId::Room(RoomId::from_bytes(id));
        let places = (first..).take(length).map(Seq::new);
        let events = places.map(|seq| Arc::new(message().event(conversation, seq)));
        Run {
            conversation,
            first: Seq::new(first),
            events: events.collect(),
        }
    }
}

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}
