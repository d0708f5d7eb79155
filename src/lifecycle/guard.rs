//! What every request must be, and every answer carries, on either port: one valid Host, a head of bounded size, and
//! the headers that keep browsers from guessing. Knows no route.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{HOST, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Version};
use axum::response::{IntoResponse, Response};

use crate::api::ApiError;

/// The most bytes of a request's head, line included; more is answered 431. A token is about 300 bytes, and cookies of
/// other programs on the same name may be 4 KiB each.
const HEAD: usize = 24 * 1024;
/// What stands around a header besides its name and value: a colon, a space, a line's end.
const AROUND: usize = 4;

/// The guard of one port.
#[derive(Debug, Clone, Default)]
pub(super) struct Guard {
    hosts: Hosts,
    /// Told to browsers when TLS ends before this port.
    strict_transport: Option<HeaderValue>,
}

/// Under which names a port may be asked for.
#[derive(Debug, Clone, Default)]
enum Hosts {
    /// Any name that is a valid host.
    #[default]
    Any,
    /// IP addresses, names without a dot, and these. No page on the web has such a name, so that none can reach the
    /// port by letting its own name point here (DNS rebinding).
    Private(Arc<[String]>),
}

impl Guard {
    /// Of the public port. `hsts` zero: browsers are told nothing about TLS.
    pub(super) fn public(hsts: Duration) -> Self {
        let strict = format!("max-age={}", hsts.as_secs());
        Self {
            hosts: Hosts::Any,
            strict_transport: (!hsts.is_zero())
                .then(|| HeaderValue::try_from(strict).ok())
                .flatten(),
        }
    }

    /// Of the admin port, which may also be asked for under these names.
    pub(super) fn admin(names: &[String]) -> Self {
        Self {
            hosts: Hosts::Private(names.into()),
            strict_transport: None,
        }
    }

    /// Looks at a request before its route does; the answer when it is none of ours.
    pub(super) fn refuse(&self, request: &Parts) -> Option<Response> {
        self.check(request).err().map(IntoResponse::into_response)
    }

    fn check(&self, request: &Parts) -> Result<(), ApiError> {
        if head_bytes(request) > HEAD {
            return Err(ApiError::HeadTooLarge);
        }
        match (host(&request.headers)?, &self.hosts) {
            (None, _) if request.version < Version::HTTP_11 => Ok(()),
            (None, _) => Err(ApiError::InvalidHost),
            (Some(_), Hosts::Any) => Ok(()),
            (Some(host), Hosts::Private(names)) => is_private(host.host(), names)
                .then_some(())
                .ok_or(ApiError::WrongHost),
        }
    }

    /// Adds what every answer carries.
    pub(super) fn complete(&self, response: &mut Response) {
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(strict) = &self.strict_transport {
            headers.insert(STRICT_TRANSPORT_SECURITY, strict.clone());
        }
    }
}

/// RFC 9112, 3.2: one Host, of the form `host[:port]`.
fn host(headers: &HeaderMap) -> Result<Option<Authority>, ApiError> {
    let mut given = headers.get_all(HOST).iter();
    let (Some(host), rest) = (given.next(), given.next()) else {
        return Ok(None);
    };
    let parsed = Authority::try_from(host.as_bytes()).ok();
    parsed
        .filter(|host| rest.is_none() && !host.as_str().contains('@') && !host.host().is_empty())
        .map(Some)
        .ok_or(ApiError::InvalidHost)
}

fn is_private(host: &str, names: &[String]) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok()
        || !host.contains('.')
        || names.iter().any(|name| name.eq_ignore_ascii_case(host))
}

fn head_bytes(request: &Parts) -> usize {
    let target = request
        .uri
        .path_and_query()
        .map_or(1, |path| path.as_str().len());
    let headers = request.headers.iter();
    let bytes = headers.map(|(name, value)| name.as_str().len() + value.len() + AROUND);
    target + bytes.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn checked(guard: &Guard, hosts: &[&str]) -> Result<(), &'static str> {
        let mut request = Request::get("/livez");
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        guard.check(&parts).map_err(|error| error.code())
    }

    #[test]
    fn a_request_has_one_valid_host() {
        let guard = Guard::public(Duration::ZERO);
        for valid in [
            "chat.example.org",
            "chat.example.org:443",
            "[::1]:3000",
            "127.0.0.1",
        ] {
            assert_eq!(checked(&guard, &[valid]), Ok(()), "{valid}");
        }
        let invalid: [&[&str]; 6] = [
            &[],
            &["a", "a"],
            &["a", "b"],
            &["user@a"],
            &["a b"],
            &["a/b"],
        ];
        for hosts in invalid {
            assert_eq!(checked(&guard, hosts), Err("invalid_host"), "{hosts:?}");
        }
    }

    #[test]
    fn an_old_client_need_not_name_the_host() {
        let mut request = Request::get("/").body(()).unwrap();
        *request.version_mut() = Version::HTTP_10;
        let (parts, ()) = request.into_parts();
        assert!(Guard::public(Duration::ZERO).check(&parts).is_ok());
    }

    #[test]
    fn the_admin_port_is_not_for_names_of_the_web() {
        let guard = Guard::admin(&["hobnob.prod.svc".to_owned()]);
        for ours in [
            "127.0.0.1:9090",
            "10.1.2.3:9090",
            "[::1]:9090",
            "localhost:9090",
            "gateway1:9090",
            "Hobnob.prod.svc:9090",
        ] {
            assert_eq!(checked(&guard, &[ours]), Ok(()), "{ours}");
        }
        for theirs in ["evil.example", "127.0.0.1.evil.example:9090", "svc.evil"] {
            assert_eq!(checked(&guard, &[theirs]), Err("wrong_host"), "{theirs}");
        }
    }

    #[test]
    fn a_head_is_bounded() {
        let guard = Guard::default();
        for (bytes, expected) in [(HEAD - 64, Ok(())), (HEAD, Err("head_too_large"))] {
            let request = Request::get("/")
                .header(HOST, "a")
                .header("cookie", "x".repeat(bytes));
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(guard.check(&parts).map_err(|error| error.code()), expected);
        }
        let (parts, ()) = Request::get(format!("/?{}", "x".repeat(HEAD)))
            .header(HOST, "a")
            .body(())
            .unwrap()
            .into_parts();
        assert!(guard.refuse(&parts).is_some());
    }
}
