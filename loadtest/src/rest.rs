//! HTTP requests to gateways, over the same connections as everything else. Knows JSON and statuses, no routes.

use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use crate::client::{Dial, Stream};
use crate::gateways::Gateways;

/// How long a request may take.
const REQUEST: Duration = Duration::from_secs(10);

/// Asks one gateway, over connections that are kept.
#[derive(Debug, Clone)]
pub(crate) struct Rest {
    client: Client<Dialling, Full<Bytes>>,
    dial: Dial,
}

/// Makes the connections of a [`Client`], all to one gateway.
#[derive(Debug, Clone)]
struct Dialling(Dial);

impl tower_service::Service<Uri> for Dialling {
    type Response = TokioIo<Stream>;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let dial = self.0.clone();
        Box::pin(async move { dial.connect().await.map(TokioIo::new) })
    }
}

/// Why a request failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// No answer, or none that could be read.
    Away(String),
    /// Another status than success.
    Status(u16),
    /// Its certificate is not believed: asking again would not help.
    Distrusted(String),
}

impl Rest {
    /// One for each gateway.
    pub(crate) fn of(gateways: &Gateways) -> Vec<Self> {
        let dials = (0..gateways.all.len()).map(|number| Dial::to(gateways, number));
        dials
            .map(|dial| Self {
                client: Client::builder(TokioExecutor::new()).build(Dialling(dial.clone())),
                dial,
            })
            .collect()
    }

    /// Posts the body, or else gets.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<T, Failed> {
        let method = body.map_or("GET", |_| "POST");
        let body = self.send(method, path, token, body).await?;
        serde_json::from_slice(&body).map_err(|error| Failed::Away(format!("{path}: {error}")))
    }

    /// Asks in any way; returns the answer's body.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Bytes, Failed> {
        let away = |why: &dyn std::fmt::Display| Failed::Away(format!("{path}: {why}"));
        let mut request = Request::builder()
            .method(method)
            .uri(self.dial.gateway.url("http", path))
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request
            .body(Full::from(body))
            .map_err(|error| away(&error))?;
        let answered = async {
            let answer = self
                .client
                .request(request)
                .await
                .map_err(|error| unanswered(path, &error))?;
            let status = answer.status();
            let body = answer
                .into_body()
                .collect()
                .await
                .map_err(|error| away(&error))?;
            Ok::<_, Failed>((status, body.to_bytes()))
        };
        let answer = timeout(REQUEST, answered).await;
        let (status, body) = answer.map_err(|_| away(&"no answer in time"))??;
        if !status.is_success() {
            return Err(Failed::Status(status.as_u16()));
        }
        Ok(body)
    }
}

/// What an error and the errors it comes from say together: the last alone knows of certificates.
fn unanswered(path: &str, error: &(dyn std::error::Error + 'static)) -> Failed {
    let chain = || std::iter::successors(Some(error), |error| error.source());
    let why: Vec<String> = chain().map(ToString::to_string).collect();
    let why = format!("{path}: {}", why.join(": "));
    // Which is what a TLS handshake that failed is.
    let is_distrusted = chain()
        .filter_map(|error| error.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::InvalidData);
    match is_distrusted {
        true => Failed::Distrusted(why),
        false => Failed::Away(why),
    }
}
