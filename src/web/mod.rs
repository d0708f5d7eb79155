//! The bundled web page: a client like any other, of the REST interface and `/ws`. Serves files and knows nothing of
//! chat.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};

/// The page may load nothing but these files and talk to nobody but this server; no script or style stands in the
/// HTML itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// What `/` shows.
const INDEX: &str = "index.html";

#[derive(RustEmbed)]
#[folder = "src/web/page/"]
struct Page;

/// `/` and the files it needs, under `/web/`. Has no fallback, so that it can be merged.
pub fn router() -> Router {
    let files = Page::iter().filter(|name| name != INDEX);
    let routes = files.fold(Router::new(), |router, name| {
        let path = format!("/web/{name}");
        router.route(
            &path,
            get(async move |headers: HeaderMap| answer(&name, &headers)),
        )
    });
    routes.route("/", get(async |headers: HeaderMap| answer(INDEX, &headers)))
}

fn answer(name: &str, request: &HeaderMap) -> Response {
    let Some(file) = Page::get(name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = tag(&file);
    let known = request
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| *known == tag);
    let (status, body) = if known {
        (StatusCode::NOT_MODIFIED, Body::empty())
    } else {
        (StatusCode::OK, Body::from(file.data.into_owned()))
    };
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static(content_type(name)),
        ),
        (header::ETAG, tag),
        // Ask every time, so that a page never runs with scripts of another release.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(POLICY),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
    ];
    (status, headers, body).into_response()
}

/// The file's hash, which changes with its content and with nothing else.
fn tag(file: &EmbeddedFile) -> HeaderValue {
    let digits: String = file.metadata.sha256_hash()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    HeaderValue::try_from(format!("\"{digits}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn ask(path: &str, known: Option<&HeaderValue>) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::get(path);
        if let Some(tag) = known {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        let request = request.body(Body::empty()).unwrap();
        let (parts, body) = router().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (
            parts.status,
            parts.headers,
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    #[tokio::test]
    async fn the_page_and_every_file_it_names_are_served() {
        let (status, headers, page) = ask("/", None).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
        let mut named = 0;
        for piece in page.split('"').filter(|piece| piece.starts_with("/web/")) {
            let (status, headers, _) = ask(piece, None).await;
            assert_eq!(status, StatusCode::OK, "{piece}");
            assert_ne!(
                headers[header::CONTENT_TYPE],
                "application/octet-stream",
                "{piece}"
            );
            assert_eq!(headers[header::CONTENT_SECURITY_POLICY], POLICY);
            named += 1;
        }
        assert!(named >= 3, "{page}");
        assert_eq!(ask("/web/mod.rs", None).await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn a_file_the_browser_has_is_not_sent_again() {
        let (_, headers, _) = ask("/web/app.js", None).await;
        let (status, again, body) = ask("/web/app.js", Some(&headers[header::ETAG])).await;
        assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));
        assert_eq!(again[header::ETAG], headers[header::ETAG]);
        let other = HeaderValue::from_static("\"other\"");
        assert_eq!(ask("/web/app.js", Some(&other)).await.0, StatusCode::OK);
    }

    #[test]
    fn nothing_a_user_wrote_can_become_markup_and_nothing_is_loaded_from_elsewhere() {
        for name in Page::iter() {
            let file = Page::get(&name).unwrap();
            let text = String::from_utf8(file.data.into_owned()).unwrap();
            for sink in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
            ] {
                assert!(!text.contains(sink), "{name} uses {sink}");
            }
            let foreign = text.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !foreign.contains("http://") && !foreign.contains("https://"),
                "{name}"
            );
            assert!(
                !text.contains("style=") && !text.contains("onclick="),
                "{name}"
            );
        }
    }
}
