//! What is shown of users to those they do not know. Knows no user.

/// How users may be looked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserSearch {
    /// Nobody can search for users.
    Off,
    /// Only a whole username finds its user.
    Exact,
    /// A username's beginning finds all users whose names have it.
    #[default]
    Prefix,
}

/// Who learns when a user was last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LastSeen {
    /// Whoever shares a conversation with them.
    #[default]
    Contacts,
    /// Everybody with an account.
    Anybody,
}

/// What is shown of users to those they do not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Directory {
    /// How they may be looked for.
    pub search: UserSearch,
    /// Who learns when they were last seen.
    pub last_seen: LastSeen,
}
