//! Identifiers. Opaque strings on the wire, small `Copy` values inside; knows nothing of who uses them.
//!
//! User, room and event ids are 12 bytes, written as 24 lower-case hexadecimal digits: four bytes of creation time
//! (seconds, big endian) for index locality, eight random bytes for uniqueness.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

use super::Timestamp;

const ID_BYTES: usize = 12;
const ID_DIGITS: usize = ID_BYTES * 2;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A string that is not an identifier of the kind expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid id")]
pub struct InvalidId;

/// The process's source of randomness for identifiers and jitter; seeded in tests.
#[derive(Debug)]
pub struct Entropy(Mutex<StdRng>);

impl Entropy {
    /// Randomness from the operating system.
    #[must_use]
    pub fn from_os() -> Self {
        Self(Mutex::new(StdRng::from_os_rng()))
    }

    /// A reproducible source, for tests.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// Eight random bytes.
    pub fn next_u64(&self) -> u64 {
        self.0.lock().next_u64()
    }

    /// Fills a buffer with random bytes.
    pub fn fill(&self, buffer: &mut [u8]) {
        self.0.lock().fill_bytes(buffer);
    }

    /// A random duration in `[0, up_to)`, for spreading work that would otherwise come all at once.
    pub fn jitter(&self, up_to: std::time::Duration) -> std::time::Duration {
        let share = (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        up_to.mul_f64(share)
    }

    fn id(&self, now: Timestamp) -> [u8; ID_BYTES] {
        let mut bytes = [0; ID_BYTES];
        let seconds = u32::try_from(now.millis() / 1000).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&seconds.to_be_bytes());
        self.fill(&mut bytes[4..]);
        bytes
    }
}

fn parse_hex(text: &str) -> Result<[u8; ID_BYTES], InvalidId> {
    let digits = text.as_bytes();
    if digits.len() != ID_DIGITS {
        return Err(InvalidId);
    }
    let mut bytes = [0; ID_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Ok(bytes)
}

fn nibble(digit: u8) -> Result<u8, InvalidId> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(InvalidId),
    }
}

/// In one piece: a message is written with a dozen ids in it, and formatting byte by byte was 2.5 % of its cost.
fn write_hex(bytes: &[u8; ID_BYTES], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut digits = [0; ID_DIGITS];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0xF)];
    }
    f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name([u8; ID_BYTES]);

        /// As two numbers: hashers are slow with slices, and every look-up of a message's way is by ids.
        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                let [a, b, c, d, random @ ..] = self.0;
                state.write_u32(u32::from_ne_bytes([a, b, c, d]));
                state.write_u64(u64::from_ne_bytes(random));
            }
        }

        impl $name {
            /// A new id, unique by its eight random bytes.
            #[must_use]
            pub fn generate(now: Timestamp, entropy: &Entropy) -> Self {
                Self(entropy.id(now))
            }

            /// The id's bytes, as the envelope and the stores keep them.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; ID_BYTES] {
                self.0
            }

            /// The id with these bytes; every value is a valid id.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; ID_BYTES]) -> Self {
                Self(bytes)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_hex(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }
    };
}

id!(
    /// A user.
    UserId
);
id!(
    /// A room; the same string as its conversation's id.
    RoomId
);
id!(
    /// One entry of a log; the wire's `_id`.
    EventId
);

/// A conversation. A direct one is named by its two users in order, so both sides compute it and no look-up exists:
/// `{lower user id}-{higher user id}` on the wire. A room's is the room's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConversationId {
    /// Between two users, or of one user with themselves (both the same).
    Direct(UserId, UserId),
    /// A room.
    Room(RoomId),
}

impl ConversationId {
    /// The direct conversation of two users, whichever is named first.
    #[must_use]
    pub fn direct(one: UserId, other: UserId) -> Self {
        Self::Direct(one.min(other), one.max(other))
    }

    /// For a direct conversation: the user at the other end from `user` (oneself in a conversation with oneself);
    /// `None` for a room, or when `user` is not one of the two.
    #[must_use]
    pub fn peer_of(self, user: UserId) -> Option<UserId> {
        match self {
            Self::Direct(low, high) if user == low => Some(high),
            Self::Direct(low, high) if user == high => Some(low),
            Self::Direct(..) | Self::Room(_) => None,
        }
    }

    /// The one or two users of a direct conversation; none for a room.
    pub fn direct_users(self) -> impl Iterator<Item = UserId> {
        let (first, second) = match self {
            Self::Direct(low, high) => (Some(low), (low != high).then_some(high)),
            Self::Room(_) => (None, None),
        };
        first.into_iter().chain(second)
    }
}

impl From<RoomId> for ConversationId {
    fn from(room: RoomId) -> Self {
        Self::Room(room)
    }
}

impl FromStr for ConversationId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let Some((low, high)) = text.split_once('-') else {
            return text.parse().map(Self::Room);
        };
        let (low, high): (UserId, UserId) = (low.parse()?, high.parse()?);
        if low > high {
            return Err(InvalidId);
        }
        Ok(Self::Direct(low, high))
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct(low, high) => write!(f, "{low}-{high}"),
            Self::Room(room) => write!(f, "{room}"),
        }
    }
}

impl fmt::Debug for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// A new random id.
            #[must_use]
            pub fn generate(entropy: &Entropy) -> Self {
                Self(entropy.next_u64())
            }

            /// The id as a number, as the envelope carries it.
            #[must_use]
            pub const fn to_u64(self) -> u64 {
                self.0
            }

            /// The id with this number.
            #[must_use]
            pub const fn from_u64(number: u64) -> Self {
                Self(number)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if text.len() != 16 || text.bytes().any(|digit| nibble(digit).is_err()) {
                    return Err(InvalidId);
                }
                u64::from_str_radix(text, 16).map(Self).map_err(|_| InvalidId)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

number_id!(
    /// One replica of the process; new at every start. Sixteen hexadecimal digits.
    GatewayId
);
number_id!(
    /// One connection of one user on one gateway. Sixteen hexadecimal digits.
    SessionId
);

#[cfg(test)]
mod tests {
    use super::*;

    fn user(byte: u8) -> UserId {
        UserId::from_bytes([byte; 12])
    }

    #[test]
    fn ids_survive_the_wire() {
        let id = UserId::generate(
            Timestamp::from_millis(1_700_000_000_123),
            &Entropy::seeded(1),
        );
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(&id.to_string()[..8], "6553f100");
    }

    #[test]
    fn only_lower_case_hex_of_the_right_length_is_an_id() {
        for bad in [
            "",
            "1",
            &"g".repeat(24),
            &"A".repeat(24),
            &"a".repeat(25),
            &"é".repeat(12),
        ] {
            assert_eq!(bad.parse::<UserId>(), Err(InvalidId), "{bad}");
        }
    }

    #[test]
    fn both_sides_compute_the_same_direct_conversation() {
        let id = ConversationId::direct(user(9), user(3));
        assert_eq!(id, ConversationId::direct(user(3), user(9)));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.peer_of(user(3)), Some(user(9)));
        assert_eq!(id.peer_of(user(4)), None);
    }

    #[test]
    fn a_direct_id_in_the_wrong_order_is_no_id() {
        let text = format!("{}-{}", user(9), user(3));
        assert_eq!(text.parse::<ConversationId>(), Err(InvalidId));
    }

    #[test]
    fn a_conversation_with_oneself_has_one_user() {
        let id = ConversationId::direct(user(1), user(1));
        assert_eq!(id.peer_of(user(1)), Some(user(1)));
        assert_eq!(id.direct_users().count(), 1);
    }
}
