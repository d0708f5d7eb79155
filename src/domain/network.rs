//! A range of IP addresses, as it is written: `10.0.0.0/8`, `fd00::/8`, or one address alone. Knows no socket.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// See the module's documentation. IPv4 addresses are those that IPv6 maps, so that one peer has one address on a socket of
/// either kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: u128,
    /// Of an IPv6 address.
    prefix: u32,
}

/// What is not written like one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a range of IP addresses, such as 10.0.0.0/8")]
pub struct InvalidNetwork;

const BITS: u32 = u128::BITS;

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
