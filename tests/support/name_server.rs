//! A name server on loopback, whose records a test says.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicUsize, atomic::Ordering},
    time::Duration,
};

use hickory_server::{
    Server,
    net::runtime::Time,
    proto::{
        op::{Metadata, ResponseCode},
        rr::{
            Name, RData, Record,
            rdata::{CNAME, TXT},
        },
    },
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo},
    zone_handler::MessageResponseBuilder,
};
use parking_lot::Mutex;
use tokio::net::{TcpListener, UdpSocket};

/// What is at a name. Where nothing is said the name does not exist.
#[derive(Clone)]
pub enum At {
    /// TXT records, each in chunks.
    Txt(Vec<Vec<String>>),
    /// Another name.
    Cname(String),
    /// No TXT record.
    Nothing,
    /// The server cannot say.
    ServFail,
    /// The server does not answer.
    Silence,
}

impl At {
    /// One record in one chunk.
    pub fn txt(text: &str) -> Self {
        Self::Txt(vec![vec![text.to_owned()]])
    }
}

/// A server that runs as long as this.
#[derive(Clone)]
pub struct NameServer {
    pub address: SocketAddr,
    zone: Zone,
    _server: Arc<Mutex<Server<Zone>>>,
}

#[derive(Clone, Default)]
struct Zone {
    names: Arc<Mutex<BTreeMap<String, At>>>,
    asked: Arc<AtomicUsize>,
}

impl NameServer {
    pub async fn start() -> Self {
        let zone = Zone::default();
        let mut server = Server::new(zone.clone());
        let (socket, listener) = sockets().await;
        let address = socket.local_addr().unwrap();
        server.register_socket(socket);
        server.register_listener(listener, Duration::from_secs(5), 65_535);
        Self { address, zone, _server: Arc::new(Mutex::new(server)) }
    }

    /// What is at a name from now on.
    pub fn say(&self, name: &str, at: At) {
        self.zone.names.lock().insert(name.to_owned(), at);
    }

    /// A name does not exist any more.
    pub fn forget(&self, name: &str) {
        self.zone.names.lock().remove(name);
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.zone.asked.load(Ordering::SeqCst)
    }
}

/// One port for both protocols: one that is free for the one may be taken for the other.
async fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(listener) = TcpListener::bind(socket.local_addr().unwrap()).await {
            return (socket, listener);
        }
    }
    panic!("no port is free for both");
}

impl Zone {
    fn at(&self, name: &str) -> Option<At> {
        self.names.lock().get(name.trim_end_matches('.')).cloned()
    }

    /// What is said about a name: with the names that it leads over.
    fn answer(&self, asked: &str) -> (ResponseCode, Vec<Record>) {
        let (mut name, mut answers) = (asked.to_owned(), Vec::new());
        loop {
            let record = |data| Record::from_rdata(Name::from_ascii(&name).unwrap(), 60, data);
            match self.at(&name) {
                None => return (ResponseCode::NXDomain, answers),
                Some(At::Nothing | At::Silence) => return (ResponseCode::NoError, answers),
                Some(At::ServFail) => return (ResponseCode::ServFail, Vec::new()),
                Some(At::Txt(texts)) => {
                    answers.extend(texts.into_iter().map(|chunks| record(RData::TXT(TXT::new(chunks)))));
                    return (ResponseCode::NoError, answers);
                }
                Some(At::Cname(other)) => {
                    let other = format!("{}.", other.trim_end_matches('.'));
                    answers.push(record(RData::CNAME(CNAME(Name::from_ascii(&other).unwrap()))));
                    name = other;
                }
            }
        }
    }
}

#[tonic::async_trait]
impl RequestHandler for Zone {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut response: R) -> ResponseInfo {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let name = Name::from(request.request_info().unwrap().query.name()).to_ascii();
        if let Some(At::Silence) = self.at(&name) {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        let (code, answers) = self.answer(&name);
        let mut metadata = Metadata::response_from_request(&request.metadata);
        (metadata.response_code, metadata.authoritative) = (code, true);
        let message = MessageResponseBuilder::from_message_request(request).build(metadata, &answers, [], [], []);
        response.send_response(message).await.unwrap()
    }
}
