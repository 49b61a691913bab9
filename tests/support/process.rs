//! The service as a process of its own, and brokers and databases that a test may kill.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// The binary that was built with the tests.
pub const ROSTER: &str = env!("CARGO_BIN_EXE_roster");

/// The binary under test: that of `ROSTER_TEST_BINARY`, such as a release build, or the one built with the tests.
pub fn binary() -> PathBuf {
    std::env::var_os("ROSTER_TEST_BINARY").map_or_else(|| ROSTER.into(), Into::into)
}

/// Whether the binary under test was built to be fast, so that its figures count.
pub fn is_release() -> bool {
    std::env::var_os("ROSTER_TEST_BINARY").is_some()
}

/// A service that is running.
pub struct Process {
    child: Child,
    pub address: String,
    /// The first key, where this was a fresh installation.
    pub first_key: Option<String>,
    launch: Launch,
    log: Arc<Mutex<Vec<String>>>,
}

/// How it is started, every time.
#[derive(Clone)]
struct Launch {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Launch {
    fn spawn(&self, stdout: Stdio) -> Child {
        Command::new(binary())
            .args(&self.arguments)
            .env_remove("ROSTER_KEY")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts")
    }
}

impl Process {
    /// Starts the service on this port and waits until it is ready.
    pub fn start(port: u16, arguments: &[String]) -> Self {
        Self::start_with(port, arguments, &[])
    }

    /// [`Self::start`], with something in its environment.
    pub fn start_with(port: u16, arguments: &[String], environment: &[(&str, String)]) -> Self {
        let address = format!("127.0.0.1:{port}");
        let own = ["--listen", &address, "--log-format", "json", "--log", "info"].map(str::to_owned);
        let launch = Launch {
            arguments: own.iter().chain(arguments).cloned().collect(),
            environment: environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        };
        let mut child = launch.spawn(Stdio::piped());
        let log = Arc::<Mutex<Vec<String>>>::default();
        await_ready(&mut child, &log);
        let first_key = Self::first_key(&mut child);
        Self { child, address: format!("http://{address}"), first_key, launch, log }
    }

    /// Starts it once more, after a kill, with the same port and arguments, and waits until it is ready.
    pub fn start_again(&mut self) {
        self.child = self.launch.spawn(Stdio::null());
        await_ready(&mut self.child, &self.log);
    }

    /// Starts it once more, after a kill, and kills it again this much later, wherever it is by then.
    pub fn start_and_kill(&mut self, after: Duration) {
        self.child = self.launch.spawn(Stdio::null());
        std::thread::sleep(after);
        self.kill();
    }

    /// What it printed before it was ready: the key, on a fresh installation.
    fn first_key(child: &mut Child) -> Option<String> {
        let mut stdout = child.stdout.take().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count) = stdout.read(&mut buffer) {
                if count == 0 || sender.send(String::from_utf8_lossy(&buffer[..count]).into_owned()).is_err() {
                    return;
                }
            }
        });
        let printed = receiver.recv_timeout(Duration::from_millis(300)).ok()?;
        printed.split_whitespace().find(|word| word.starts_with("rk_")).map(str::to_owned)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.ended().is_none()
    }

    /// Its exit code, once it has ended by itself.
    pub fn ended(&mut self) -> Option<Option<i32>> {
        self.child.try_wait().expect("a child").map(|status| status.code())
    }

    /// How many lines of its log, of all its starts, have all of these in them.
    pub fn logged(&self, words: &[&str]) -> usize {
        self.log.lock().iter().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }

    /// The first line of its log with this in it.
    pub fn first_logged(&self, words: &str) -> Option<String> {
        self.log.lock().iter().find(|line| line.contains(words)).cloned()
    }

    /// What of it is in memory, in MiB (proc(5), /proc/pid/status).
    pub fn resident_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().expect("is running");
        self.child.wait().expect("ends");
    }

    /// SIGTERM, and its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().expect("ends").code()
    }

    /// Sends a signal: TERM, STOP, CONT.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads what it says until it is ready; from then on too, or it would block.
