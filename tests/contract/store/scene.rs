//! What the cases share: people, rooms and messages that no other case has, and the steps they all take. Asserts
//! nothing but that a step worked.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use hobnob::commit::Changed;
use hobnob::domain::{
    Body, Change, ChangeKind, ClientMessageId, Clock, Content, ConversationId, Entropy, Event,
    EventId, Fingerprint, Member, Message, RoomId, RoomName, Seq, SystemClock, Timestamp, User,
    UserId, Username,
};
use hobnob::store::{
    Inserted, NewMessage, NewRoom, NewUser, Run, RunOutcome, Span, Stop, Store, is_cut,
};

/// The most members of a room in the stores under test.
pub(crate) const ROOM_LIMIT: usize = 6;

/// More than any case writes into one log.
pub(crate) const ENOUGH: usize = 10_000;

/// Where the first message of a room goes: behind the event that made the room.
pub(crate) const FIRST: u64 = 2;

/// A store, and what makes new things for it.
pub(crate) struct Scene {
    pub(crate) store: Arc<dyn Store>,
    /// The most members of a room.
    pub(crate) room_limit: AtomicUsize,
    entropy: Entropy,
    now: AtomicI64,
}

impl Scene {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            room_limit: AtomicUsize::new(ROOM_LIMIT),
            entropy: Entropy::from_os(),
            now: AtomicI64::new(SystemClock.now().millis()),
        }
    }

    /// A moment later than all before.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn number(&self) -> u64 {
        self.entropy.next_u64()
    }

    pub(crate) fn user_id(&self) -> UserId {
        UserId::generate(self.now(), &self.entropy)
    }

    pub(crate) fn room_id(&self) -> RoomId {
        RoomId::generate(self.now(), &self.entropy)
    }

    pub(crate) fn event_id(&self) -> EventId {
        EventId::generate(self.now(), &self.entropy)
    }

    /// A user to be, with this name.
    pub(crate) fn named(&self, name: &str) -> NewUser {
        let user = User {
            id: self.user_id(),
            username: Username::parse(name).unwrap(),
            created_at: self.now(),
            last_seen_at: None,
        };
        NewUser {
            user,
            password_hash: format!("$argon2id$of {name}"),
        }
    }

    /// Two users' conversation, made.
    pub(crate) async fn direct_of(&self, one: UserId, other: UserId) -> ConversationId {
        let direct = ConversationId::direct(one, other);
        self.store.ensure_direct(direct, self.now()).await.unwrap();
        direct
    }

    /// Registers a user with a name that nobody else has.
    pub(crate) async fn user(&self) -> UserId {
        let new = self.named(&format!("u{:x}", self.number()));
        let id = new.user.id;
        assert_eq!(self.store.create_user(new).await.unwrap(), Inserted::Yes);
        id
    }

    pub(crate) async fn users(&self, count: usize) -> Vec<UserId> {
        let mut users = Vec::new();
        for _ in 0..count {
            users.push(self.user().await);
        }
        users
    }

    /// Makes a room of these, the first its owner.
    pub(crate) async fn room_of(&self, users: &[UserId]) -> ConversationId {
        let room = self.new_room(users);
        let id = room.conversation.id;
        self.store.create_room(room).await.unwrap();
        id
    }

    pub(crate) fn new_room(&self, users: &[UserId]) -> NewRoom {
        let name = RoomName::parse("A room").unwrap();
        let ids = (self.room_id(), self.event_id());
        NewRoom::new(ids, name, users[0], &users[1..], self.now())
    }

    /// Makes a room of one new user.
    pub(crate) async fn room(&self) -> (ConversationId, UserId) {
        let owner = self.user().await;
        (self.room_of(&[owner]).await, owner)
    }

    pub(crate) fn message(&self, sender: UserId, text: &str) -> NewMessage {
        let id = self.event_id();
        let content = Content::stored(text.to_owned());
        NewMessage {
            id,
            sender,
            at: self.now(),
            client_message_id: ClientMessageId::parse(&id.to_string()).unwrap(),
            fingerprint: Fingerprint::of(&content),
            content,
        }
    }

    pub(crate) fn messages(&self, sender: UserId, count: usize) -> Vec<NewMessage> {
        (0..count)
            .map(|index| self.message(sender, &format!("message {index}")))
            .collect()
    }

    /// Appends one run.
    pub(crate) async fn append(
        &self,
        conversation: ConversationId,
        first: u64,
        messages: Vec<NewMessage>,
    ) -> RunOutcome {
        let run = run(conversation, first, &messages);
        let mut outcomes = self.store.append(vec![run]).await;
        assert_eq!(outcomes.len(), 1, "one outcome per run");
        outcomes.remove(0)
    }

    /// Appends one message at the head, and says where it is.
    pub(crate) async fn say(
        &self,
        conversation: ConversationId,
        sender: UserId,
        text: &str,
    ) -> Seq {
        self.say_all(conversation, vec![self.message(sender, text)])
            .await
    }

    /// Appends messages behind each other, however many others do, and says where the last one is.
    pub(crate) async fn say_all(
        &self,
        conversation: ConversationId,
        mut messages: Vec<NewMessage>,
    ) -> Seq {
        loop {
            let first = self.head(conversation).await.next();
            let outcome = self
                .append(conversation, first.get(), messages.clone())
                .await;
            messages.drain(..outcome.committed);
            match outcome.stopped {
                None => return first.plus(outcome.committed as u64 - 1),
                Some(Stop::SeqTaken) => {}
                Some(other) => panic!("the append stopped: {other:?}"),
            }
        }
    }

    pub(crate) async fn head(&self, conversation: ConversationId) -> Seq {
        let heads = self.store.heads(&[conversation]).await.unwrap();
        heads.get(&conversation).copied().unwrap_or(Seq::ZERO)
    }

    /// A conversation's whole log.
    pub(crate) async fn log(&self, conversation: ConversationId) -> Vec<Event> {
        let mut rest = whole(conversation);
        let mut log = Vec::new();
        loop {
            let page = self.store.events(&[rest], ENOUGH).await.unwrap();
            let is_last = !is_cut(&page, ENOUGH);
            log.extend(page);
            if is_last {
                return log;
            }
            rest.after = log.last().map_or(rest.after, |last: &Event| last.seq);
        }
    }

    /// A room's log behind the event that made it, which is there.
    pub(crate) async fn said(&self, room: ConversationId) -> Vec<Event> {
        let mut log = self.log(room).await;
        let made = log.remove(0);
        assert!(matches!(made.body, Body::Created { .. }), "{made:?}");
        log
    }

    /// The event at a place that is taken.
    pub(crate) async fn event(&self, conversation: ConversationId, seq: Seq) -> Event {
        let span = Span {
            conversation,
            after: seq.previous(),
            up_to: seq,
        };
        let mut events = self.store.events(&[span], 1).await.unwrap();
        assert_eq!(events.len(), 1, "nothing at {seq}");
        events.remove(0)
    }

    pub(crate) async fn member(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Option<Member> {
        self.store.member(conversation, user).await.unwrap()
    }

    pub(crate) fn a_change(
        &self,
        conversation: ConversationId,
        actor: UserId,
        kind: ChangeKind,
    ) -> Change {
        Change {
            id: self.event_id(),
            conversation,
            actor,
            at: self.now(),
            kind,
        }
    }

    pub(crate) async fn change(
        &self,
        conversation: ConversationId,
        actor: UserId,
        kind: ChangeKind,
    ) -> Changed {
        let change = self.a_change(conversation, actor, kind);
        self.make(&change).await
    }

    /// Makes a change that must be made, and returns its event.
    pub(crate) async fn apply(
        &self,
        conversation: ConversationId,
        actor: UserId,
        kind: ChangeKind,
    ) -> Event {
        match self.change(conversation, actor, kind).await {
            Changed::Applied(event) => (*event).clone(),
            other => panic!("not applied: {other:?}"),
        }
    }
}

