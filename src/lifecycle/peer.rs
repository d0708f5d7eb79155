//! From which address a request comes: the peer's, or what the proxies before us say, as far as they are to be believed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};

use crate::domain::{ClientNetwork, Network, Origin};

/// Each proxy appends the address from which the request came to it.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Whose word is believed; nobody's by default. Whoever else has an address in these ranges is believed as well, so they
/// must hold the proxies alone.
#[derive(Debug, Clone, Default)]
pub(super) struct TrustedProxies(pub(super) Arc<[Network]>);

impl TrustedProxies {
    /// The address of the client: the rightmost that is no trusted proxy's. What is further left is the client's own word.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        if !self.trusts(peer) {
            return client;
        }
        let lines = headers.get_all(FORWARDED_FOR).into_iter().rev();
        let said = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
        for said in said {
            let Some(address) = address(said.trim()) else {
                break;
            };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        client
    }

    /// Where a request comes from that this peer brought.
    pub(super) fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> Origin {
        let client = self.client(peer, headers);
        Origin {
            network: ClientNetwork::of(client),
            is_proxy: self.trusts(client),
        }
    }

    /// Whether this address is a trusted proxy's.
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

/// Some proxies write a port with it.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    text.parse().or_else(|_| with_port()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, lines: &[&str]) -> String {
        let trusted = trusted.iter().map(|text| text.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let found = TrustedProxies(trusted).client(peer.parse().unwrap(), &headers);
        found.to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(client(&[], "10.0.0.1", &["192.0.2.7"]), "10.0.0.1");
        assert_eq!(
            client(&["10.0.0.0/8"], "11.0.0.1", &["192.0.2.7"]),
            "11.0.0.1"
        );
        assert_eq!(
            client(&["10.0.0.0/8"], "10.0.0.1", &["192.0.2.7"]),
            "192.0.2.7"
        );
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_s_counts() {
        let trusted = ["10.0.0.0/8"];
        // What the client itself had written is on the left.
        let line = "198.51.100.1, 192.0.2.7, 10.9.9.9";
        assert_eq!(client(&trusted, "10.0.0.1", &[line]), "192.0.2.7");
        let lines = ["198.51.100.1", "192.0.2.7", "10.9.9.9"];
        assert_eq!(client(&trusted, "10.0.0.1", &lines), "192.0.2.7");
        assert_eq!(
            client(&trusted, "10.0.0.1", &["nonsense, 10.9.9.9"]),
            "10.9.9.9"
        );
        assert_eq!(
            client(&trusted, "::ffff:10.0.0.1", &["[2001:db8::1]:44"]),
            "2001:db8::1"
        );
        assert_eq!(
            client(&trusted, "10.0.0.1", &["192.0.2.7:5000"]),
            "192.0.2.7"
        );
    }
}
