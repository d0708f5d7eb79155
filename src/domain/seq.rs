//! Places in a log. Knows no event.

use std::fmt;

/// An event's number in its conversation's log: 1, 2, 3 … without holes. Zero is "before the first".
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(u64);

impl Seq {
    /// Before the first event.
    pub const ZERO: Self = Self(0);
    /// After every event: the largest number that JSON clients hold exactly (2⁵³ − 1).
    pub const MAX: Self = Self((1 << 53) - 1);

    /// The seq with this number, at most [`Seq::MAX`].
    #[must_use]
    pub const fn new(number: u64) -> Self {
        if number > Self::MAX.0 {
            Self::MAX
        } else {
            Self(number)
        }
    }

    /// The seq as a number; 0 is before the first event.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next seq.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::new(self.0 + 1)
    }

    /// The seq before; zero stays zero.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The seq this many places on.
    #[must_use]
    pub const fn plus(self, places: u64) -> Self {
        Self::new(self.0.saturating_add(places))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
