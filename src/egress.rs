//! The one client for URLs. It reaches public addresses alone, unless the operator allows private ones, so that no URL
//! in a configuration or a request becomes a way into the network that the service stands in.
//!
//! Addresses are looked at twice: as literals in the URL, and after names are resolved. The connection goes to the very
//! address that was looked at, so a name that answers differently the second time gains nothing.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use reqwest::{
    Client, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};

use crate::error::{Error, Result};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);

/// A client for URLs.
#[derive(Debug, Clone)]
pub struct Egress {
    client: Client,
    allow_private: bool,
}

impl Egress {
    /// A client; with `allow_private` it reaches every address, also without TLS.
    pub fn new(allow_private: bool) -> Result<Self> {
        // An error says that there is a provider already: the same one, for there is no other in this build.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .https_only(!allow_private)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .user_agent(concat!("roster/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Resolver { allow_private })
            .build()
            .map_err(Error::internal)?;
        Ok(Self { client, allow_private })
    }

    /// What a URL answers, at most `bytes_max` of it. Any status but 200 is an error; the error is for the log alone.
    pub async fn get(&self, url: &str, bytes_max: usize) -> Result<Vec<u8>, Failure> {
        let url = check_url(url, self.allow_private)?;
        let mut response = self.client.get(url).send().await?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("answered with status {}", response.status()).into());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > bytes_max {
                return Err(format!("answered with more than {bytes_max} bytes").into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Why a URL could not be read.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A URL that may be asked, as far as it says by itself.
pub fn check_url(url: &str, allow_private: bool) -> Result<Url, String> {
    let url: Url = url.parse().map_err(|error| format!("not a URL: {error}"))?;
    match url.scheme() {
        "https" => {}
        "http" if allow_private => {}
        _ => return Err("not an https URL".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("carries a user name or a password".to_owned());
    }
    let host = url.host_str().unwrap_or_default();
    let literal: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    if !allow_private && literal.is_some_and(|address| !is_public(address)) {
        return Err("names an address that is not public".to_owned());
    }
    Ok(url)
}

/// Resolves names, and drops every address that is not public.
#[derive(Debug)]
struct Resolver {
    allow_private: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let usable: Vec<SocketAddr> = found.filter(|address| allow_private || is_public(address.ip())).collect();
            if usable.is_empty() {
                return Err(Failure::from("the name has no public address"));
            }
            Ok(Box::new(usable.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public Internet (IANA's registries of special-purpose addresses, RFC 6890).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Blocks of IPv4 that are not public: the first address, and how many bits of it count.
const SPECIAL_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),       // this network (RFC 791)
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private (RFC 1918)
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // shared by carriers (RFC 6598)
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback (RFC 1122)
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local (RFC 3927), where clouds keep their metadata
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private (RFC 1918)
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments (RFC 6890)
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation (RFC 5737)
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // relays of 6to4 (RFC 7526)
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private (RFC 1918)
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarks (RFC 2544)
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation (RFC 5737)
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation (RFC 5737)
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast (RFC 5771)
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved (RFC 1112), and broadcast
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let within = |(block, bits): &(Ipv4Addr, u32)| (address.to_bits() ^ block.to_bits()) >> (32 - bits) == 0;
    !SPECIAL_V4.iter().any(within)
}

/// Only 2000::/3 is given out for global use (RFC 4291, section 2.4), less what is special in it. Addresses that stand
/// for one of IPv4 are judged by that one.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let embedded = || Ipv4Addr::from_bits(u32::try_from(address.to_bits() & 0xffff_ffff).unwrap_or(0));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] => is_public_v4(embedded()), // v4-mapped (RFC 4291)
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_public_v4(embedded()), // NAT64 (RFC 6052)
        [0x2001, 0..=0x1ff, ..] => false, // protocol assignments, Teredo, benchmarks, ORCHID (RFC 2928)
        [0x2001, 0xdb8, ..] => false,     // documentation (RFC 3849)
        [0x2002, ..] => false,            // 6to4 (RFC 3056)
        [0x3fff, 0..=0xfff, ..] => false, // documentation (RFC 9637)
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.1.2.3",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::808:808",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
    }

    #[test]
    fn a_url_is_https_and_names_no_private_address() {
        assert!(check_url("https://idp.example/jwks", false).is_ok());
        for bad in [
            "",
            "idp.example",
            "http://idp.example/jwks",
            "file:///etc/passwd",
            "ftp://idp.example",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://169.254.169.254/latest",
            "https://me:secret@idp.example/",
        ] {
            assert!(check_url(bad, false).is_err(), "{bad}");
        }
        assert!(check_url("http://127.0.0.1:80/", true).is_ok());
        assert!(check_url("file:///etc/passwd", true).is_err());
    }

    /// A URL that answers this, once.
    async fn answering(answer: &'static str) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        url
    }

    #[tokio::test]
    async fn an_answer_is_one_bounded_document() {
        let egress = Egress::new(true).unwrap();
        let good = answering("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n0123456789").await;
        assert_eq!(egress.get(&good, 10).await.unwrap(), b"0123456789");
        for (bad, why) in [
            ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n0123456789x", "more than 10 bytes"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n0123456789x", "more than 10 bytes"),
            ("HTTP/1.1 302 Found\r\nlocation: https://idp.example/\r\ncontent-length: 0\r\n\r\n", "302"),
            ("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", "500"),
        ] {
            let failure = egress.get(&answering(bad).await, 10).await.unwrap_err();
            assert!(failure.to_string().contains(why), "{failure}");
        }
    }

    #[tokio::test]
    async fn a_name_of_a_private_address_is_not_reached() {
        let egress = Egress::new(false).unwrap();
        let failure = egress.get("https://localhost:9/", 10).await.unwrap_err();
        let mut causes = std::iter::successors(Some(&*failure as &dyn std::error::Error), |cause| cause.source());
        assert!(causes.any(|cause| cause.to_string().contains("no public address")), "{failure:?}");
    }
}