fn await_ready(child: &mut Child, log: &Arc<Mutex<Vec<String>>>) {
    let begin = Instant::now();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut started = Vec::new();
    loop {
        match lines.next().inspect(|line| line.iter().for_each(|line| super::secrets::search_line(line))) {
            Some(Ok(line)) if line.contains("\"ready\"") => break,
            Some(Ok(line)) => started.push(line),
            _ => panic!("the service did not start:\n{}", started.join("\n")),
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "the service is not ready:\n{}", started.join("\n"));
    }
    log.lock().append(&mut started);
    let log = log.clone();
    std::thread::spawn(move || listen(lines, &log));
}

fn listen(lines: std::io::Lines<BufReader<ChildStderr>>, log: &Mutex<Vec<String>>) {
    for line in lines.map_while(Result::ok) {
        super::secrets::search_line(&line);
        if std::env::var_os("ROSTER_TEST_LOG").is_some() {
            eprintln!("{line}");
        }
        log.lock().push(line);
    }
}

/// A port that nobody uses, from below the range that outgoing connections are given, and below that of `dev/kafka`:
/// nobody takes it while the service that listens there is dead.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let number = std::process::id() as u16 % 400 * 20 + NEXT.fetch_add(1, Ordering::Relaxed) % 8_000;
        let port = 12_000 + number % 8_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The brokers that all tests share.
pub fn kafka() -> String {
    std::env::var("ROSTER_TEST_KAFKA")
        .expect("the tests need a real Kafka: run `make test`, or set ROSTER_TEST_KAFKA to its brokers")
}

/// A broker of a test's own, that it may stop and start.
pub struct Broker {
    folder: tempfile::TempDir,
    pub address: String,
}

impl Broker {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = script("kafka", &["start", text(folder.path())]);
        Self { folder, address }
    }

    pub fn stop(&self) {
        script("kafka", &["stop", text(self.folder.path())]);
    }

    pub fn start_again(&self) {
        assert_eq!(script("kafka", &["start", text(self.folder.path())]), self.address);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        script("kafka", &["stop", text(self.folder.path()), "kill"]);
    }
}

/// Brokers that hold each record together: three of them, two of which must have it.
pub struct Cluster {
    folder: tempfile::TempDir,
    pub addresses: String,
}

impl Cluster {
    pub const NODES: usize = 3;

    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let addresses = script("kafka", &["cluster", text(folder.path()), &Self::NODES.to_string()]);
        Self { folder, addresses }
    }

    /// `kill -9` of one of them, and its next start.
    pub fn kill_and_start(&self, node: usize) {
        let folder = self.node(node);
        script("kafka", &["stop", text(&folder), "kill"]);
        script("kafka", &["start", text(&folder)]);
    }

    fn node(&self, node: usize) -> PathBuf {
        self.folder.path().join((1 + node).to_string())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in 0..Self::NODES {
            script("kafka", &["stop", text(&self.node(node)), "kill"]);
        }
    }
}

/// A PostgreSQL server of a test's own, that it may stop and start.
pub struct Postgres {
    folder: tempfile::TempDir,
    /// A database that its role owns.
    pub url: String,
}

impl Postgres {
    /// The ways in which it stops as in a crash, in which it writes nothing more.
    pub const CRASHES: [&str; 3] = ["immediate", "kill", "postmaster"];

    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = script("postgres", &["start", text(folder.path())]);
        Self { folder, url }
    }

    /// The same database, for the superuser.
    pub fn superuser(&self) -> String {
        self.url.replacen("roster@", "postgres@", 1)
    }

    pub fn stop(&self, mode: &str) {
        script("postgres", &["stop", text(self.folder.path()), mode]);
    }

    pub fn start_again(&self) {
        assert_eq!(script("postgres", &["start", text(self.folder.path())]), self.url);
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        script("postgres", &["stop", text(self.folder.path()), "immediate"]);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Runs one of the scripts that bring components; answers what it prints.
pub fn script(name: &str, arguments: &[&str]) -> String {
    let path = super::root().join("dev").join(name);
    let output = Command::new(path).args(arguments).stderr(Stdio::inherit()).output().expect("the script runs");
    assert!(output.status.success(), "dev/{name} {arguments:?} failed");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
