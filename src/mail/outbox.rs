//! Where mails go: to an SMTP server, or into a folder.

use std::{path::PathBuf, time::Duration};

use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use tokio::io::AsyncWriteExt as _;

use crate::{config, invitations::Token, server::Failure};

/// How long a mail server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How much of an answer is kept.
const ANSWER_CHARACTERS: usize = 300;

/// Where mails go.
pub enum Outbox {
    /// To a mail server.
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    /// Into a folder, one file each.
    Folder(PathBuf),
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Smtp(_) => "Outbox::Smtp(…)",
            Self::Folder(_) => "Outbox::Folder(…)",
        })
    }
}

/// Why a mail is not out.
#[derive(Debug)]
pub struct Undelivered {
    /// What is to be known of it, without secrets.
    pub why: String,
    /// For the log: what kind of fault, without anybody's address.
    pub kind: String,
    /// Whether trying again is of no use.
    pub for_good: bool,
}

impl Outbox {
    /// Where the operator wants it.
    pub fn new(config: &config::Mail) -> Result<Self, Failure> {
        let Some(url) = &config.smtp_url else { return Ok(Self::Folder(config.folder.clone())) };
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url);
        // Without what it says: that may repeat the URL, and its password.
        let builder = builder.map_err(|_| "smtp_url: no mail server can be reached by it")?;
        Ok(Self::Smtp(builder.timeout(Some(TIMEOUT)).build()))
    }

    /// Lets a mail go out; `name` is that of its file.
    pub async fn send(&self, message: Message, name: &str) -> Result<(), Undelivered> {
        match self {
            Self::Smtp(transport) => {
                let is_ascii = message.envelope().to().iter().all(|address| address.to_string().is_ascii());
                transport.send(message).await.map(drop).map_err(|error| undelivered(&error, is_ascii))
            }
            Self::Folder(folder) => write(folder, name, &message.formatted()).await.map_err(|error| Undelivered {
                why: "the folder of mails cannot be written".to_owned(),
                kind: error.to_string(),
                for_good: false,
            }),
        }
    }
}

/// What our own side refuses is TLS or a way to sign in that the server does not offer, which an operator can mend; or an
/// address beyond ASCII that the server does not take (RFC 6531), which nobody can.
fn undelivered(error: &lettre::transport::smtp::Error, is_ascii: bool) -> Undelivered {
    let answer = Token::hide(&error.to_string());
    let why = answer.chars().map(|c| if c.is_control() { ' ' } else { c }).take(ANSWER_CHARACTERS).collect();
    let code = error.status().map(u16::from);
    let kind = match code {
        Some(code) => format!("the mail server answered {code}"),
        None if error.is_tls() => "no TLS with the mail server".to_owned(),
        None if error.is_timeout() => "the mail server does not answer".to_owned(),
        None if error.is_client() => "the mail server does not offer what the mail or smtp_url asks for".to_owned(),
        None => "the mail server cannot be reached".to_owned(),
    };
    let for_good = error.is_client() && !is_ascii || code.is_some_and(|code| is_about_the_mail(code, &answer));
    Undelivered { why, kind, for_good }
}

/// Whether the server will say the same the next time: what it refuses is the recipient's address (RFC 3463, X.1) or mailbox
/// (X.2); without such a code, the recipient (RFC 5321, section 4.2.3, and RFC 7504). What else it refuses, such as us, or
/// everybody for an hour, an operator can mend.
fn is_about_the_mail(code: u16, answer: &str) -> bool {
    let mut words = answer.split_whitespace();
    match words.find_map(|word| word.strip_prefix("5.")) {
        Some(rest) => rest.starts_with("1.") || rest.starts_with("2."),
        None => matches!(code, 501 | 511 | 550 | 551 | 553 | 556),
    }
}

/// A whole file or none; it holds a token, so nobody else may read it.
async fn write(folder: &PathBuf, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    tokio::fs::create_dir_all(folder).await?;
    let unfinished = folder.join(format!(".{name}"));
    let mut options = tokio::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut file = options.open(&unfinished).await?;
    file.write_all(bytes).await?;
    file.sync_all().await?;
    tokio::fs::rename(&unfinished, folder.join(name)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_can_mend_is_tried_again() {
        for (code, answer) in [
            (501, "permanent error (501): what?"),
            (550, "permanent error (550): no such mailbox"),
            (550, "permanent error (550): 5.1.1 no such mailbox"),
            (552, "permanent error (552): 5.2.2 it is full"),
            (556, "permanent error (556): takes no mail"),
        ] {
            assert!(is_about_the_mail(code, answer), "{answer}");
        }
        for (code, answer) in [
            (450, "transient error (450): busy"),
            (530, "permanent error (530): sign in first"),
            (535, "permanent error (535): 5.7.8 wrong password"),
            (550, "permanent error (550): 5.7.1 you are on a list"),
            (554, "permanent error (554): no SMTP service here"),
            (554, "permanent error (554): 5.3.2 maintenance"),
        ] {
            assert!(!is_about_the_mail(code, answer), "{answer}");
        }
    }
}
