//! A broker that asks for a password over TLS: SASL_SSL with SCRAM-SHA-512, and what is refused by it.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use super::{assert_both_proven, roster};
use crate::{
    alone,
    history::{topic, with_kafka},
    support::{
        Caller, Database, Engine,
        process::{ROSTER, free_port},
        secrets,
    },
};

/// A broker of a test's own.
struct Broker {
    folder: tempfile::TempDir,
    address: String,
}

impl Broker {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = script(&["secure", folder.path().to_str().unwrap()]);
        Self { folder, address }
    }

    /// How a client with this password reaches it, trusting these certificates.
    fn properties(&self, password: &str, trusted: &Path) -> String {
        Self::properties_of("roster", password, trusted)
    }

    fn properties_of(account: &str, password: &str, trusted: &Path) -> String {
        let mechanism = "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512";
        let account = format!("{mechanism}\nsasl.username={account}\nsasl.password={password}");
        format!("{account}\nssl.ca.location={}", trusted.display())
    }

    /// Allows the narrow account some operations.
    fn allow(&self, operations: &[&str], on: &[&str]) {
        let client = self.folder.path().join("client.properties");
        let certificate = self.certificate();
        let login = "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"roster\" \
            password=\"roster-secret\";";
        let settings = format!(
            "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\nsasl.jaas.config={login}\n\
             ssl.truststore.type=PEM\nssl.truststore.location={}\n",
            certificate.display()
        );
        std::fs::write(&client, settings).unwrap();
        let command = ["run", "org.apache.kafka.tools.AclCommand", "--bootstrap-server", &self.address];
        let command = [&command[..], &["--command-config", client.to_str().unwrap()]].concat();
        let what = ["--add", "--allow-principal", "User:narrow"];
        let operations: Vec<_> = operations.iter().flat_map(|operation| ["--operation", operation]).collect();
        script(&[&command[..], &what, &operations, on].concat());
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("broker.pem")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        script(&["stop", self.folder.path().to_str().unwrap(), "kill"]);
    }
}

fn script(arguments: &[&str]) -> String {
    let path = crate::support::root().join("dev/kafka");
    let output = Command::new(path).args(arguments).stderr(Stdio::inherit()).output().expect("it runs");
    assert!(output.status.success(), "dev/kafka {arguments:?} failed");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A service whose log is kept.
struct Service {
    child: Child,
    address: String,
    log: tempfile::NamedTempFile,
}

impl Service {
    fn start(settings: &[String]) -> Self {
        let (log, port) = (tempfile::NamedTempFile::new().unwrap(), free_port());
        let child = Command::new(ROSTER)
            .args(["--listen", &format!("127.0.0.1:{port}"), "--log-format", "json"])
            .args(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log.path()).unwrap())
            .spawn()
            .unwrap();
        let service = Self { child, address: format!("http://127.0.0.1:{port}"), log };
        service.says("\"ready\"");
        service
    }

    /// Waits until its log says this.
    fn says(&self, words: &str) -> String {
        let begin = Instant::now();
        loop {
            let log = std::fs::read_to_string(self.log.path()).unwrap();
            if log.to_lowercase().contains(words) {
                return log;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "it does not say {words:?}:\n{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn stop(mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(asked.success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let log = std::fs::read_to_string(self.log.path()).unwrap();
        log.lines().for_each(secrets::search_line);
        assert!(!log.contains("-secret"), "a password is in the log");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A change, which nothing about Kafka refuses.
async fn change(address: &str, database: &Database, slug: &str) {
    let made = roster(&["key", "create", "--scope", "*"], &database.arguments());
    let key = made.out.split_whitespace().find(|word| word.starts_with("rk_")).expect("a key").to_owned();
    let caller = Caller::connect(address, Some(key)).await;
    caller.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_or_an_unknown_certificate_publishes_nothing_until_it_is_mended() {
    let _alone = alone().await;
    let broker = tokio::task::spawn_blocking(Broker::start).await.unwrap();
    let (database, topic) = (Database::fresh(Engine::Sqlite).await, topic());
    let settings = |properties: &str| {
        let properties = ["--kafka-properties".to_owned(), properties.to_owned()];
        [&with_kafka(&database, &broker.address, &topic)[..], &properties].concat()
    };
    let right = settings(&broker.properties("roster-secret", &broker.certificate()));
    let stranger = tempfile::NamedTempFile::new().unwrap();
    let certificate = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(stranger.path(), certificate.cert.pem()).unwrap();
    let password = settings(&broker.properties("wrong-secret", &broker.certificate()));
    let trust = settings(&broker.properties("roster-secret", stranger.path()));
    for (index, (wrong, words)) in
        [(&password, "authentication failed"), (&trust, "certificate verify failed")].into_iter().enumerate()
    {
        let service = tokio::task::block_in_place(|| Service::start(wrong));
        change(&service.address, &database, &format!("o{index}")).await;
        tokio::task::block_in_place(|| {
            service.says(words);
            let told = roster(&["doctor"], wrong);
            assert!(told.code == 1 && told.out.contains("kafka.reachable"), "{told:?}");
            let told = roster(&["verify"], &right);
            assert!(told.code == 2 && told.err.contains("no topic"), "nothing was published: {told:?}");
            service.stop();
        });
    }
    let service = tokio::task::block_in_place(|| Service::start(&right));
    change(&service.address, &database, "last").await;
    tokio::task::block_in_place(|| {
        assert_both_proven(&right);
        service.stop();
        drop(broker);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rights_that_are_written_down_are_all_that_an_account_needs() {
    let _alone = alone().await;
    let broker = tokio::task::spawn_blocking(Broker::start).await.unwrap();
    let (database, topic) = (Database::fresh(Engine::Sqlite).await, topic());
    let settings = |properties: String| {
        [&with_kafka(&database, &broker.address, &topic)[..], &["--kafka-properties".to_owned(), properties]].concat()
    };
    let certificate = broker.certificate();
    let everything = settings(broker.properties("roster-secret", &certificate));
    let narrow = settings(Broker::properties_of("narrow", "narrow-secret", &certificate));
    let service = tokio::task::block_in_place(|| {
        let made = roster(&["kafka", "apply"], &everything);
        assert_eq!(made.code, 0, "{made:?}");
        let again = roster(&["kafka", "apply"], &everything);
        assert_eq!(again.code, 0, "{again:?}");
        broker.allow(&["Read", "Write", "Describe"], &["--topic", "*"]);
        let ids = ["--transactional-id", "roster-", "--resource-pattern-type", "prefixed"];
        broker.allow(&["Write", "Describe"], &ids);
        Service::start(&narrow)
    });
    change(&service.address, &database, "acme").await;
    tokio::task::block_in_place(|| {
        assert_both_proven(&narrow);
        let rebuilt = roster(&["rebuild", "--from", "state", "--compare"], &narrow);
        assert_eq!(rebuilt.code, 0, "{rebuilt:?}");
        let log = service.says("publishing to kafka");
        assert!(!log.contains("GroupAuthorizationFailed") && !log.contains("may not read"), "{log}");
        service.stop();
        // It looks at what the topic has, too: whose it is, it knows.
        let service = Service::start(&narrow);
        let log = service.says("publishing to kafka");
        assert!(!log.contains("GroupAuthorizationFailed") && !log.contains("may not read"), "{log}");
        service.stop();
        drop(broker);
    });
}
