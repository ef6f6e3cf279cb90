//! Which addresses a request may reach: public ones, and those that the operator names.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A range of addresses: `10.1.0.0/16`, `fd00::/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    first: IpAddr,
    prefix: u8,
}

/// Why a text is no range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no range of addresses; write it as in 10.1.0.0/16 or fd00::/8")]
pub struct CidrError(String);

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let error = || CidrError(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| error())?;
        let longest = if first.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= longest).ok_or_else(error)?,
            None => longest,
        };
        Ok(Self { first, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

impl Cidr {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differ = first.to_bits() ^ address.to_bits();
                differ.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differ = first.to_bits() ^ address.to_bits();
                differ.leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }
}

/// Whether a request may reach an address.
pub(crate) fn allowed(address: IpAddr, private: &[Cidr]) -> bool {
    let public = match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    };
    public || private.iter().any(|range| range.contains(address))
}

/// Global unicast, by the registry of special-purpose addresses
/// ([IANA](https://www.iana.org/assignments/iana-ipv4-special-registry/)). Azure's own address for
/// the services of its platform is refused as well: it is public by its number only.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = matches!(
        address.octets(),
        [0 | 10 | 127, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            | [168, 63, 129, 16]
            | [224..=255, ..]
    );
    !special
}

/// What is allocated for global unicast (2000::/3), less what stands for addresses of another kind
/// ([IANA](https://www.iana.org/assignments/iana-ipv6-special-registry/)): protocol assignments
/// with Teredo (2001::/23), documentation (2001:db8::/32, 3fff::/20), 6to4 (2002::/16). All that
/// embeds an IPv4 address is outside.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x2001, second, ..] => second >= 0x200 && second != 0xdb8,
        [0x2002, ..] => false,
        [0x3fff, second, ..] => second >= 0x1000,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::{Cidr, allowed};

    #[test]
    fn only_public_addresses_can_be_reached() {
        for address in [
            "1.1.1.1",
            "20.60.1.2",
            "168.63.129.17",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "169.253.0.1",
            "192.0.1.1",
            "192.88.98.1",
            "192.167.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "198.51.99.1",
            "203.0.112.1",
            "223.255.255.255",
            "2001:200::1",
            "2606:4700::1111",
            "2a01:111:f403::1",
            "3fff:1000::1",
        ] {
            assert!(allowed(address.parse().unwrap(), &[]), "{address}");
        }
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "168.63.129.16",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.170",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:1.1.1.1",
            "64:ff9b::a9fe:a9fe",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001:0:1::1",
            "2001:1ff::1",
            "2002:7f00:1::",
            "3fff::1",
            "3fff:fff::1",
            "192.0.2.1",
            "192.88.99.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "239.255.255.255",
            "240.0.0.1",
        ] {
            assert!(!allowed(address.parse().unwrap(), &[]), "{address}");
        }
    }

    #[test]
    fn a_range_that_is_named_can_be_reached_and_nothing_beside_it() {
        let ranges: Vec<Cidr> =
            ["10.1.0.0/16", "127.0.0.1", "fd00::/8", "0.0.0.0/32"].map(|it| it.parse().unwrap()).to_vec();
        for (address, expected) in [
            ("10.1.2.3", true),
            ("10.2.0.0", false),
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("fd12::1", true),
            ("fc00::1", false),
            ("::ffff:127.0.0.1", false),
        ] {
            assert_eq!(allowed(address.parse().unwrap(), &ranges), expected, "{address}");
        }
        assert!(allowed("10.9.9.9".parse().unwrap(), &["0.0.0.0/0".parse().unwrap()]));
    }

    #[test]
    fn a_range_is_shown_as_it_is_written() {
        for (text, shown) in
            [("10.1.0.0/16", "10.1.0.0/16"), ("10.1.2.3", "10.1.2.3/32"), ("fd00::1", "fd00::1/128")]
        {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), shown);
        }
        assert!("10.0.0.0/32".parse::<Cidr>().is_ok() && "::/128".parse::<Cidr>().is_ok());
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/", "10.0.0.0/-1", "localhost"] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }
}
