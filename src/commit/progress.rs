//! What an attempt to commit has brought, by which the driver goes on.

/// What became known by one attempt to insert a run.
pub(super) enum Progress {
    /// Something is known that was not: try again at once.
    Some,
    /// Another gateway was first, and what it wrote is known: try again, at once or nearly so (D2).
    Conflict,
    /// Nothing is known: try again after a wait.
    None,
    /// An insert's outcome is unknown: wait a little (D5).
    Unknown,
}
