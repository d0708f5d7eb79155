//! Reading the log: heads, spans, and pages of history.

use hobnob::domain::{ChangeKind, ConversationId, Emoji, Event, Seq, UserId};
use hobnob::store::{End, PAGE_BYTES, Span, is_cut};

use super::scene::{FIRST, Scene, message_of, seqs, texts, whole};

fn span(conversation: ConversationId, after: u64, up_to: u64) -> Span {
    Span {
        conversation,
        after: Seq::new(after),
        up_to: Seq::new(up_to),
    }
}

/// A room whose log is, behind its making: message 0, reaction, message 1, reaction … five of each.
async fn with_reactions(scene: &Scene) -> (ConversationId, UserId) {
    let (room, owner) = scene.room().await;
    for message in scene.messages(owner, 5) {
        let target = scene.say_all(room, vec![message]).await;
        let reaction = ChangeKind::React {
            target,
            emoji: Emoji::parse("👍").unwrap(),
            added: true,
        };
        scene.apply(room, owner, reaction).await;
    }
    (room, owner)
}

pub(crate) async fn heads_are_of_logs_that_have_events(scene: &Scene) {
    let owner = scene.user().await;
    let (long, short) = (scene.room_of(&[owner]).await, scene.room_of(&[owner]).await);
    let (silent, unknown) = (scene.direct_of(owner, owner).await, scene.room_id().into());
    let made = scene.room_of(&[owner]).await;
    let last = scene.say_all(long, scene.messages(owner, 12)).await;
    scene.say(short, owner, "hello").await;
    let asked = [silent, long, unknown, made, short];
    let heads = scene.store.heads(&asked).await.unwrap();
    let expected = [(long, last), (short, Seq::new(FIRST)), (made, Seq::new(1))];
    assert_eq!(heads, expected.into_iter().collect());
    assert!(scene.store.heads(&[]).await.unwrap().is_empty());
}

pub(crate) async fn a_span_excludes_its_beginning_and_includes_its_end(scene: &Scene) {
    let (room, owner) = scene.room().await;
    // With the event that made the room: twelve.
    scene.say_all(room, scene.messages(owner, 11)).await;
    let read = async |after, up_to, limit| {
        let events = scene.store.events(&[span(room, after, up_to)], limit).await;
        seqs(&events.unwrap())
    };
    assert_eq!(read(3, 6, 100).await, [4, 5, 6]);
    assert_eq!(read(0, 1, 100).await, [1]);
    assert_eq!(read(9, Seq::MAX.get(), 100).await, [10, 11, 12]);
    assert_eq!(read(0, 12, 2).await, [1, 2]);
    for (after, up_to, limit) in [(6, 6, 100), (6, 3, 100), (12, 20, 100), (0, 12, 0)] {
        assert_eq!(read(after, up_to, limit).await, [0; 0]);
    }
}

pub(crate) async fn spans_come_in_the_order_given_and_share_the_limit(scene: &Scene) {
    let owner = scene.user().await;
    let (one, two) = (scene.room_of(&[owner]).await, scene.room_of(&[owner]).await);
    // With the events that made the rooms: five in each.
    scene.say_all(one, scene.messages(owner, 4)).await;
    scene.say_all(two, scene.messages(owner, 4)).await;
    let spans = [
        span(two, 3, 9),
        span(scene.room_id().into(), 0, 9),
        span(one, 2, 4),
        span(two, 0, 2),
    ];
    let expected = [(two, 4), (two, 5), (one, 3), (one, 4), (two, 1), (two, 2)];
    for limit in [1, 2, 3, 5, 6, 100] {
        let events = scene.store.events(&spans, limit).await.unwrap();
        let places: Vec<_> = events
            .iter()
            .map(|event| (event.conversation, event.seq.get()))
            .collect();
        assert_eq!(places, expected[..limit.min(6)], "limit {limit}");
    }
    assert_eq!(scene.store.events(&[], 5).await.unwrap(), []);
}

