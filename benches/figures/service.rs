//! The service as a process, and what it costs.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
};

pub struct Service {
    child: Child,
    pub address: String,
    /// The first key, where the database was fresh.
    pub key: String,
    log: Receiver<String>,
}

impl Service {
    /// Starts the service on a fresh database.
    pub fn start(arguments: &[String]) -> Self {
        let mut service = Self::start_again(arguments);
        let mut printed = BufReader::new(service.child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let key = printed.find_map(|line| Some(line.trim().to_owned()).filter(|word| word.starts_with("rk_")));
        service.key = key.expect("a fresh database");
        service
    }

    /// Starts the service on a database that is there.
    pub fn start_again(arguments: &[String]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = Command::new(env!("CARGO_BIN_EXE_roster"))
            .args(["--listen", &format!("127.0.0.1:{port}"), "--log", "info"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let (sender, log) = channel();
        std::thread::spawn(move || lines.for_each(|line| drop(sender.send(line))));
        assert!(log.iter().any(|line| line.contains("ready")), "the service did not start");
        Self { child, address: format!("http://127.0.0.1:{port}"), key: String::new(), log }
    }

    /// Stops the service as a platform does, and reads what its meter says of a method: p50 and p99 in microseconds, and
    /// how many calls there were.
    pub fn stop_and_read(&mut self, method: &str) -> (u64, u64, u64) {
        let terminated = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(terminated.success());
        let line =
            self.log.iter().find(|line| line.contains("served") && line.contains(method)).expect("it was called");
        let number = |key: &str| {
            let value = line.split(&format!("{key}=")).nth(1).unwrap_or_else(|| panic!("{key} in {line}"));
            value.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
        };
        (number("p50_micros"), number("p99_micros"), number("calls"))
    }

    /// What of the process is in memory (proc(5), /proc/pid/status).
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
    }

    /// CPU time that the process has used, in seconds: user and system (proc(5), /proc/pid/stat, fields 14 and 15).
    pub fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("the process runs");
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        ticks / 100.0 // USER_HZ
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
