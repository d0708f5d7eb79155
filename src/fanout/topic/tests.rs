//! Order, gaps, hand-over and removal, without a store: what the hub may rely on.

use bytes::Bytes;
use metrics::Counter;

use super::super::offer::{Encoded, Encoding, Protocol};
use super::super::seats::{SeatLimits, Seats};
use super::super::session::NewSession;
use super::*;
use crate::domain::{ConversationId, RoomId, Timestamp};
use crate::metrics::Metrics;
use crate::transport::outbox::{FRAME_OVERHEAD, Frame, Outbox, Pings};
use crate::wire::EventName;

const ROOM: ConversationId = ConversationId::Room(RoomId::from_bytes([7; 12]));

static ENCODING: Encoding = Encoding {
    protocol: Protocol::SocketIo,
    encode: |_, json| Frame::from(String::from_utf8(json.to_vec()).unwrap()),
};

struct Client {
    session: Arc<Session>,
    outbox: Outbox,
}

impl Client {
    fn new(id: u8) -> Self {
        Self::with_outbox(id, Outbox::new(1 << 20))
    }

    fn with_outbox(id: u8, outbox: Outbox) -> Self {
        let new = NewSession {
            id: SessionId::from_u64(u64::from(id)),
            user: user(id),
            expires_at: Timestamp::from_millis(i64::MAX),
            encoding: &ENCODING,
            outbox: outbox.clone(),
            is_auto: true,
            seat: Seats::new(SeatLimits::default(), Metrics::none())
                .take(user(id), None)
                .unwrap(),
        };
        let session = Session::new(new, Arc::default(), Counter::noop());
        Self { session, outbox }
    }

    fn got(&self) -> Vec<u64> {
        let batch = self.outbox.try_take(usize::MAX, Pings::HeartbeatOnly);
        let frames = batch.into_iter().flat_map(|batch| batch.frames);
        let seqs = frames.map(|frame| match frame {
            Frame::Text(text) => text.as_str().parse().unwrap(),
            Frame::Binary(_) => panic!("binary"),
        });
        seqs.collect()
    }
}

fn user(id: u8) -> UserId {
    UserId::from_bytes([id; 12])
}

fn offer(seq: u64) -> Arc<Offer> {
    offer_with(seq, Effect::None)
}

fn offer_with(seq: u64, effect: Effect) -> Arc<Offer> {
    let encoded = Encoded::new(EventName::ReceiveGroupMessage, Bytes::from(seq.to_string()));
    Arc::new(Offer {
        conversation: ROOM,
        at: None,
        seq: Seq::new(seq),
        effect,
        id: None,
        writer: None,
        traced: None,
        encoded: Some(encoded),
    })
}

fn attached(topic: &mut Topic, id: u8, from: u64) -> Client {
    let client = Client::new(id);
    assert!(matches!(
        topic.attach(&client.session, Seq::new(from)),
        Attach::Attached(_)
    ));
    client
}

#[test]
fn p2_events_are_offered_in_order_and_once() {
    let mut topic = Topic::default();
    let client = attached(&mut topic, 1, 0);
    for seq in [1, 2, 2, 1, 3] {
        assert!(!topic.offer(offer(seq)).needs_repair);
    }
    assert_eq!(client.got(), [1, 2, 3]);
}

#[test]
fn d14_a_gap_holds_what_comes_after_it_and_is_filled_once() {
    let mut topic = Topic::default();
    let client = attached(&mut topic, 1, 0);
    topic.offer(offer(1));
    assert!(topic.offer(offer(4)).needs_repair);
    assert!(!topic.offer(offer(5)).needs_repair, "one repair at a time");
    assert_eq!(client.got(), [1]);
    assert_eq!(topic.gap(), Some((Seq::new(1), Seq::new(3))));
    topic.repair(offer(2));
    topic.repair(offer(3));
    assert_eq!(client.got(), [2, 3, 4, 5]);
    assert_eq!(topic.gap(), None);
}

#[test]
fn d14_what_is_held_is_bounded_and_the_highest_seq_is_kept() {
    let mut topic = Topic::default();
    let client = attached(&mut topic, 1, 0);
    let last = HELD as u64 * 2;
    (2..=last).for_each(|seq| drop(topic.offer(offer(seq))));
    assert!(topic.held.len() <= HELD);
    assert_eq!(topic.heard, Seq::new(last));
    while let Some((after, _)) = topic.gap() {
        topic.repair(offer(after.get() + 1));
    }
    assert_eq!(client.got(), (1..=last).collect::<Vec<_>>());
}

