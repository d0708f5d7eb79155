//! What is kept of a client's first request: its token, where it came from and when. Everything else is let go, since a
//! stranger may send 60 kB of it and then say nothing, and the original would pin the connection's read buffer as long as
//! the session lives.

use axum::extract::Query;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use tokio::time::Instant;

use crate::auth::bearer;
use crate::domain::Origin;

/// The longest token kept, in bytes; a longer one is none.
const MAX_TOKEN_BYTES: usize = 4 * 1024;

/// The request that opened a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeRequest {
    token: Option<Box<str>>,
    /// Where it came from, if the server says so.
    pub origin: Option<Origin>,
    /// When it came, by which the time to the session's start is measured.
    pub at: Instant,
}

impl HandshakeRequest {
    pub(super) fn new(parts: &Parts) -> Self {
        let token = header_token(parts).or_else(|| query_token(parts));
        Self {
            token: token.filter(|token| token.len() <= MAX_TOKEN_BYTES),
            origin: parts.extensions.get().copied(),
            at: Instant::now(),
        }
    }

    /// The token of `Authorization: Bearer`, else of `?token=`.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }
}

fn header_token(parts: &Parts) -> Option<Box<str>> {
    let header = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    bearer(header).map(Box::from)
}

fn query_token(parts: &Parts) -> Option<Box<str>> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).ok()?;
    let token = pairs.into_iter().find(|(name, _)| name == "token");
    token.map(|(_, value)| value.into_boxed_str())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn token(uri: &str, header: Option<&str>) -> Option<String> {
        let mut request = Request::builder()
            .uri(uri)
            .header("Cookie", "c".repeat(60_000));
        if let Some(header) = header {
            request = request.header("Authorization", header);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        HandshakeRequest::new(&parts).token().map(str::to_owned)
    }

    #[test]
    fn a_token_is_kept_from_the_header_or_the_query_and_no_longer_one_than_there_are() {
        let query = "/socket.io/?EIO=4&token=a%20b";
        assert_eq!(token(query, Some("Bearer x")).as_deref(), Some("x"));
        assert_eq!(token(query, None).as_deref(), Some("a b"));
        assert_eq!(token(query, Some("Basic x")).as_deref(), Some("a b"));
        assert_eq!(token("/socket.io/?EIO=4", None), None);
        let long = format!("/socket.io/?token={}", "t".repeat(MAX_TOKEN_BYTES + 1));
        assert_eq!(token(&long, None), None);
    }
}
