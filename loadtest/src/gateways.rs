//! Where the gateways of a run are, and whose certificates are believed. Knows addresses; connects to nothing.

use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The gateways, or what stands before them.
#[derive(Debug, Clone, clap::Args)]
pub struct Gateways {
    /// The gateways' addresses, such as `http://127.0.0.1:3001,http://127.0.0.1:3002` or
    /// `https://chat.example.org`
    #[arg(long = "gateways", id = "gateways", required = true, value_delimiter = ',', value_parser = Gateway::parse)]
    pub(crate) all: Vec<Gateway>,
    /// A file of certificates in PEM to believe instead of the system's, for https:// and wss://
    #[arg(long = "ca", value_name = "FILE", value_parser = Trust::in_file)]
    trust: Option<Trust>,
}

/// One address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// To be reached by TLS, with a certificate for this name or address.
    pub(crate) tls: Option<ServerName<'static>>,
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Host and port as a URL has them.
    pub(crate) authority: String,
}

/// Which certificates are believed.
#[derive(Clone)]
pub struct Trust(pub(crate) Arc<ClientConfig>);

impl Gateways {
    /// Gateways on these ports of this machine.
    pub fn local(ports: impl IntoIterator<Item = u16>) -> Self {
        Self {
            all: ports.into_iter().map(Gateway::local).collect(),
            trust: None,
        }
    }

    /// The one for a session or a request with this number, in turn.
    pub(crate) fn nth(&self, number: usize) -> &Gateway {
        &self.all[number % self.all.len()]
    }

    /// What is believed, if any of them asks for it.
    pub(crate) fn trust(&self) -> Option<Trust> {
        let is_asked = self.all.iter().any(|gateway| gateway.tls.is_some());
        is_asked.then(|| self.trust.clone().unwrap_or_else(Trust::system))
    }
}

impl Gateway {
    /// On this port of this machine.
    pub(crate) fn local(port: u16) -> Self {
        Self {
            tls: None,
            host: "127.0.0.1".to_owned(),
            port,
            authority: format!("127.0.0.1:{port}"),
        }
    }

    /// Reads `http://`, `ws://`, `https://` or `wss://`, then a host, then perhaps a port.
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{why}: write http://host:port or https://host:port");
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("no scheme"))?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@']) {
            return Err(wrong(
                "nothing may follow the host and its port, or stand before it",
            ));
        }
        let (is_tls, default) = match scheme {
            "http" | "ws" => (false, 80),
            "https" | "wss" => (true, 443),
            _ => return Err(wrong("the scheme is none of http, https, ws, wss")),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (
                host,
                port.parse().map_err(|_| wrong("the port is no number"))?,
            ),
            _ => (authority, default),
        };
        let inner = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        if inner.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_err()) {
            return Err(wrong("what is in brackets is no IPv6 address"));
        }
        let name = inner.unwrap_or(host).to_owned();
        let server = ServerName::try_from(name.clone())
            .map_err(|_| wrong("the host is neither a name nor an address"))?;
        Ok(Self {
            tls: is_tls.then_some(server),
            host: name,
            port,
            authority: authority.to_owned(),
        })
    }

    /// The address to ask for a path over a connection to it. Plain whatever it is: the connection is TLS then.
    pub(crate) fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://{}{path}", self.authority)
    }
}

impl Trust {
    /// The certificates of a PEM file.
    fn in_file(path: &str) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{path}: {error}");
        let found =
            CertificateDer::pem_file_iter(Path::new(path)).map_err(|error| failed(&error))?;
        let found: Vec<_> = found
            .collect::<Result<_, _>>()
            .map_err(|error| failed(&error))?;
        if found.is_empty() {
            return Err(failed(&"there is no certificate in it"));
        }
        Ok(Self::of(found))
    }

    /// The system's, read once; one that cannot be read is not believed.
    fn system() -> Self {
        static SYSTEM: OnceLock<Trust> = OnceLock::new();
        let read = || Self::of(rustls_native_certs::load_native_certs().certs);
        SYSTEM.get_or_init(read).clone()
    }

    fn of(certificates: Vec<CertificateDer<'static>>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates);
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self(Arc::new(config))
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trust")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_names_or_numbers_with_or_without_tls() {
        for (text, host, port, tls) in [
            ("http://hobnob", "hobnob", 80, false),
            ("http://127.0.0.1:3001/", "127.0.0.1", 3001, false),
            ("https://chat.example.org", "chat.example.org", 443, true),
            ("wss://localhost:8443", "localhost", 8443, true),
            ("ws://[::1]:3000", "::1", 3000, false),
            ("https://[2001:db8::1]", "2001:db8::1", 443, true),
        ] {
            let gateway = Gateway::parse(text).unwrap();
            assert_eq!(
                (gateway.host.as_str(), gateway.port),
                (host, port),
                "{text}"
            );
            assert_eq!(gateway.tls.is_some(), tls, "{text}");
        }
        let address = Gateway::parse("https://[::1]:8443").unwrap();
        assert_eq!(address.url("ws", "/ws"), "ws://[::1]:8443/ws");
        for text in [
            "hobnob",
            "ftp://hobnob",
            "http://",
            "http://hobnob/path",
            "http://me@hobnob",
            "http://hobnob:port",
            "http://[hobnob]",
            "http://ho bnob",
        ] {
            let refused = Gateway::parse(text).unwrap_err();
            assert!(
                refused.contains("write http://host:port"),
                "{text}: {refused}"
            );
        }
    }
}
