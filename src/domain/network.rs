//! Addresses of clients: a range of them as it is written (`10.0.0.0/8`, `fd00::/8`, one address alone), and whom an
//! address belongs to, which is what limits tell clients apart by. Knows no socket.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// See the module's documentation. IPv4 addresses are those that IPv6 maps, so that one peer has one address on a socket of
/// either kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: u128,
    /// How many leading bits the network's addresses share, as IPv6 addresses.
    prefix: u32,
}

/// What is not written like one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a range of IP addresses, such as 10.0.0.0/8")]
pub struct InvalidNetwork;

const BITS: u32 = u128::BITS;

/// What one customer has at least: an IPv4 address, or an IPv6 /64.
const CUSTOMER: Lengths = Lengths { v4: 32, v6: 64 };
/// What one site, or one who rents many addresses, has: an IPv4 /24, or an IPv6 /48.
const SITE: Lengths = Lengths { v4: 24, v6: 48 };

struct Lengths {
    v4: u32,
    v6: u32,
}

/// Whom an address belongs to, as far as limits tell clients apart: one IPv4 address, or an IPv6 /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientNetwork(IpAddr);

impl ClientNetwork {
    /// The network of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self(network(address, &CUSTOMER))
    }

    /// The wider network that it lies in: an IPv4 /24, or an IPv6 /48.
    #[must_use]
    pub fn site(self) -> Self {
        Self(network(self.0, &SITE))
    }
}

impl fmt::Display for ClientNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn network(address: IpAddr, lengths: &Lengths) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let base = u32::from(address) & u32::MAX.checked_shl(32 - lengths.v4).unwrap_or(0);
            IpAddr::V4(base.into())
        }
        IpAddr::V6(address) => {
            let base = mask(address.into(), lengths.v6);
            IpAddr::V6(base.into())
        }
    }
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Its client's network, or that of a proxy that names nobody.
    pub network: ClientNetwork,
    /// It is a trusted proxy's own address: behind it may be everybody.
    pub is_proxy: bool,
}

impl Origin {
    /// By whom its connections and sessions are counted; a trusted proxy's are not.
    #[must_use]
    pub fn counted(self) -> Option<ClientNetwork> {
        (!self.is_proxy).then_some(self.network)
    }
}

impl Network {
    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        mask(number(address), self.prefix) == self.base
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let own = if address.is_ipv4() { 32 } else { BITS };
        let prefix = match prefix {
            Some(prefix) => prefix.parse::<u8>().map_err(|_| InvalidNetwork)?.into(),
            None => own,
        };
        if prefix > own {
            return Err(InvalidNetwork);
        }
        let prefix = BITS - own + prefix;
        let base = mask(number(address), prefix);
        Ok(Self { base, prefix })
    }
}

fn number(address: IpAddr) -> u128 {
    let address: Ipv6Addr = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    address.into()
}

fn mask(number: u128, prefix: u32) -> u128 {
    number & u128::MAX.checked_shl(BITS - prefix).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_inside_or_not() {
        let is_in = |network: &str, address: &str| {
            let network: Network = network.parse().unwrap();
            network.contains(address.parse().unwrap())
        };
        assert!(is_in("10.1.2.3/8", "10.200.0.1") && !is_in("10.0.0.0/8", "11.0.0.1"));
        assert!(is_in("10.0.0.0/8", "::ffff:10.0.0.1") && is_in("0.0.0.0/0", "192.0.2.1"));
        assert!(!is_in("0.0.0.0/0", "2001:db8::1") && is_in("::/0", "2001:db8::1"));
        assert!(is_in("fd00::/8", "fd12::1") && !is_in("fd00::/8", "fe80::1"));
        assert!(is_in("127.0.0.1", "127.0.0.1") && !is_in("127.0.0.1", "127.0.0.2"));
    }

    #[test]
    fn an_ipv6_customer_has_a_64_and_a_site_a_48() {
        let of = |text: &str| ClientNetwork::of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("2001:db8::1").site(), of("2001:db8:0:1::1").site());
        assert_ne!(of("2001:db8::1").site(), of("2001:db8:1::1").site());
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_eq!(of("10.0.0.1").site(), of("10.0.0.2").site());
        assert_ne!(of("10.0.0.1").site(), of("10.0.1.1").site());
        assert_eq!(of("192.0.2.7").to_string(), "192.0.2.7");
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for wrong in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0/8",
            "::/129",
            "proxy",
            "10.0.0.0/8/8",
            "10.0.0.0/-1",
        ] {
            assert_eq!(wrong.parse::<Network>(), Err(InvalidNetwork), "{wrong}");
        }
    }
}
