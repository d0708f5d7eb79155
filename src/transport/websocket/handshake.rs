//! The opening handshake over HTTP/1.1 (RFC 6455, section 4.2). Knows nothing of who may connect.

use axum::body::Body;
use axum::http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tungstenite::handshake::derive_accept_key;

use super::{WebSocket, WebSocketBounds};
use crate::logging::served;

/// A request that asks for a WebSocket, and can have one.
#[derive(Debug)]
pub(crate) struct Handshake {
    key: HeaderValue,
    protocol: Option<HeaderValue>,
    on_upgrade: OnUpgrade,
}

/// Why a request gets no WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoWebSocket {
    /// It asks for none, or for another version than 13.
    NotAsked,
    /// Its key is not the base64 of 16 bytes, or it has several.
    InvalidKey,
}

/// Bytes in a client's key.
const KEY_BYTES: usize = 16;

impl Handshake {
    /// Reads the request; its connection is then ours.
    pub(crate) fn of(parts: &mut Parts) -> Result<Self, NoWebSocket> {
        let headers = &parts.headers;
        let is_asked = parts.method == Method::GET
            && parts.version >= Version::HTTP_11
            && names(headers, &CONNECTION, "upgrade")
            && names(headers, &UPGRADE, "websocket")
            && names(headers, &SEC_WEBSOCKET_VERSION, "13");
        if !is_asked {
            return Err(NoWebSocket::NotAsked);
        }
        let key = key(headers).ok_or(NoWebSocket::InvalidKey)?;
        let protocol = first_protocol(headers);
        let on_upgrade = parts.extensions.remove().ok_or(NoWebSocket::NotAsked)?;
        Ok(Self {
            key,
            protocol,
            on_upgrade,
        })
    }

    /// The answer; `serve` gets the socket once it is sent.
    pub(crate) fn accept<F>(
        self,
        bounds: WebSocketBounds,
        serve: impl FnOnce(WebSocket) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let on_upgrade = self.on_upgrade;
        served::spawn(async move {
            // A client that went away before the answer has no socket to serve.
            if let Ok(stream) = on_upgrade.await {
                serve(WebSocket::new(TokioIo::new(stream), bounds)).await;
            }
        });
        let accept = derive_accept_key(self.key.as_bytes());
        let headers = [
            (CONNECTION, "upgrade"),
            (UPGRADE, "websocket"),
            (SEC_WEBSOCKET_ACCEPT, accept.as_str()),
        ];
        let mut answer = (StatusCode::SWITCHING_PROTOCOLS, headers, Body::empty()).into_response();
        if let Some(protocol) = self.protocol {
            let headers = answer.headers_mut();
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        answer
    }
}

/// The first subprotocol that the client offers. We speak none of them and refuse none: `ws` of npm gives up a connection
/// whose server chose nothing, and servers choose the first by default.
fn first_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let offered = headers.get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    let first = offered.split(',').next()?.trim();
    HeaderValue::from_str(first)
        .ok()
        .filter(|first| !first.is_empty())
}

/// The client's key (RFC 6455, section 4.2.1).
fn key(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let (Some(key), None) = (keys.next(), keys.next()) else {
        return None;
    };
    let bytes = STANDARD.decode(key).ok()?;
    (bytes.len() == KEY_BYTES).then(|| key.clone())
}

/// Whether a header's comma-separated list names this, in any case.
fn names(headers: &HeaderMap, header: &HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(header).into_iter();
    let mut tokens = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    tokens.any(|token| token.trim().eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn of(headers: &[(&str, &str)]) -> Result<Handshake, NoWebSocket> {
        let mut request = Request::get("/ws");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        let on_upgrade = hyper::upgrade::on(&mut request);
        request.extensions_mut().insert(on_upgrade);
        Handshake::of(&mut request.into_parts().0)
    }

    #[test]
    fn the_first_subprotocol_offered_is_chosen() {
        let mut headers = HeaderMap::new();
        assert_eq!(first_protocol(&headers), None);
        headers.insert(SEC_WEBSOCKET_PROTOCOL, "chat, superchat".parse().unwrap());
        assert_eq!(first_protocol(&headers).unwrap(), "chat");
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(" "));
        assert_eq!(first_protocol(&headers), None);
    }

    #[test]
    fn lists_and_cases_are_read_as_the_protocol_says() {
        let mut headers = vec![
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        assert!(of(&headers).is_ok());
        headers[2].1 = "12";
        assert!(of(&headers).is_err());
        headers.pop();
        assert!(of(&headers).is_err());
        assert!(of(&[]).is_err());
    }
}
