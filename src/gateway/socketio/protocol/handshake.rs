//! What the application may know of a client's first request. A copy: the original would pin the connection's read
//! buffer as long as the session lives.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Query};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use tokio::time::Instant;

/// The longest header value kept, in bytes; longer ones are left out.
const MAX_VALUE_BYTES: usize = 4 * 1024;

/// Headers of the transport, of no interest to an application.
const TRANSPORT_HEADERS: [&str; 4] = ["connection", "upgrade", "content-length", "accept-encoding"];

type Pairs = Box<[(Box<str>, Box<str>)]>;

/// The request that opened a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeRequest {
    headers: Pairs,
    query: Pairs,
    /// The peer's address, if the server was started with connection info.
    pub remote: Option<SocketAddr>,
    /// When it came.
    pub at: Instant,
}

impl HandshakeRequest {
    pub(super) fn new(parts: &Parts) -> Self {
        let remote = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Self {
            headers: copy_headers(&parts.headers),
            query: copy_query(parts),
            remote: remote.map(|info| info.0),
            at: Instant::now(),
        }
    }

    /// The first value of a header, named in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The first value of a query parameter.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }
}

fn find<'a>(pairs: &'a [(Box<str>, Box<str>)], name: &str) -> Option<&'a str> {
    let pair = pairs.iter().find(|(key, _)| key.as_ref() == name);
    pair.map(|(_, value)| value.as_ref())
}

fn copy_headers(headers: &HeaderMap) -> Pairs {
    let is_wanted =
        |name: &str| !TRANSPORT_HEADERS.contains(&name) && !name.starts_with("sec-websocket");
    headers
        .iter()
        .filter(|(name, value)| is_wanted(name.as_str()) && value.len() <= MAX_VALUE_BYTES)
        .filter_map(|(name, value)| Some((name.as_str().into(), value.to_str().ok()?.into())))
        .collect()
}

fn copy_query(parts: &Parts) -> Pairs {
    let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
    query
        .map(|Query(pairs)| pairs)
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| (name.into_boxed_str(), value.into_boxed_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[test]
    fn headers_and_query_can_be_asked_for() {
        let request = Request::builder()
            .uri("/socket.io/?EIO=4&token=a%20b")
            .header("Authorization", "Bearer x")
            .header("Upgrade", "websocket")
            .header("Cookie", "c".repeat(MAX_VALUE_BYTES + 1));
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let request = HandshakeRequest::new(&parts);
        assert_eq!(request.header("authorization"), Some("Bearer x"));
        assert_eq!(request.header("upgrade"), None);
        assert_eq!(request.header("cookie"), None);
        assert_eq!(request.query("token"), Some("a b"));
        assert_eq!(request.query("none"), None);
        assert_eq!(request.remote, None);
    }
}
