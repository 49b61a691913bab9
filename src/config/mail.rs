//! Where mails go, and what they say.

use std::path::{Path, PathBuf};

use lettre::message::Mailbox;

use super::{Faults, Settings};

/// Where mails go, and what they say.
#[derive(Clone)]
pub struct Mail {
    /// The mail server; none: mails go into the folder. It may hold a password.
    pub smtp_url: Option<String>,
    /// Where mails go without a mail server.
    pub folder: PathBuf,
    /// Who sends them.
    pub from: Mailbox,
    /// What the links of invitations lead to, with `{token}` in it.
    pub invitation_url: String,
    /// Templates in the place of those of the binary, or beside them.
    pub templates: Option<PathBuf>,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let smtp_url = self.smtp_url.as_ref().map(|_| "…");
        let mut mail = f.debug_struct("Mail");
        mail.field("smtp_url", &smtp_url).field("folder", &self.folder).field("templates", &self.templates);
        mail.finish_non_exhaustive()
    }
}

impl Mail {
    /// Mails that go into a folder, where nobody said anything else.
    pub fn into_folder(folder: PathBuf) -> Self {
        let from = NOBODY.parse().expect("an address");
        Self { smtp_url: None, folder, from, invitation_url: NOWHERE.to_owned(), templates: None }
    }
}

/// Who sends mails into a folder where nobody is named.
const NOBODY: &str = "Roster <roster@mail-from-is-not-set.invalid>";
/// Where links lead where nobody says: nowhere, and it says why.
const NOWHERE: &str = "https://invitation-url-is-not-set.invalid/?token={token}";

/// Checks the settings of mails.
pub fn read(faults: &mut Faults, settings: &Settings) -> Mail {
    let mut mail = Mail::into_folder(match settings.mail_folder.as_str() {
        "" => Path::new(&settings.data_dir).join("mail"),
        folder => PathBuf::from(folder),
    });
    mail.templates = Some(&settings.mail_templates).filter(|path| !path.is_empty()).map(PathBuf::from);
    match settings.mail_from.parse() {
        Ok(from) => mail.from = from,
        Err(_) if settings.mail_from.is_empty() && settings.smtp_url.is_empty() => {}
        Err(_) if settings.mail_from.is_empty() => faults.push("mail_from: required with smtp_url".to_owned()),
        Err(_) => faults
            .push(format!("mail_from: {:?} is not an address such as Acme <hello@acme.example>", settings.mail_from)),
    }
    let url = &settings.invitation_url;
    let is_link = ["https://", "http://"].iter().any(|scheme| url.starts_with(scheme)) && url.contains("{token}");
    match url.as_str() {
        "" if settings.smtp_url.is_empty() => {}
        "" => faults.push("invitation_url: required with smtp_url".to_owned()),
        url if is_link && !url.contains(char::is_whitespace) => url.clone_into(&mut mail.invitation_url),
        _ => faults.push("invitation_url: not of the form https://app.example/join?token={token}".to_owned()),
    }
    if !settings.smtp_url.is_empty() {
        mail.smtp_url = smtp_url(&settings.smtp_url);
        if mail.smtp_url.is_none() {
            // Without the URL: it may hold a password.
            let form = "smtps://user:password@host:465 or smtp://user:password@host:587";
            faults.push(format!("smtp_url: not of the form {form}, or ?tls=none is not all that it asks for"));
        }
    }
    mail
}

/// The URL as the mail library reads it: to `smtp://` belongs STARTTLS, unless it says `?tls=none`.
fn smtp_url(url: &str) -> Option<String> {
    let (address, query) = url.split_once('?').map_or((url, None), |(address, query)| (address, Some(query)));
    let host = address.strip_prefix("smtp://").or_else(|| address.strip_prefix("smtps://"))?;
    if host.rsplit('@').next().is_none_or(str::is_empty) || host.contains(char::is_whitespace) {
        return None;
    }
    match (address.starts_with("smtps://"), query) {
        (true, None) | (false, Some("tls=none")) => Some(address.to_owned()),
        (false, None | Some("tls=required")) => Some(format!("{address}?tls=required")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_required_unless_it_is_declined() {
        let read = |url| smtp_url(url);
        assert_eq!(read("smtps://u:p@host:465").as_deref(), Some("smtps://u:p@host:465"));
        assert_eq!(read("smtp://host").as_deref(), Some("smtp://host?tls=required"));
        assert_eq!(read("smtp://host:25?tls=none").as_deref(), Some("smtp://host:25"));
        for bad in
            ["", "host", "smtp://", "smtp://u:p@", "http://host", "smtps://host?tls=none", "smtp://h?tls=opportunistic"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_password_is_not_shown() {
        let mail = Mail { smtp_url: Some("smtps://u:geheim@host".into()), ..Mail::into_folder("mail".into()) };
        assert!(!format!("{mail:?}").contains("geheim"));
    }
}
