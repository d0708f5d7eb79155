//! The query of a request, and the protocol's answers to a bad one. Knows no session.

use axum::extract::Query;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::transport::lobby::TurnedAway;

/// When a client that finds no place may try again, in seconds.
const RETRY_AFTER_SECONDS: &str = "1";

/// How a client connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Polling,
    WebSocket,
}

/// A request's query after the checks.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) transport: Transport,
    pub(super) sid: Option<String>,
    /// The client's cache buster, unique to each poll.
    pub(super) timestamp: Option<String>,
}

/// A request the protocol refuses. The codes and texts are the reference server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestRefusal {
    TransportUnknown,
    SessionUnknown,
    BadHandshakeMethod,
    BadRequest,
    UnsupportedVersion,
    /// No further session: the engine stops, or there are too many who have not said who they are.
    Unavailable,
    /// Too many came from the client's address who never said who they are.
    TooFast,
    /// The body is larger than allowed.
    TooLarge,
}

impl RequestRefusal {
    const fn status(self) -> StatusCode {
        match self {
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooFast => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    const fn body(self) -> &'static str {
        match self {
            Self::TransportUnknown => r#"{"code":0,"message":"Transport unknown"}"#,
            Self::SessionUnknown => r#"{"code":1,"message":"Session ID unknown"}"#,
            Self::BadHandshakeMethod => r#"{"code":2,"message":"Bad handshake method"}"#,
            Self::BadRequest => r#"{"code":3,"message":"Bad request"}"#,
            Self::Unavailable => r#"{"code":4,"message":"Unavailable"}"#,
            Self::TooFast => r#"{"code":4,"message":"Too many handshakes"}"#,
            Self::UnsupportedVersion => r#"{"code":5,"message":"Unsupported protocol version"}"#,
            Self::TooLarge => r#"{"code":3,"message":"Payload too large"}"#,
        }
    }
}

impl IntoResponse for RequestRefusal {
    fn into_response(self) -> Response {
        let json = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (self.status(), json, self.body()).into_response();
        if matches!(self, Self::Unavailable | Self::TooFast) {
            let again = header::HeaderValue::from_static(RETRY_AFTER_SECONDS);
            response.headers_mut().insert(header::RETRY_AFTER, again);
        }
        response
    }
}

impl From<TurnedAway> for RequestRefusal {
    fn from(why: TurnedAway) -> Self {
        match why {
            TurnedAway::Full => Self::Unavailable,
            TurnedAway::TooFast { .. } => Self::TooFast,
        }
    }
}

#[derive(Debug, Deserialize)]
struct RawQuery {
    #[serde(rename = "EIO")]
    version: Option<String>,
    transport: Option<String>,
    sid: Option<String>,
    t: Option<String>,
}

/// Checks what can be checked without knowing the sessions, in the reference server's order.
pub(super) fn check(method: &Method, uri: &Uri) -> Result<Checked, RequestRefusal> {
    let Query(query) =
        Query::<RawQuery>::try_from_uri(uri).map_err(|_| RequestRefusal::TransportUnknown)?;
    let transport = match query.transport.as_deref() {
        Some("polling") => Transport::Polling,
        Some("websocket") => Transport::WebSocket,
        _ => return Err(RequestRefusal::TransportUnknown),
    };
    if query.version.as_deref() != Some("4") {
        return Err(RequestRefusal::UnsupportedVersion);
    }
    if query.sid.is_none() && method != Method::GET {
        return Err(RequestRefusal::BadHandshakeMethod);
    }
    Ok(Checked {
        transport,
        sid: query.sid,
        timestamp: query.t,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(method: &Method, query: &str) -> Option<RequestRefusal> {
        check(method, &format!("/engine.io/?{query}").parse().unwrap()).err()
    }

    #[test]
    fn bad_queries_are_told_apart() {
        let get = &Method::GET;
        let post = &Method::POST;
        for (method, query, expected) in [
            (get, "EIO=4", Some(RequestRefusal::TransportUnknown)),
            (
                get,
                "EIO=4&transport=abc",
                Some(RequestRefusal::TransportUnknown),
            ),
            (
                get,
                "transport=polling",
                Some(RequestRefusal::UnsupportedVersion),
            ),
            (
                get,
                "EIO=3&transport=polling",
                Some(RequestRefusal::UnsupportedVersion),
            ),
            (
                post,
                "EIO=4&transport=polling",
                Some(RequestRefusal::BadHandshakeMethod),
            ),
            (post, "EIO=4&transport=polling&sid=a", None),
            (get, "EIO=4&transport=websocket", None),
        ] {
            assert_eq!(refusal(method, query), expected, "{method} {query}");
        }
    }
}
