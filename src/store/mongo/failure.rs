//! What the driver's errors mean to the port: away for now, or at fault. Knows no collection.

use std::collections::BTreeSet;

use mongodb::bson::Document;
use mongodb::error::{
    Error, ErrorKind, RETRYABLE_WRITE_ERROR, TRANSIENT_TRANSACTION_ERROR, WriteFailure,
};

use crate::store::StoreError;

/// The server's code for a key that a unique index refuses.
pub(super) const DUPLICATE_KEY: i32 = 11000;

/// Codes that say "not now" (the server's error_codes.yml): elections, shutdowns, limits of time, conflicts.
const NOT_NOW: [i32; 33] = [
    6, 7, 24, 43, 46, 50, 64, 79, 89, 91, 94, 100, 112, 133, 134, 175, 189, 202, 225, 237, 239,
    246, 251, 262, 290, 9001, 10058, 10107, 11600, 11601, 11602, 13435, 13436,
];

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let text = describe(&error);
        if is_not_now(&error) {
            Self::Unavailable(text)
        } else {
            Self::Broken(text)
        }
    }
}

fn is_not_now(error: &Error) -> bool {
    let labels = [RETRYABLE_WRITE_ERROR, TRANSIENT_TRANSACTION_ERROR];
    if labels.iter().any(|label| error.contains_label(label)) {
        return true;
    }
    match &*error.kind {
        ErrorKind::Io(_)
        | ErrorKind::ServerSelection { .. }
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::Shutdown
        | ErrorKind::Write(WriteFailure::WriteConcernError(_)) => true,
        ErrorKind::Command(error) => is_not_now_code(error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => is_not_now_code(error.code),
        ErrorKind::InsertMany(error) => {
            let mut errors = error.write_errors.iter().flatten();
            error.write_concern_error.is_some() || errors.any(|error| is_not_now_code(error.code))
        }
        _ => false,
    }
}

/// The error in words fit for a log. Of refused writes only the codes: the server quotes documents in its details, and
/// message contents are never logged.
pub(super) fn describe(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::InsertMany(error) => {
            let errors = error.write_errors.iter().flatten();
            let codes: BTreeSet<i32> = errors.map(|error| error.code).collect();
            let concern = error.write_concern_error.as_ref().map(|error| error.code);
            format!("insert refused: codes {codes:?}, write concern {concern:?}")
        }
        ErrorKind::Write(WriteFailure::WriteError(error)) => {
            format!("write refused: code {}", error.code)
        }
        kind => kind.to_string(),
    }
}

/// A statement of a command that was refused for its own sake.
pub(super) struct RefusedStatement {
    /// Its place in the command.
    pub(super) index: usize,
    pub(super) code: i32,
}

impl From<&Document> for RefusedStatement {
    fn from(error: &Document) -> Self {
        let index = error.get_i32("index").unwrap_or_default();
        Self {
            index: usize::try_from(index).unwrap_or_default(),
            code: error.get_i32("code").unwrap_or_default(),
        }
    }
}

impl From<RefusedStatement> for StoreError {
    /// Only the code: see `describe`.
    fn from(RefusedStatement { index, code }: RefusedStatement) -> Self {
        let text = format!("statement {index} refused: code {code}");
        if is_not_now_code(code) {
            Self::Unavailable(text)
        } else {
            Self::Broken(text)
        }
    }
}

/// Whether a server's code says "not now".
pub(super) fn is_not_now_code(code: i32) -> bool {
    NOT_NOW.contains(&code)
}

/// Whether a unique index refused the write, and nothing else went wrong.
pub(super) fn is_duplicate(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Command(error) => error.code == DUPLICATE_KEY,
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.code == DUPLICATE_KEY,
        ErrorKind::InsertMany(error) => {
            let errors = error.write_errors.as_deref().unwrap_or_default();
            error.write_concern_error.is_none()
                && !errors.is_empty()
                && errors.iter().all(|error| error.code == DUPLICATE_KEY)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_a_condition_and_a_bad_argument_a_fault() {
        let network = Error::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(matches!(
            StoreError::from(network),
            StoreError::Unavailable(_)
        ));
        let fault = Error::custom("fault");
        assert!(matches!(StoreError::from(fault), StoreError::Broken(_)));
        assert!(is_not_now_code(10107) && !is_not_now_code(DUPLICATE_KEY));
    }
}
