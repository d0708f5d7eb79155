//! Addresses with credentials in them, which must not be printed, and how they are printed without. Knows not where they
//! come from.

use std::fmt;

/// The address of a server, perhaps with credentials. Display and Debug leave those out.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl(String);

impl ServerUrl {
    /// The caller has checked the text.
    pub(super) const fn checked(text: String) -> Self {
        Self(text)
    }

    /// The whole address, for connecting.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted_url(&self.0))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An address with what may be secret replaced: the credentials before the `@`, and the values of query parameters
/// other than the harmless ones. Where an unescaped character makes it unclear which is which, all of it.
pub(super) fn redacted_url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (place, query) = match rest.split_once('?') {
        Some((_, query)) if query.contains('@') => return format!("{scheme}://[redacted]"),
        Some((place, query)) => (place, format!("?{}", redacted_query(query))),
        None => (rest, String::new()),
    };
    match place.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://[redacted]@{host}{query}"),
        None => format!("{scheme}://{place}{query}"),
    }
}

fn redacted_query(query: &str) -> String {
    const HARMLESS: &[&str] = &[
        "replicaSet",
        "authSource",
        "tls",
        "ssl",
        "directConnection",
        "retryWrites",
        "retryReads",
        "appName",
        "w",
        "journal",
        "readPreference",
        "readConcernLevel",
        "sentinelServiceName",
        "node",
        "maxPoolSize",
    ];
    let parameter = |pair: &str| match pair.split_once('=') {
        Some((key, _)) if !HARMLESS.contains(&key) => format!("{key}=[redacted]"),
        _ => pair.to_owned(),
    };
    query
        .split('&')
        .map(parameter)
        .collect::<Vec<_>>()
        .join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_never_printed() {
        let cases = [
            (
                "redis://:hunter2@host:6379/0",
                "redis://[redacted]@host:6379/0",
            ),
            (
                "mongodb://me:hun/ter2@a,b/chat?replicaSet=rs0",
                "mongodb://[redacted]@a,b/chat?replicaSet=rs0",
            ),
            (
                "mongodb://h/chat?tlsCertificateKeyFilePassword=hunter2&w=majority",
                "mongodb://h/chat?tlsCertificateKeyFilePassword=[redacted]&w=majority",
            ),
            ("mongodb://me:hunter2?x@h/chat", "mongodb://[redacted]"),
            ("redis://host", "redis://host"),
        ];
        for (url, shown) in cases {
            assert_eq!(ServerUrl::checked(url.to_owned()).to_string(), shown);
        }
    }
}
