//! How domains are proven, and which cannot be claimed.

use std::net::{IpAddr, SocketAddr};

use super::{Faults, Settings};
use crate::domains::normalized;

/// The port of the domain name system (RFC 1035, section 4.2).
const PORT: u16 = 53;

/// How domains are proven, and which cannot be claimed.
#[derive(Debug, Clone, Default)]
pub struct Domains {
    /// The servers that are asked; those of the system where there are none.
    pub dns_servers: Vec<SocketAddr>,
    /// Domains that are refused, beside those of the lists.
    pub refused: Vec<String>,
    /// Domains that are allowed in spite of the lists.
    pub allowed: Vec<String>,
}

/// Checks the settings of domains.
pub fn read(faults: &mut Faults, settings: &Settings) -> Domains {
    let mut dns_servers = Vec::new();
    for server in entries(&settings.dns_servers) {
        match server.parse().or_else(|_| server.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT))) {
            Ok(server) => dns_servers.push(server),
            Err(_) => {
                faults.push(format!("dns_servers: {server:?} is not an address such as 192.0.2.53 or 127.0.0.1:5353"))
            }
        }
    }
    let mut names = |key: &str, list: &str| {
        let name = |name: &str| {
            let normal = normalized(name).or_else(|_| idna::domain_to_ascii_strict(name).map_err(drop)).ok();
            if normal.is_none() {
                faults.push(format!("{key}: {name:?} is not the name of a domain"));
            }
            normal
        };
        entries(list).filter_map(name).collect()
    };
    let refused = names("domains_refused", &settings.domains_refused);
    Domains { dns_servers, refused, allowed: names("domains_allowed", &settings.domains_allowed) }
}

fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}