#[test]
fn d12_a_session_behind_the_topic_is_not_attached() {
    let mut topic = Topic::default();
    let _first = attached(&mut topic, 1, 0);
    topic.offer(offer(1));
    let late = Client::new(2);
    assert_eq!(
        topic.attach(&late.session, Seq::ZERO),
        Attach::Behind(Seq::ZERO)
    );
    assert_eq!(
        topic.attach(&late.session, Seq::new(1)),
        Attach::Attached(Seq::new(1))
    );
    topic.offer(offer(2));
    assert_eq!(late.got(), [2]);
}

#[test]
fn d12_a_session_ahead_of_the_topic_gets_nothing_twice() {
    let mut topic = Topic::default();
    let first = attached(&mut topic, 1, 0);
    let ahead = attached(&mut topic, 2, 2);
    (1..=3).for_each(|seq| drop(topic.offer(offer(seq))));
    assert_eq!(first.got(), [1, 2, 3]);
    assert_eq!(ahead.got(), [3]);
    assert_eq!(topic.position(), Seq::new(3));
}

#[test]
fn d12_events_heard_before_anybody_is_attached_are_not_hidden() {
    let mut topic = Topic::default();
    topic.offer(offer(5));
    let client = Client::new(1);
    assert_eq!(
        topic.attach(&client.session, Seq::new(4)),
        Attach::Behind(Seq::new(4))
    );
    assert_eq!(
        topic.attach(&client.session, Seq::new(5)),
        Attach::Attached(Seq::new(5))
    );
}

#[test]
fn a_session_in_a_busy_conversation_attaches_from_what_is_remembered() {
    let mut topic = Topic {
        catching_up: 1,
        ..Topic::default()
    };
    let _first = attached(&mut topic, 1, 0);
    (1..=10).for_each(|seq| drop(topic.offer(offer(seq))));
    let late = attached(&mut topic, 2, 7);
    assert_eq!(late.got(), [8, 9, 10]);
    let too_late = Client::new(3);
    topic.catching_up = 0;
    topic.offer(offer(11));
    assert_eq!(
        topic.attach(&too_late.session, Seq::new(7)),
        Attach::Behind(Seq::new(7))
    );
}

#[test]
fn d7_a_removed_member_gets_their_removal_and_nothing_above_it() {
    let mut topic = Topic::default();
    let (stays, goes) = (attached(&mut topic, 1, 0), attached(&mut topic, 2, 0));
    topic.offer(offer(1));
    let consequences = topic.offer(offer_with(2, Effect::Removed(user(2))));
    assert_eq!(consequences.ended.len(), 1);
    topic.offer(offer(3));
    assert_eq!(goes.got(), [1, 2]);
    assert_eq!(stays.got(), [1, 2, 3]);
}

#[test]
fn d7_a_member_removed_while_catching_up_is_not_attached() {
    let mut topic = Topic {
        catching_up: 1,
        ..Topic::default()
    };
    let _stays = attached(&mut topic, 1, 0);
    topic.offer(offer_with(1, Effect::Removed(user(2))));
    topic.offer(offer(2));
    let goes = Client::new(2);
    let attach = topic.attach(&goes.session, Seq::ZERO);
    assert_eq!(attach, Attach::Ended(Seq::new(1)));
    assert_eq!(goes.got(), [1]);
}

#[test]
fn d18_only_live_events_overflow_an_outbox() {
    let mut topic = Topic::default();
    let small = Outbox::new(FRAME_OVERHEAD * 3);
    let slow = Client::with_outbox(1, small);
    assert_eq!(
        topic.attach(&slow.session, Seq::ZERO),
        Attach::Attached(Seq::ZERO)
    );
    topic.offer(offer(1));
    topic.offer(offer(4));
    let mut detached = topic.repair(offer(2)).detached;
    detached.extend(topic.repair(offer(3)).detached);
    assert!(!slow.session.is_closed());
    let positions: Vec<u64> = detached.iter().map(|(_, at)| at.get()).collect();
    assert_eq!(positions.len(), 1, "detached once, to catch up");
    assert_eq!(slow.got(), (1..=positions[0]).collect::<Vec<_>>());
}

#[test]
fn d18_a_client_that_does_not_read_is_closed_by_live_events() {
    let mut topic = Topic::default();
    let slow = Client::with_outbox(1, Outbox::new(FRAME_OVERHEAD * 3));
    assert_eq!(
        topic.attach(&slow.session, Seq::ZERO),
        Attach::Attached(Seq::ZERO)
    );
    (1..=4).for_each(|seq| drop(topic.offer(offer(seq))));
    assert!(slow.session.is_closed());
}