/// What holds of a room whose log is empty, as it was before its making was an event.
pub(crate) async fn begins_with_what_is_said(
    scene: &Scene,
    (room, owner): (ConversationId, UserId),
) {
    let list = async || {
        scene
            .store
            .overviews(owner, None, 9)
            .await
            .unwrap()
            .remove(0)
    };
    assert_eq!(list().await.head, Seq::ZERO);
    let first = scene.say(room, owner, "hello").await;
    let name = RoomName::parse("Renamed").unwrap();
    let renamed = scene.apply(room, owner, ChangeKind::Rename { name }).await;
    assert_eq!((first, renamed.seq), (Seq::new(1), Seq::new(2)));
    assert_dense(&scene.log(room).await);
    let overview = list().await;
    assert_eq!(
        (overview.head, overview.last_message.unwrap().seq),
        (renamed.seq, first)
    );
}

/// These messages at places from `first` on.
pub(crate) fn run(conversation: ConversationId, first: u64, messages: &[NewMessage]) -> Run {
    let events = (first..).zip(messages);
    let events = events.map(|(seq, message)| message.event(conversation, Seq::new(seq)));
    Run {
        conversation,
        first: Seq::new(first),
        events: events.map(Arc::new).collect(),
    }
}

/// All of a log.
pub(crate) fn whole(conversation: ConversationId) -> Span {
    Span {
        conversation,
        after: Seq::ZERO,
        up_to: Seq::MAX,
    }
}

pub(crate) fn seqs(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.seq.get()).collect()
}

/// 1, 2, 3 … without holes.
pub(crate) fn assert_dense(log: &[Event]) {
    let expected: Vec<u64> = (1..=log.len() as u64).collect();
    assert_eq!(seqs(log), expected);
}

/// The message that an event must be.
pub(crate) fn message_of(event: &Event) -> &Message {
    match &event.body {
        Body::Message(message) => message,
        other => panic!("not a message: {other:?}"),
    }
}

/// What the event, a message, says; none once deleted.
pub(crate) fn text_of(event: &Event) -> Option<&str> {
    message_of(event).content.as_ref().map(Content::as_str)
}

pub(crate) fn texts(events: &[Event]) -> Vec<&str> {
    events.iter().filter_map(text_of).collect()
}

/// The outcome of a run that is stored as a whole.
pub(crate) fn all(committed: usize) -> RunOutcome {
    RunOutcome {
        committed,
        stopped: None,
    }
}

/// The outcome of a run of which this many are stored.
pub(crate) fn stopped(committed: usize, stop: Stop) -> RunOutcome {
    RunOutcome {
        committed,
        stopped: Some(stop),
    }
}
