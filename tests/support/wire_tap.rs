//! What a service says to PostgreSQL, statement by statement: a proxy that listens in, and that may be in the way of a
//! COMMIT.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use tokio_util::sync::CancellationToken;

/// The code in the place of a protocol version by which a client asks for TLS. (PostgreSQL, Message Formats.)
const SSL_REQUEST: [u8; 4] = 80_877_103_u32.to_be_bytes();
/// How long a mishap is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A proxy before a PostgreSQL server.
#[derive(Clone)]
pub struct WireTap {
    /// The URL of the database, through the proxy.
    pub url: String,
    statements: Arc<Mutex<Vec<String>>>,
    next: Arc<Mutex<Option<Mishap>>>,
}

/// When a connection fails a COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before PostgreSQL hears of it.
    Before,
    /// After PostgreSQL has done it, and before anybody hears of that.
    After,
}

/// How a connection fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It is closed, on both sides.
    Cut,
    /// Nothing comes through any more, either way, until it is let go.
    Frozen,
}

/// What befalls a COMMIT.
#[derive(Clone)]
pub struct Mishap {
    /// Of which transaction: one that ran a statement with this text.
    of: &'static str,
    moment: Moment,
    failure: Failure,
    happened: CancellationToken,
    let_go: CancellationToken,
}

impl Mishap {
    /// Waits until it has happened.
    pub async fn happened(&self) {
        tokio::time::timeout(PATIENCE, self.happened.cancelled()).await.expect("there is no such COMMIT");
    }

    /// Whether it has happened.
    pub fn has_happened(&self) -> bool {
        self.happened.is_cancelled()
    }

    /// What was frozen flows again.
    pub fn let_go(&self) {
        self.let_go.cancel();
    }
}

/// One connection through the proxy.
#[derive(Default)]
struct Line {
    cut: CancellationToken,
    /// Until when nothing comes through.
    frozen: Mutex<Option<CancellationToken>>,
    /// What befalls PostgreSQL's next answer.
    at_the_answer: Mutex<Option<Mishap>>,
}

impl Line {
    fn befall(&self, mishap: &Mishap) {
        match mishap.failure {
            Failure::Cut => self.cut.cancel(),
            Failure::Frozen => *self.frozen.lock() = Some(mishap.let_go.clone()),
        }
        mishap.happened.cancel();
    }

    /// Waits until whatever befell it is over, which a cut never is.
    async fn flows(&self) {
        if self.cut.is_cancelled() {
            std::future::pending::<()>().await;
        }
        let frozen = self.frozen.lock().clone();
        if let Some(until) = frozen {
            until.cancelled().await;
        }
    }
}

impl WireTap {
    /// A proxy before the server of this URL.
    pub async fn before(url: &str) -> Self {
        let (scheme, rest) = url.split_once("//").expect("a URL");
        let (authority, database) = rest.split_once('/').expect("a URL with a database");
        let (user, server) = authority.split_once('@').expect("a URL with a user");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}//{user}@{}/{database}", listener.local_addr().unwrap());
        let (tap, server) = (Self { url, statements: Arc::default(), next: Arc::default() }, server.to_owned());
        let listening = tap.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.expect("PostgreSQL answers");
                listening.join(client, server);
            }
        });
        tap
    }

    /// The statements that were executed since this was asked last, in their order.
    pub fn executed(&self) -> Vec<String> {
        std::mem::take(&mut self.statements.lock())
    }

    /// Has this befall the next COMMIT of a transaction that ran a statement with this text.
    pub fn befall(&self, of: &'static str, moment: Moment, failure: Failure) -> Mishap {
        let (happened, let_go) = (CancellationToken::new(), CancellationToken::new());
        let mishap = Mishap { of, moment, failure, happened, let_go };
        *self.next.lock() = Some(mishap.clone());
        mishap
    }

    /// Passes on what both sides say, until either falls silent or the line is cut.
    fn join(&self, client: TcpStream, server: TcpStream) {
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        let line = Arc::new(Line::default());
        let (tap, asked) = (self.clone(), line.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = asked.cut.cancelled() => {}
                _ = tap.listen_in(&asked, from_client, to_server) => {}
            }
        });
        tokio::spawn(async move {
            tokio::select! {
                () = line.cut.cancelled() => {}
                _ = answer(&line, from_server, to_client) => {}
            }
        });
    }

    async fn listen_in(&self, line: &Line, mut client: OwnedReadHalf, mut server: OwnedWriteHalf) -> Option<()> {
        let (mut prepared, mut bound) = (HashMap::new(), HashMap::new());
        // What has been executed since the last BEGIN.
        let mut transaction = Vec::<String>::new();
        // What begins a session has no type: perhaps a question for TLS, then the startup.
        while pass_on(&mut client, &mut server).await?.starts_with(&SSL_REQUEST) {}
        loop {
            let kind = client.read_u8().await.ok()?;
            let (length, body) = read(&mut client).await?;
            let mut texts = body.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
            let mut next = || texts.next().unwrap_or_default();
            let executed = match kind {
                b'Q' => Some(next()),
                b'P' => {
                    prepared.insert(next(), next());
                    None
                }
                b'B' => {
                    bound.insert(next(), next());
                    None
                }
                b'E' => Some(bound.get(&next()).and_then(|name| prepared.get(name)).cloned().unwrap_or_default()),
                _ => None,
            };
            if let Some(statement) = executed {
                self.statements.lock().push(statement.clone());
                match statement.as_str() {
                    "COMMIT" => self.befall_commit(line, &transaction).await,
                    begin if begin.starts_with("BEGIN") => transaction.clear(),
                    _ => transaction.push(statement),
                }
            }
            server.write_all(&[&[kind][..], &length.to_be_bytes(), &body].concat()).await.ok()?;
        }
    }

    /// Whatever is to befall the COMMIT of this transaction.
    async fn befall_commit(&self, line: &Line, transaction: &[String]) {
        let is_meant = |mishap: &mut Mishap| transaction.iter().any(|statement| statement.contains(mishap.of));
        let Some(mishap) = self.next.lock().take_if(is_meant) else { return };
        match mishap.moment {
            Moment::Before => line.befall(&mishap),
            Moment::After => *line.at_the_answer.lock() = Some(mishap),
        }
        line.flows().await;
    }
}

/// Passes on what PostgreSQL says.
async fn answer(line: &Line, mut server: OwnedReadHalf, mut client: OwnedWriteHalf) -> Option<()> {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let count = server.read(&mut bytes).await.unwrap_or(0);
        if let Some(mishap) = line.at_the_answer.lock().take() {
            line.befall(&mishap);
        }
        line.flows().await;
        if count == 0 {
            return None;
        }
        client.write_all(&bytes[..count]).await.ok()?;
    }
}

/// Passes one message on: its length, which counts itself, and its body.
async fn pass_on(client: &mut OwnedReadHalf, server: &mut OwnedWriteHalf) -> Option<Vec<u8>> {
    let (length, body) = read(client).await?;
    server.write_all(&[&length.to_be_bytes()[..], &body].concat()).await.ok()?;
    Some(body)
}

async fn read(client: &mut OwnedReadHalf) -> Option<(u32, Vec<u8>)> {
    let length = client.read_u32().await.ok()?;
    let mut body = vec![0; usize::try_from(length).ok()?.checked_sub(4)?];
    client.read_exact(&mut body).await.ok()?;
    Some((length, body))
}
