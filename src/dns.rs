//! Asks the domain name system, through servers that keep nothing back: each question is asked anew.

use std::{net::SocketAddr, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{op::ResponseCode, rr::RData},
};

use crate::error::{Error, Result};

/// How long one server may take.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How often each is asked.
const ATTEMPTS: usize = 2;
/// How long a question takes at most, whatever the servers do.
const ALL: Duration = Duration::from_secs(15);

/// What is said about the TXT records of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Txt {
    /// There are some: each record's chunks joined (RFC 7208, section 3.3), a CNAME followed.
    Records(Vec<String>),
    /// The name exists, without such a record.
    NoRecord,
    /// The name does not exist.
    NoName,
    /// The servers did not answer, or could not: nothing is known.
    Failure(String),
}

/// Whoever asks: these servers, or those of the system where there are none.
#[derive(Debug, Clone)]
pub struct Dns(Vec<SocketAddr>);

impl Dns {
    /// Asks these servers; those of the system where there are none.
    pub fn new(servers: &[SocketAddr]) -> Self {
        Self(servers.to_vec())
    }

    /// A resolver that remembers nothing, also not which server failed a moment ago.
    fn resolver(&self) -> Result<TokioResolver> {
        let provider = TokioRuntimeProvider::default();
        let mut builder = if self.0.is_empty() {
            TokioResolver::builder(provider).map_err(Error::internal)?
        } else {
            let config = ResolverConfig::from_parts(None, Vec::new(), self.0.iter().map(server).collect());
            TokioResolver::builder_with_config(config, provider)
        };
        let options: &mut ResolverOpts = builder.options_mut();
        (options.timeout, options.attempts, options.cache_size) = (TIMEOUT, ATTEMPTS, 0);
        builder.build().map_err(Error::internal)
    }

    /// The TXT records of a name.
    pub async fn txt(&self, name: &str) -> Txt {
        let resolver = match self.resolver() {
            Ok(resolver) => resolver,
            Err(error) => return Txt::Failure(error.to_string()),
        };
        // The dot at the end: no search list of the machine's.
        match tokio::time::timeout(ALL, resolver.txt_lookup(format!("{name}."))).await {
            Ok(Ok(lookup)) => {
                let texts = lookup.answers().iter().filter_map(|record| match &record.data {
                    RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
                    _ => None,
                });
                let texts: Vec<_> = texts.collect();
                if texts.is_empty() { Txt::NoRecord } else { Txt::Records(texts) }
            }
            Ok(Err(error)) => failure(&error),
            Err(_) => Txt::Failure("no answer in time".to_owned()),
        }
    }
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let connection = |protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = address.port();
        connection
    };
    NameServerConfig::new(address.ip(), true, vec![connection(ProtocolConfig::Udp), connection(ProtocolConfig::Tcp)])
}

fn failure(error: &NetError) -> Txt {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(found)) => match found.response_code {
            ResponseCode::NXDomain => Txt::NoName,
            ResponseCode::NoError => Txt::NoRecord,
            code => Txt::Failure(code.to_string()),
        },
        error => Txt::Failure(error.to_string()),
    }
}
