//! What is encoded is decoded, of whatever release; what is not ours breaks nothing.

use super::*;
use proptest::prelude::*;

const WRITER: GatewayId = GatewayId::from_u64(9);

fn user(byte: u8) -> UserId {
    UserId::from_bytes([byte; 12])
}

fn offer(conversation: ConversationId, effect: Effect) -> Offer {
    let encoded = Encoded::new("room_updated", Bytes::from_static(b"{\"a\":1}"));
    let origin = Some(SessionId::from_u64(7));
    Offer {
        conversation,
        seq: Seq::new(42),
        at: Some(Timestamp::from_millis(1_700_000_000_123)),
        effect,
        id: None,
        origin,
        writer: None,
        traced: None,
        encoded,
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
        assert_eq!(
            (got.origin, got.encoded.name, got.at),
            (sent.origin, "room_updated", sent.at)
        );
        assert_eq!(got.encoded.json, sent.encoded.json);
    }
}

#[test]
fn the_place_in_a_trace_survives_the_bus_and_costs_nothing_without_one() {
    let room = ConversationId::Room(RoomId::from_bytes([3; 12]));
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let context = TraceContext::parse(header).unwrap();
    let plain = offer(room, Effect::None);
    let traced = Offer {
        traced: Some(Traced::now(context)),
        ..offer(room, Effect::None)
    };
    let (short, long) = (encode_event(&plain, WRITER), encode_event(&traced, WRITER));
    assert_eq!(long.len(), short.len() + TraceContext::BYTES);
    let Some(Envelope::Event(got)) = Envelope::decode(long) else {
        panic!("no event")
    };
    assert_eq!(got.traced.map(|traced| traced.context), Some(context));
    assert_eq!((got.at, got.encoded.json), (traced.at, traced.encoded.json));
    let Some(Envelope::Event(got)) = Envelope::decode(short) else {
        panic!("no event")
    };
    assert!(got.traced.is_none());
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
    let json = longer.split_off(longer.len() - plain.encoded.json.len());
    *longer.last_mut().unwrap() |= EXTENDED;
    longer.put_u8(11);
    longer.put_i64(5);
    longer.put_slice(b"new");
    longer.put_slice(&json);
    let Some(Envelope::Event(got)) = Envelope::decode(longer.freeze()) else {
        panic!("no event with a longer extension")
    };
    assert_eq!(got.at, Some(Timestamp::from_millis(5)));
    assert_eq!(got.encoded.json, plain.encoded.json);
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
            encoded: Encoded::new("typing", Bytes::from_static(b"{}")),
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
    fn no_payload_breaks_the_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0_u8..8) {
        let mut framed = vec![VERSION, kind];
        framed.extend(bytes);
        let _ = Envelope::decode(Bytes::from(framed));
    }
}
