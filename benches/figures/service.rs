//! The service as a process, and what it costs.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

pub struct Service {
    child: Child,
    pub address: String,
    pub key: String,
}

impl Service {
    /// Starts the service on a fresh database.
    pub fn start(arguments: &[String]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = Command::new(env!("CARGO_BIN_EXE_roster"))
            .args(["--listen", &format!("127.0.0.1:{port}"), "--log", "info"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(log.any(|line| line.contains("ready")), "the service did not start");
        std::thread::spawn(move || log.for_each(drop));
        let mut printed = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let key = printed.find_map(|line| Some(line.trim().to_owned()).filter(|word| word.starts_with("rk_")));
        Self { child, address: format!("http://127.0.0.1:{port}"), key: key.expect("a fresh database") }
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
