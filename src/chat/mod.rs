//! The use cases. Knows the ports and the domain; knows no protocol, no HTTP and no adapter.
//!
//! One [`Chat`] serves both edges; each file here adds the use cases of one noun to it. Whoever does not belong to a
//! conversation, and whoever asks for one that does not exist, gets the same refusal: `not_a_member`.

mod accounts;
mod announce;
mod conversations;
mod cursors;
mod directory;
mod error;
mod history;
mod known;
mod limits;
mod messages;
mod people;
mod quotas;
mod rates;
mod rooms;
mod sign_in;

pub use accounts::{Credentials, SignedIn};
pub use announce::AnnounceCursors;
pub use conversations::Listed;
pub use cursors::Cursors;
pub use directory::{Directory, LastSeen, UserSearch};
pub use error::ChatError;
pub use history::{HistoryPage, Range};
pub use limits::{Limits, Quotas};
pub use messages::{Draft, Sending};
pub use people::{PresenceOf, Profile};
pub use rates::Rates;
pub use rooms::{NewRoomRequest, RoomView};

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::auth::Auth;
use parking_lot::Mutex;

use crate::commit::{Changed, Committer};
use crate::domain::{
    Change, ChangeKind, ClientNetwork, Clock, ConversationId, Entropy, Event, EventId, Member,
    Refusal, UserId,
};
use crate::presence::Presence;
use crate::store::Store;
use crate::throttle::{Rate, Throttle};
use crate::traces::Traces;
use known::KnownConversations;
use rates::Metered;
use sign_in::SignIns;

/// What the use cases need of the world.
pub struct ChatPorts {
    /// Users, conversations and logs.
    pub store: Arc<dyn Store>,
    /// Appends to logs; nothing else does.
    pub committer: Arc<Committer>,
    /// Who is online.
    pub presence: Arc<dyn Presence>,
    /// Passwords and tokens.
    pub auth: Arc<Auth>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Randomness for ids.
    pub entropy: Arc<Entropy>,
    /// How often somebody may try to sign in.
    pub throttle: Arc<dyn Throttle>,
    /// Which requests are sampled, and their spans.
    pub traces: Traces,
}

/// The use cases over their ports.
pub struct Chat {
    store: Arc<dyn Store>,
    committer: Arc<Committer>,
    presence: Arc<dyn Presence>,
    auth: Arc<Auth>,
    clock: Arc<dyn Clock>,
    entropy: Arc<Entropy>,
    traces: Traces,
    limits: Limits,
    /// The setting content_limit, which may change.
    content_bytes: AtomicUsize,
    /// The setting room_member_limit, which may change.
    room_members: AtomicUsize,
    known_direct: KnownConversations,
    metered: Metered,
    /// The settings of that name, which may change.
    quotas: Mutex<Quotas>,
    /// The settings user_search and last_seen, which may change.
    directory: Mutex<Directory>,
    sign_ins: SignIns,
}

impl Chat {
    /// The use cases over these ports, within these limits.
    #[must_use]
    pub fn new(ports: ChatPorts, limits: Limits) -> Self {
        Self {
            store: ports.store,
            committer: ports.committer,
            presence: ports.presence,
            auth: ports.auth,
            clock: ports.clock,
            entropy: ports.entropy,
            traces: ports.traces,
            content_bytes: AtomicUsize::new(limits.content_bytes),
            room_members: AtomicUsize::new(limits.room_members),
            metered: Metered::new(limits.rates),
            quotas: Mutex::new(limits.quotas),
            directory: Mutex::new(limits.directory),
            sign_ins: SignIns::new(ports.throttle, limits.rates.sign_in),
            limits,
            known_direct: KnownConversations::new(),
        }
    }

    /// Passwords and tokens.
    #[must_use]
    pub const fn auth(&self) -> &Arc<Auth> {
        &self.auth
    }

    /// Which requests are sampled, and their spans.
    #[must_use]
    pub const fn traces(&self) -> &Traces {
        &self.traces
    }

    /// Another limit of content from now on; not above that of the start, by which requests are bounded.
    pub fn set_content_limit(&self, bytes: usize) {
        let bytes = bytes.min(self.limits.content_bytes);
        self.content_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Another limit of rooms' members from now on; larger rooms stay as they are.
    pub fn set_room_limit(&self, members: usize) {
        self.room_members.store(members, Ordering::Relaxed);
        self.committer.set_room_limit(members);
    }

    /// Other rates from now on.
    pub fn set_rates(&self, rates: Rates) {
        self.metered.set(rates);
        self.sign_ins.set_rate(rates.sign_in);
    }

    /// Other quotas from now on; what was counted stays.
    pub fn set_quotas(&self, quotas: Quotas) {
        *self.quotas.lock() = quotas;
    }

    /// Other rules of what strangers are shown, from now on.
    pub fn set_directory(&self, directory: Directory) {
        *self.directory.lock() = directory;
    }

    fn directory(&self) -> Directory {
        *self.directory.lock()
    }

    fn quotas(&self) -> Quotas {
        *self.quotas.lock()
    }

    /// How fast one session may ask.
    #[must_use]
    pub fn session_rate(&self) -> Rate {
        self.metered.session.get()
    }

    /// The limits it works within, as of the start.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Counts a request of a user.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn admit(&self, user: UserId) -> Result<(), ChatError> {
        self.metered.user(user)
    }

    /// Counts an attempt to register, log in or refresh from an address.
    ///
    /// # Errors
    /// `rate_limited`.
    pub async fn admit_sign_in(&self, network: ClientNetwork) -> Result<(), ChatError> {
        self.sign_ins.admit(network).await
    }

    /// Whether a user belongs to a conversation now.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn is_member(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<bool, ChatError> {
        let member = self.store.member(conversation, user).await?;
        Ok(member.as_ref().is_some_and(Member::is_active))
    }

    /// A user's active membership.
    async fn membership(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<Member, ChatError> {
        let member = self.store.member(conversation, user).await?;
        member
            .filter(Member::is_active)
            .ok_or(ChatError::Refused(Refusal::NotAMember))
    }

    /// Makes a change in a conversation; `None` when it is as wanted already. The committer announces it.
    ///
    /// # Errors
    /// `not_a_member`, and what else `decide` of the domain refuses this kind for: `not_allowed`, `no_such_member`,
    /// `no_such_message`, `message_deleted` and so on, as docs/permissions.md has it.
    pub async fn change(
        &self,
        conversation: ConversationId,
        actor: UserId,
        kind: ChangeKind,
    ) -> Result<Option<Arc<Event>>, ChatError> {
        let at = self.clock.now();
        let change = Change {
            id: EventId::generate(at, &self.entropy),
            conversation,
            actor,
            at,
            kind,
        };
        match self.committer.change(change).await? {
            Changed::Applied(event) => Ok(Some(event)),
            Changed::Nothing => Ok(None),
            Changed::Refused(refusal) => Err(refusal.into()),
        }
    }
}

impl std::fmt::Debug for Chat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chat")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
