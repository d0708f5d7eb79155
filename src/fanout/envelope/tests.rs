//! What is encoded is decoded, of whatever release; what is not ours breaks nothing.

use super::*;
use crate::commit::{CommitError, Delegated, Entry, Settled};
use crate::domain::{
    Change, ChangeKind, ClientMessageId, Content, Emoji, EventId, Fingerprint, Refusal, Role,
    RoomId, RoomName,
};
use crate::store::{NewMessage, Run};
use crate::wire::EventName;
use proptest::prelude::*;

const WRITER: GatewayId = GatewayId::from_u64(9);

fn user(byte: u8) -> UserId {
    UserId::from_bytes([byte; 12])
}

fn offer(conversation: ConversationId, effect: Effect) -> Offer {
    let encoded = Encoded::new(EventName::RoomUpdated, Bytes::from_static(b"{\"a\":1}"));
    Offer {
        conversation,
        seq: Seq::new(42),
        at: Some(Timestamp::from_millis(1_700_000_000_123)),
        effect,
        id: Some(EventId::from_bytes([8; 12])),
        writer: None,
        traced: None,
        encoded: Some(encoded),
    }
}

/// What sessions get of it.
fn written(offer: &Offer) -> (EventName, &[u8]) {
    let encoded = offer.encoded.as_ref().unwrap();
    (encoded.name, &encoded.json)
}

#[test]
fn an_event_that_shows_nothing_and_one_of_an_unknown_name_have_their_places() {
    let room = ConversationId::Room(RoomId::from_bytes([3; 12]));
    let known = offer(room, Effect::Roles);
    let mut unknown = BytesMut::from(&encode_event(&known, WRITER)[..]);
    unknown[2] = 200;
    let silent = Offer {
        encoded: None,
        ..offer(room, Effect::Roles)
    };
    for payload in [unknown.freeze(), encode_event(&silent, WRITER)] {
        let Some(Envelope::Event(got)) = Envelope::decode(payload) else {
            panic!("no event")
        };
        assert!(got.encoded.is_none());
        assert_eq!((got.seq, got.effect), (known.seq, known.effect));
        assert_eq!((got.id, got.writer), (known.id, Some(WRITER)));
    }
}

#[test]
fn an_event_survives_the_bus() {
    let room = ConversationId::Room(RoomId::from_bytes([3; 12]));
    let direct = ConversationId::direct(user(1), user(2));
    let effects = [
        Effect::None,
        Effect::Roles,
        Effect::Added(user(4)),
        Effect::Removed(user(4)),
        Effect::Closed,
    ];
    for (conversation, effect) in effects
        .into_iter()
        .flat_map(|effect| [(room, effect), (direct, effect)])
    {
        let sent = offer(conversation, effect);
        let Some(Envelope::Event(got)) = Envelope::decode(encode_event(&sent, WRITER)) else {
            panic!("no event")
        };
        assert_eq!(
            (got.conversation, got.seq, got.effect),
            (conversation, sent.seq, effect)
        );
        assert_eq!(got.at, sent.at);
        assert_eq!(written(&got), (EventName::RoomUpdated, &b"{\"a\":1}"[..]));
    }
}

#[test]
fn an_event_of_an_earlier_build_that_names_its_session_is_read() {
    let room = ConversationId::Room(RoomId::from_bytes([3; 12]));
    let sent = offer(room, Effect::None);
    let mut payload = BytesMut::from(&encode_event(&sent, WRITER)[..]);
    // Behind version, kind, name, the conversation's tag and id, and the seq.
    let session = 3 + 1 + ID_BYTES + size_of::<u64>();
    let session = session..session + size_of::<u64>();
    assert_eq!(payload[session.clone()], [0; 8]);
    payload[session].copy_from_slice(&7_u64.to_be_bytes());
    let Some(Envelope::Event(got)) = Envelope::decode(payload.freeze()) else {
        panic!("no event")
    };
    assert_eq!(
        (got.seq, got.effect, got.id),
        (sent.seq, sent.effect, sent.id)
    );
    assert_eq!(written(&got), written(&sent));
}

#[test]
fn the_writer_and_the_place_in_a_trace_survive_the_bus() {
    let room = ConversationId::Room(RoomId::from_bytes([3; 12]));
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let context = TraceContext::parse(header).unwrap();
    for trace in [None, Some(context)] {
        let sent = Offer {
            traced: trace.map(Traced::now),
            ..offer(room, Effect::None)
        };
        let Some(Envelope::Event(got)) = Envelope::decode(encode_event(&sent, WRITER)) else {
            panic!("no event")
        };
        assert_eq!(got.traced.map(|traced| traced.context), trace);
        assert_eq!((got.at, got.writer), (sent.at, Some(WRITER)));
        assert_eq!(got.id, sent.id);
        assert_eq!(written(&got), written(&sent));
    }
}

fn every_kind_of_change() -> Vec<ChangeKind> {
    let first = ChangeKind::DeleteRoom;
    std::iter::successors(Some(first), another_kind_of_change).collect()
}

/// Goes through all of them, each once: one that is new does not compile here, and gets its place.
fn another_kind_of_change(than: &ChangeKind) -> Option<ChangeKind> {
    let (user, role, target) = (user(2), Role::Admin, Seq::new(4));
    Some(match than {
        ChangeKind::DeleteRoom => ChangeKind::AddMember { user, role },
        ChangeKind::AddMember { .. } => ChangeKind::RemoveMember { user },
        ChangeKind::RemoveMember { .. } => ChangeKind::ChangeRole { user, role },
        ChangeKind::ChangeRole { .. } => ChangeKind::Rename {
            name: RoomName::parse("a room").unwrap(),
        },
        ChangeKind::Rename { .. } => ChangeKind::Edit {
            target,
            content: Content::stored("höre".to_owned()),
        },
        ChangeKind::Edit { .. } => ChangeKind::Delete { target },
        ChangeKind::Delete { .. } => ChangeKind::React {
            target,
            emoji: Emoji::parse("👍").unwrap(),
            added: true,
        },
        ChangeKind::React { .. } => return None,
    })
}

