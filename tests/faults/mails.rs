//! Mails by the service as a process: over TLS with an account, and when it is killed while one goes out.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};

use crate::support::{
    Caller, Database, Engine,
    process::{Process, free_port},
    smtp::{Guarded, MailServer},
    text,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A certificate for `localhost`, which only those trust who are told to.
struct Certificate {
    folder: tempfile::TempDir,
    acceptor: TlsAcceptor,
}

impl Certificate {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), made.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        Self { folder, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }

    /// What makes the service trust it, as an operator does.
    fn trusted(&self) -> (&'static str, String) {
        ("SSL_CERT_FILE", self.folder.path().join("ca.pem").display().to_string())
    }
}

/// The service on a database, with a mail server, and an organization.
struct House {
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    process: Process,
    caller: Caller,
    organization: String,
}

impl House {
    async fn start(database: &Database, smtp_url: &str, environment: Vec<(&'static str, String)>) -> Self {
        let mut arguments = database.arguments();
        for (name, value) in [
            ("--smtp-url", smtp_url),
            ("--mail-from", "Acme <hello@acme.example>"),
            ("--invitation-url", "https://app.example/join?token={token}"),
        ] {
            arguments.extend([name.to_owned(), value.to_owned()]);
        }
        let process = Process::start_with(free_port(), &arguments, &environment);
        let caller = Caller::connect(&process.address, process.first_key.clone()).await;
        let made = caller.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        let organization = text(&made["organization"]["organizationId"]);
        Self { arguments, environment, process, caller, organization }
    }

    async fn start_again(&mut self) {
        let key = self.caller.client.key.clone();
        self.process = Process::start_with(free_port(), &self.arguments, &self.environment);
        self.caller = Caller::connect(&self.process.address, key).await;
    }

    async fn invite(&self, email: &str) -> Value {
        let invite = json!({"organizationId": self.organization, "invitation": {"email": email}});
        self.caller.call("InvitationService/CreateInvitation", invite).await["invitation"].clone()
    }

    /// The invitation, once its mail stands so.
    async fn until(&self, invitation: &Value, status: &str) -> Value {
        let begin = std::time::Instant::now();
        let get = json!({"organizationId": self.organization, "invitationId": invitation["invitationId"]});
        loop {
            let now = self.caller.call("InvitationService/GetInvitation", get.clone()).await["invitation"].clone();
            if now["mailStatus"] == format!("INVITATION_MAIL_STATUS_{status}") {
                return now;
            }
            assert!(begin.elapsed() < PATIENCE, "{now}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn accept(&self, token: &str, email: &str) {
        let accept = json!({"token": token, "email": email, "emailVerified": true});
        self.caller.call("InvitationService/AcceptInvitation", accept).await;
    }

    async fn events(&self, kind: &str) -> usize {
        let events = self.caller.events(&self.organization).await;
        events.iter().filter(|event| event["type"] == kind).count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_goes_out_over_tls_with_an_account() {
    let certificate = Certificate::new();
    for start_tls in [false, true] {
        let account = Some(("roster".to_owned(), "p@ss word".to_owned()));
        let mail = MailServer::guarded(Guarded { tls: Some(certificate.acceptor.clone()), start_tls, account }).await;
        let scheme = if start_tls { "smtp" } else { "smtps" };
        let url = |password: &str| format!("{scheme}://roster:{password}@localhost:{}", mail.port());
        let right = url("p%40ss%20word");

        let database = Database::fresh(Engine::Sqlite).await;
        let house = House::start(&database, &right, vec![certificate.trusted()]).await;
        let made = house.invite("bo@example.com").await;
        house.until(&made, "SENT").await;
        house.accept(&mail.wait_for(1).await[0].token(), "bo@example.com").await;
        drop(house);

        // Nothing goes to a server that cannot be trusted, or does not trust us; it is tried again, for an operator can mend it.
        for (url, trusted) in [(right, None), (url("wrong"), Some(certificate.trusted()))] {
            let database = Database::fresh(Engine::Sqlite).await;
            let house = House::start(&database, &url, trusted.into_iter().collect()).await;
            let made = house.invite("bo@example.com").await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            house.until(&made, "PENDING").await;
            assert_eq!(mail.received().len(), 1, "{url}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_tls_where_it_is_asked_for_nothing_goes_out() {
    let mail = MailServer::start().await;
    let database = Database::fresh(Engine::Sqlite).await;
    let url = format!("smtp://roster:secret@localhost:{}", mail.port());
    let house = House::start(&database, &url, Vec::new()).await;
    let made = house.invite("bo@example.com").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    house.until(&made, "PENDING").await;
    assert_eq!(mail.received().len(), 0);
}

async fn killed_while_a_mail_goes_out(engine: Engine) {
    let mail = MailServer::start().await;
    let database = Database::fresh(engine).await;
    let url = format!("smtp://127.0.0.1:{}?tls=none", mail.port());
    let mut house = House::start(&database, &url, Vec::new()).await;
    for round in 0..3 {
        let email = format!("p{round}@example.com");
        // It has the mail, and never says so.
        mail.mute(true);
        let made = house.invite(&email).await;
        let sent = mail.wait_for(2 * round + 1).await;
        house.process.kill();
        mail.mute(false);
        house.start_again().await;
        house.until(&made, "SENT").await;
        let again = mail.wait_for(2 * round + 2).await;
        assert_eq!(house.events("invitation.mail_sent").await, round + 1, "told once");
        // Both mails can be used: a person takes whichever comes first.
        let mails = [&sent[2 * round], &again[2 * round + 1]];
        assert!(mails.iter().all(|mail| mail.to == [email.clone()]));
        assert_ne!(mails[0].token(), mails[1].token());
        house.accept(&mails[round % 2].token(), &email).await;
    }
    assert_eq!(mail.received().len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_mail_goes_out_it_is_sent_again_on_sqlite() {
    killed_while_a_mail_goes_out(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_mail_goes_out_it_is_sent_again_on_postgres() {
    killed_while_a_mail_goes_out(Engine::Postgres).await;
}
