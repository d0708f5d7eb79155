//! `Link` headers for paging (RFC 8288). Knows queries, not what is paged.

use std::fmt::Display;

use axum::http::header::LINK;
use axum::http::{HeaderMap, HeaderValue, Uri};

/// The links of one page, relative to the request's own path.
#[derive(Debug)]
pub(super) struct Links<'a> {
    path: &'a str,
    limit: usize,
    links: Vec<String>,
}

impl<'a> Links<'a> {
    /// The links of a page of `limit` entries.
    pub(super) fn of(uri: &'a Uri, limit: usize) -> Self {
        let (path, links) = (uri.path(), Vec::new());
        Self { path, limit, links }
    }

    /// Adds `rel`, the page with this bound.
    pub(super) fn add(&mut self, rel: &str, bound: &str, at: impl Display) {
        let (path, limit) = (self.path, self.limit);
        self.links.push(format!(
            "<{path}?{bound}={at}&limit={limit}>; rel=\"{rel}\""
        ));
    }

    /// The header, when there are any.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::try_from(self.links.join(", "));
        if let (false, Ok(value)) = (self.links.is_empty(), value) {
            headers.insert(LINK, value);
        }
        headers
    }
}
