//! How long passwords and secrets may be. Knows no reason to refuse others.

/// The shortest password, in bytes.
pub(super) const PASSWORD_SHORTEST: usize = 8;
/// The longest password, in bytes.
pub(super) const PASSWORD_LONGEST: usize = 256;
/// The shortest secret, in bytes: as long as the output of HS256 (RFC 7518, section 3.2).
pub(super) const SECRET_SHORTEST: usize = 32;
