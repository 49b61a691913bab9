//! The service as a process of its own, and brokers and databases that a test may kill.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The binary under test.
pub const ROSTER: &str = env!("CARGO_BIN_EXE_roster");

/// A service that is running.
pub struct Process {
    child: Child,
    pub address: String,
    /// The first key, where this was a fresh installation.
    pub first_key: Option<String>,
}

impl Process {
    /// Starts the service on this port and waits until it is ready.
    pub fn start(port: u16, arguments: &[String]) -> Self {
        Self::start_with(port, arguments, &[])
    }

    /// [`Self::start`], with something in its environment.
    pub fn start_with(port: u16, arguments: &[String], environment: &[(&str, String)]) -> Self {
        let begin = Instant::now();
        let address = format!("http://127.0.0.1:{port}");
        let mut child = Command::new(ROSTER)
            .args(["--listen", &format!("127.0.0.1:{port}"), "--log-format", "json", "--log", "info"])
            .args(arguments)
            .env_remove("ROSTER_KEY")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut log = Vec::new();
        loop {
            match lines.next().inspect(|line| line.iter().for_each(|line| super::secrets::search_line(line))) {
                Some(Ok(line)) if line.contains("\"ready\"") => break,
                Some(Ok(line)) => log.push(line),
                _ => panic!("the service did not start:\n{}", log.join("\n")),
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "the service is not ready:\n{}", log.join("\n"));
        }
        // Whatever it says from here on is read, or it would block.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                super::secrets::search_line(&line);
                if std::env::var_os("ROSTER_TEST_LOG").is_some() {
                    eprintln!("{line}");
                }
            }
        });
        let first_key = Self::first_key(&mut child);
        Self { child, address, first_key }
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

/// A port that nobody uses.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
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
        let address = script("kafka", &["start", folder.path().to_str().unwrap()]);
        Self { folder, address }
    }

    pub fn stop(&self) {
        script("kafka", &["stop", self.folder.path().to_str().unwrap()]);
    }

    pub fn start_again(&self) {
        assert_eq!(script("kafka", &["start", self.folder.path().to_str().unwrap()]), self.address);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        script("kafka", &["stop", self.folder.path().to_str().unwrap(), "kill"]);
    }
}

/// Runs one of the scripts that bring components; answers what it prints.
pub fn script(name: &str, arguments: &[&str]) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dev").join(name);
    let output = Command::new(path).args(arguments).stderr(Stdio::inherit()).output().expect("the script runs");
    assert!(output.status.success(), "dev/{name} {arguments:?} failed");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
