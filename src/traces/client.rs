//! One request to the collector: HTTP/1.1 over a connection of its own, since one every few seconds is not worth keeping
//! one. Without TLS: a collector beside the gateway speaks it to others.

use async_trait::async_trait;
use axum::body::Body;
use axum::http::header::{HOST, HeaderValue};
use axum::http::uri::PathAndQuery;
use axum::http::{Request, Response, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

/// The most of an answer that is read, in bytes: it says which spans were refused, in a few words.
const ANSWER: usize = 64 * 1024;
/// Where HTTP is spoken when a URL names no port.
const HTTP_PORT: u16 = 80;

/// The collector's client. How long a request may take is its caller's business: dropping the future ends it.
#[derive(Debug)]
pub(super) struct CollectorClient;

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let uri = request.uri().clone();
        let host = uri.host().ok_or("the URL names no host")?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((bare, uri.port_u16().unwrap_or(HTTP_PORT))).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let _connection = Ends(tokio::spawn(connection).abort_handle());
        let answer = sender.send_request(outgoing(request, &uri)?).await?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }
}

/// With the path alone in its first line, and the host in its header.
fn outgoing(request: Request<Bytes>, uri: &Uri) -> Result<Request<Body>, HttpError> {
    let authority = uri.authority().ok_or("the URL names no host")?;
    // What is before an @ is for proxies of old, not for a header.
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let mut request = request.map(Body::from);
    *request.uri_mut() = path.parse()?;
    request
        .headers_mut()
        .insert(HOST, HeaderValue::from_str(host)?);
    Ok(request)
}

/// Aborts a connection's task when dropped.
struct Ends(AbortHandle);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}
