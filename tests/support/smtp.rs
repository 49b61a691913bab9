//! A mail server: the SMTP sessions of a library, on a port of this machine, which keeps what it takes, may refuse, and may
//! be away.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use mailin::{Action, Handler, Response, SessionBuilder};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// A mail that the server took.
#[derive(Debug, Clone)]
pub struct Received {
    pub from: String,
    pub to: Vec<String>,
    pub data: String,
}

impl Received {
    /// The link to accept by, as a reader follows it.
    pub fn token(&self) -> String {
        token_in(&self.data)
    }
}

/// The token in the text of a mail.
pub fn token_in(mail: &str) -> String {
    let whole = mail.replace("=\r\n", "");
    let begin = whole.find("rinv_").expect("a token");
    whole[begin..].chars().take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect()
}

#[derive(Clone)]
pub struct MailServer(Arc<State>);

struct State {
    address: SocketAddr,
    received: Mutex<Vec<Received>>,
    refusal: Mutex<Option<(u16, String)>>,
    serving: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.lock().take() {
            serving.abort();
        }
    }
}

impl MailServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (received, refusal, serving) = Default::default();
        let server = Self(Arc::new(State { address, received, refusal, serving }));
        server.serve(listener);
        server
    }

    fn serve(&self, listener: TcpListener) {
        let weak = Arc::downgrade(&self.0);
        let serving = tokio::spawn(async move {
            let mut sessions = JoinSet::new(); // which end with it
            while let Ok((stream, peer)) = listener.accept().await {
                let Some(state) = weak.upgrade() else { return };
                sessions.spawn(session(stream, peer.ip(), state));
            }
        });
        *self.0.serving.lock() = Some(serving);
    }

    /// Nobody answers any more.
    pub async fn go_away(&self) {
        let serving = self.0.serving.lock().take();
        if let Some(serving) = serving {
            serving.abort();
            let _ = serving.await;
        }
    }

    /// It answers again, where it did before.
    pub async fn come_back(&self) {
        self.serve(TcpListener::bind(self.0.address).await.unwrap());
    }

    /// Every recipient is refused so.
    pub fn refuse(&self, code: u16, words: &str) {
        *self.0.refusal.lock() = Some((code, words.to_owned()));
    }

    pub fn url(&self) -> String {
        format!("smtp://{}", self.0.address)
    }

    pub fn received(&self) -> Vec<Received> {
        self.0.received.lock().clone()
    }

    /// The mails, once there are so many.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        for _ in 0..400 {
            let received = self.received();
            if received.len() >= count {
                return received;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} mails of {count}", self.received().len());
    }
}

async fn session(stream: TcpStream, peer: IpAddr, state: Arc<State>) {
    let mail = Received { from: String::new(), to: Vec::new(), data: String::new() };
    let mut session = SessionBuilder::new("mail.test").build(peer, Mailbox { state, mail });
    let mut stream = BufReader::new(stream);
    let mut answer = session.greeting();
    loop {
        if answer.action != Action::NoReply {
            let mut bytes = Vec::new();
            answer.write_to(&mut bytes).unwrap();
            if stream.write_all(&bytes).await.is_err() || answer.action == Action::Close {
                return;
            }
        }
        let mut line = Vec::new();
        match stream.read_until(b'\n', &mut line).await {
            Ok(length) if length > 0 => answer = session.process(&line),
            _ => return,
        }
    }
}

struct Mailbox {
    state: Arc<State>,
    mail: Received,
}

impl Handler for Mailbox {
    fn mail(&mut self, _: IpAddr, _: &str, from: &str) -> Response {
        self.mail = Received { from: from.to_owned(), to: Vec::new(), data: String::new() };
        mailin::response::OK
    }

    fn rcpt(&mut self, to: &str) -> Response {
        if let Some((code, words)) = self.state.refusal.lock().clone() {
            return Response::custom(code, words);
        }
        self.mail.to.push(to.to_owned());
        mailin::response::OK
    }

    fn data(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.mail.data += &String::from_utf8_lossy(bytes);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        self.state.received.lock().push(self.mail.clone());
        mailin::response::OK
    }
}
