//! A mail server: the SMTP sessions of a library, on a port of this machine, which keeps what it takes, may refuse, and may
//! be away.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mailin::{Action, AuthMechanism, Handler, Response, Session, SessionBuilder};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

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

/// How a server speaks TLS, and to whom it listens.
#[derive(Default)]
pub struct Guarded {
    /// By whose certificate.
    pub tls: Option<TlsAcceptor>,
    /// Whether TLS begins by STARTTLS (RFC 3207), and not at once (RFC 8314, section 3.3).
    pub start_tls: bool,
    /// Who may send, and by which password.
    pub account: Option<(String, String)>,
}

#[derive(Clone)]
pub struct MailServer(Arc<State>);

struct State {
    address: SocketAddr,
    guarded: Guarded,
    received: Mutex<Vec<Received>>,
    refusal: Mutex<Option<(u16, String)>>,
    /// Whether it takes mails and says nothing about that.
    mute: AtomicBool,
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
        Self::guarded(Guarded::default()).await
    }

    pub async fn guarded(guarded: Guarded) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (received, refusal, mute, serving) = Default::default();
        let server = Self(Arc::new(State { address, guarded, received, refusal, mute, serving }));
        server.serve(listener);
        server
    }

    fn serve(&self, listener: TcpListener) {
        let weak = Arc::downgrade(&self.0);
        let serving = tokio::spawn(async move {
            let mut sessions = JoinSet::new(); // which end with it
            while let Ok((stream, peer)) = listener.accept().await {
                let Some(state) = weak.upgrade() else { return };
                sessions.spawn(serve(stream, peer.ip(), state));
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

    /// From now on it takes mails and never says that it did; or says so again.
    pub fn mute(&self, mute: bool) {
        self.0.mute.store(mute, Ordering::Relaxed);
    }

    pub fn port(&self) -> u16 {
        self.0.address.port()
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

/// One connection. None where the other side, or TLS, is done.
async fn serve(stream: TcpStream, peer: IpAddr, state: Arc<State>) -> Option<()> {
    let mail = Received { from: String::new(), to: Vec::new(), data: String::new() };
    let Guarded { tls, start_tls, account } = &state.guarded;
    let mut builder = SessionBuilder::new("mail.test");
    if *start_tls {
        builder.enable_start_tls();
    }
    if account.is_some() {
        builder.enable_auth(AuthMechanism::Plain);
    }
    let mut session = builder.build(peer, Mailbox { state: state.clone(), mail });
    let greeting = session.greeting();
    let Some(tls) = tls else { return converse(stream, &mut session, Some(greeting), &state).await.map(drop) };
    if *start_tls {
        let stream = converse(stream, &mut session, Some(greeting), &state).await?;
        session.tls_active();
        return converse(tls.accept(stream).await.ok()?, &mut session, None, &state).await.map(drop);
    }
    session.tls_active();
    converse(tls.accept(stream).await.ok()?, &mut session, Some(greeting), &state).await.map(drop)
}

/// Answers, line by line, until TLS is to begin.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    session: &mut Session<Mailbox>,
    mut answer: Option<Response>,
    state: &State,
) -> Option<S> {
    let mut stream = BufReader::new(stream);
    loop {
        if let Some(answer) = answer.filter(|answer| answer.action != Action::NoReply) {
            let mut bytes = Vec::new();
            answer.write_to(&mut bytes).unwrap();
            stream.write_all(&bytes).await.ok()?;
            stream.flush().await.ok()?;
            match answer.action {
                Action::Close => return None,
                Action::UpgradeTls => return Some(stream.into_inner()),
                _ => {}
            }
        }
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await.ok()? == 0 {
            return None;
        }
        let taken = state.received.lock().len();
        answer = Some(session.process(&line));
        while state.mute.load(Ordering::Relaxed) && state.received.lock().len() > taken {
            tokio::time::sleep(Duration::from_millis(20)).await;
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

    fn auth_plain(&mut self, _: &str, user: &str, password: &str) -> Response {
        match &self.state.guarded.account {
            Some((known, secret)) if known == user && secret == password => mailin::response::AUTH_OK,
            _ => mailin::response::INVALID_CREDENTIALS,
        }
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