#[test]
fn what_is_delegated_and_what_became_of_it_survive_the_bus() {
    let room = ConversationId::Room(RoomId::from_bytes([3; 12]));
    let message = |text: &str| {
        let content = Content::parse(text, Content::DEFAULT_LIMIT).unwrap();
        NewMessage {
            id: EventId::from_bytes([5; 12]),
            sender: user(6),
            at: Timestamp::from_millis(7),
            client_message_id: ClientMessageId::parse("own-id").unwrap(),
            fingerprint: Fingerprint::of(&content),
            content,
        }
    };
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let delegated = |text: &str, trace| Delegated {
        entry: Entry::Message(message(text)),
        trace,
    };
    let change = |kind| Delegated {
        entry: Entry::Change(Change {
            id: EventId::from_bytes([8; 12]),
            conversation: room,
            actor: user(6),
            at: Timestamp::from_millis(7),
            kind,
        }),
        trace: None,
    };
    let mut entries = vec![
        delegated("héllo", None),
        delegated("two", TraceContext::parse(header)),
    ];
    entries.extend(every_kind_of_change().into_iter().map(change));
    let request = encode_request(8, WRITER, room, &entries);
    let Some(Envelope::Delegated(got)) = Envelope::decode(request.clone()) else {
        panic!("no request")
    };
    assert_eq!((got.number, got.from, got.conversation), (8, WRITER, room));
    assert_eq!(got.entries, entries);
    assert!(Envelope::decode(request.slice(..request.len() - 1)).is_none());
    let many = vec![delegated("one", None); Run::LIMIT + 1];
    assert!(Envelope::decode(encode_request(8, WRITER, room, &many)).is_none());

    let settled = vec![
        Settled::Stored(Seq::new(9)),
        Settled::Before,
        Settled::Nothing,
        Settled::Failed(CommitError::Refused(Refusal::NotAMember)),
        Settled::Failed(CommitError::Refused(Refusal::TooManyReactions)),
        Settled::Failed(CommitError::Refused(Refusal::DirectConversation)),
        Settled::Failed(CommitError::ClientMessageIdReused),
        Settled::Failed(CommitError::Internal),
    ];
    let answer = DelegationAnswer { number: 8, settled };
    let Some(Envelope::Settled(got)) = Envelope::decode(encode_answer(&answer)) else {
        panic!("no answer")
    };
    assert_eq!((got.number, got.settled), (8, answer.settled));
    let settled = vec![Settled::Failed(CommitError::Unavailable)];
    assert!(Envelope::decode(encode_answer(&DelegationAnswer { number: 8, settled })).is_none());
}

#[test]
fn an_event_of_an_older_or_newer_release_is_read() {
    let room = ConversationId::Room(RoomId::from_bytes([3; 12]));
    let plain = Offer {
        at: None,
        ..offer(room, Effect::Roles)
    };
    let mut longer = BytesMut::from(&encode_event(&plain, WRITER)[..]);
    let Some(Envelope::Event(got)) = Envelope::decode(longer.clone().freeze()) else {
        panic!("no event without an extension")
    };
    assert_eq!((got.at, got.effect), (None, Effect::Roles));
    let json = longer.split_off(longer.len() - written(&plain).1.len());
    *longer.last_mut().unwrap() |= EXTENDED;
    longer.put_u8(11);
    longer.put_i64(5);
    longer.put_slice(b"new");
    longer.put_slice(&json);
    let Some(Envelope::Event(got)) = Envelope::decode(longer.freeze()) else {
        panic!("no event with a longer extension")
    };
    assert_eq!(got.at, Some(Timestamp::from_millis(5)));
    assert_eq!(written(&got), written(&plain));
}

#[test]
fn the_other_kinds_survive_the_bus() {
    let direct = ConversationId::direct(user(1), user(2));
    let joined = Envelope::decode(encode_joined(direct));
    assert!(matches!(joined, Some(Envelope::Joined(id)) if id == direct));
    let head = Envelope::decode(encode_head(direct, Seq::new(8)));
    assert!(matches!(head, Some(Envelope::Head(id, seq)) if id == direct && seq == Seq::new(8)));
    assert!(matches!(
        Envelope::decode(encode_gap()),
        Some(Envelope::Gap)
    ));
    let change = PresenceChange {
        user: user(5),
        online: true,
        at: Timestamp::from_millis(9),
    };
    let presence = Envelope::decode(encode_presence(change));
    assert!(matches!(presence, Some(Envelope::Presence(got)) if got == change));
    for from in [Some(user(1)), None] {
        let passing = encode_passing(&Passing {
            conversation: direct,
            from,
            encoded: Encoded::new(EventName::Typing, Bytes::from_static(b"{}")),
        });
        assert!(
            matches!(Envelope::decode(passing), Some(Envelope::Passing(got)) if got.from == from && got.encoded.json == "{}")
        );
    }
}

#[test]
fn another_version_is_skipped() {
    let mut bytes = BytesMut::from(&encode_joined(ConversationId::direct(user(1), user(2)))[..]);
    bytes[0] = 2;
    assert!(Envelope::decode(bytes.freeze()).is_none());
}

proptest! {
    #[test]
    fn no_payload_breaks_the_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0_u8..11) {
        let mut framed = vec![VERSION, kind];
        framed.extend(bytes);
        let _ = Envelope::decode(Bytes::from(framed));
    }
}
