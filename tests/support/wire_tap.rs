//! What a service says to PostgreSQL, statement by statement: a proxy that listens in.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// The code in the place of a protocol version by which a client asks for TLS. (PostgreSQL, Message Formats.)
const SSL_REQUEST: [u8; 4] = 80_877_103_u32.to_be_bytes();

/// A proxy before a PostgreSQL server.
#[derive(Clone)]
pub struct WireTap {
    /// The URL of the database, through the proxy.
    pub url: String,
    statements: Arc<Mutex<Vec<String>>>,
}

impl WireTap {
    /// A proxy before the server of this URL.
    pub async fn before(url: &str) -> Self {
        let (scheme, rest) = url.split_once("//").expect("a URL");
        let (authority, database) = rest.split_once('/').expect("a URL with a database");
        let (user, server) = authority.split_once('@').expect("a URL with a user");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}//{user}@{}/{database}", listener.local_addr().unwrap());
        let (tap, server) = (Self { url, statements: Arc::default() }, server.to_owned());
        let listening = tap.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.expect("PostgreSQL answers");
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                let ((from_client, mut to_client), (mut from_server, to_server)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                tokio::spawn(listening.clone().listen_in(from_client, to_server));
            }
        });
        tap
    }

    /// The statements that were executed since this was asked last, in their order.
    pub fn executed(&self) -> Vec<String> {
        std::mem::take(&mut self.statements.lock())
    }

    async fn listen_in(self, mut client: OwnedReadHalf, mut server: OwnedWriteHalf) -> Option<()> {
        let (mut prepared, mut bound) = (HashMap::new(), HashMap::new());
        // What begins a session has no type: perhaps a question for TLS, then the startup.
        while pass_on(&mut client, &mut server).await?.starts_with(&SSL_REQUEST) {}
        loop {
            let kind = client.read_u8().await.ok()?;
            server.write_u8(kind).await.ok()?;
            let body = pass_on(&mut client, &mut server).await?;
            let mut texts = body.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
            let mut next = || texts.next().unwrap_or_default();
            match kind {
                b'Q' => self.statements.lock().push(next()),
                b'P' => drop(prepared.insert(next(), next())),
                b'B' => drop(bound.insert(next(), next())),
                b'E' => {
                    let statement = bound.get(&next()).and_then(|name| prepared.get(name)).cloned();
                    self.statements.lock().push(statement.unwrap_or_default());
                }
                _ => {}
            }
        }
    }
}

/// Passes one message on: its length, which counts itself, and its body.
async fn pass_on(client: &mut OwnedReadHalf, server: &mut OwnedWriteHalf) -> Option<Vec<u8>> {
    let length = client.read_u32().await.ok()?;
    let mut body = vec![0; usize::try_from(length).ok()?.checked_sub(4)?];
    client.read_exact(&mut body).await.ok()?;
    server.write_all(&[&length.to_be_bytes()[..], &body].concat()).await.ok()?;
    Some(body)
}