pub(crate) async fn a_page_of_history_has_messages_only(scene: &Scene) {
    let (room, _) = with_reactions(scene).await;
    let read = async |after, up_to, end, limit| {
        let page = scene.store.messages(span(room, after, up_to), end, limit);
        seqs(&page.await.unwrap())
    };
    assert_eq!(read(0, 11, End::Oldest, 100).await, [2, 4, 6, 8, 10]);
    assert_eq!(read(0, 11, End::Newest, 100).await, [2, 4, 6, 8, 10]);
    assert_eq!(read(0, 11, End::Oldest, 2).await, [2, 4]);
    assert_eq!(read(0, 11, End::Newest, 2).await, [8, 10]);
    assert_eq!(read(2, 8, End::Oldest, 2).await, [4, 6]);
    assert_eq!(read(2, 8, End::Newest, 2).await, [6, 8]);
    assert_eq!(read(2, 3, End::Newest, 2).await, [0; 0]);
    assert_eq!(read(0, 11, End::Newest, 0).await, [0; 0]);
}

pub(crate) async fn history_pages_join_without_gap(scene: &Scene) {
    let (room, owner) = with_reactions(scene).await;
    scene.say_all(room, scene.messages(owner, 4)).await;
    let everything = scene
        .store
        .messages(whole(room), End::Oldest, 100)
        .await
        .unwrap();
    assert_eq!(everything.len(), 9);
    let (mut backwards, mut up_to) = (Vec::new(), Seq::MAX);
    loop {
        let rest = Span {
            up_to,
            ..whole(room)
        };
        let page = scene.store.messages(rest, End::Newest, 4).await.unwrap();
        let Some(oldest) = page.first() else { break };
        up_to = oldest.seq.previous();
        backwards.splice(0..0, page);
    }
    assert_eq!(backwards, everything);
}

pub(crate) async fn a_page_of_long_messages_ends_early_and_pages_join(scene: &Scene) {
    let (one, owner) = scene.room().await;
    let two = scene.room_of(&[owner]).await;
    // JSON writes each of these characters as six.
    let long = "\u{1}".repeat(16 * 1024);
    for room in [one, two] {
        let messages = (0..12).map(|_| scene.message(owner, &long));
        scene.say_all(room, messages.collect()).await;
    }
    let weigh = |page: &[Event]| page.iter().map(Event::weight).sum::<usize>();
    let mut spans = vec![whole(one), whole(two)];
    let mut seen = Vec::new();
    loop {
        let page = scene.store.events(&spans, 200).await.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(weigh(&page) < 2 * PAGE_BYTES + weigh(&page[..1]));
        seen.extend(page.iter().map(|event| (event.conversation, event.seq)));
        let last = page.last().unwrap();
        if last.conversation == two {
            spans.retain(|span| span.conversation == two);
        }
        let here = spans
            .iter_mut()
            .find(|span| span.conversation == last.conversation);
        here.unwrap().after = last.seq;
        if !is_cut(&page, 200) {
            break;
        }
    }
    let expected = [one, two]
        .into_iter()
        .flat_map(|room| (1..=13).map(move |seq| (room, Seq::new(seq))));
    assert_eq!(seen, expected.collect::<Vec<_>>());

    let (mut seen, mut span) = (Vec::new(), whole(one));
    loop {
        let page = scene.store.messages(span, End::Newest, 200).await.unwrap();
        seen.splice(0..0, page.iter().map(|event| event.seq.get()));
        if !is_cut(&page, 200) || page.is_empty() {
            break;
        }
        assert!(weigh(&page) < PAGE_BYTES + weigh(&page[..1]));
        span.up_to = page[0].seq.previous();
    }
    assert_eq!(seen, (FIRST..=13).collect::<Vec<_>>());
}

pub(crate) async fn a_message_in_history_is_as_it_stands_now(scene: &Scene) {
    let (room, owner) = with_reactions(scene).await;
    let page = scene.store.messages(whole(room), End::Newest, 1);
    let page = page.await.unwrap();
    assert_eq!(texts(&page), ["message 4"]);
    let thumb = Emoji::parse("👍").unwrap();
    assert!(message_of(&page[0]).reactions.has(&thumb, owner));
    assert_eq!(page[0], scene.event(room, page[0].seq).await);
}
