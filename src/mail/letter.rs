//! A mail, made of an invitation: words for a template, and headers that hold nothing but what belongs there.

use std::time::{Duration, UNIX_EPOCH};

use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};
use serde::Serialize;

use super::templates::Rendered;
use crate::{
    clock::Timestamp,
    invitations::{DueMail, Invitation, Parcel},
    organizations::Organization,
    server::Failure,
};

/// The colour of buttons and links, where the organization has none.
const COLOR: &str = "#1d4ed8";

/// What a template can say.
#[derive(Debug, Clone, Serialize)]
pub struct Words {
    /// Where to.
    pub organization: OrganizationWords,
    /// How it looks.
    pub brand: Brand,
    /// Who invites.
    pub inviter: InviterWords,
    /// Who is invited.
    pub person: PersonWords,
    /// A word of the inviter, or empty.
    pub message: String,
    /// By which the invitation is accepted.
    pub link: String,
    /// The last day: `2026-11-28`.
    pub expires_on: String,
    /// The roles that are promised.
    pub roles: Vec<String>,
}

/// An organization, in a mail.
#[derive(Debug, Clone, Serialize)]
pub struct OrganizationWords {
    /// For people; the slug where it has none.
    pub name: String,
    /// Its slug.
    pub slug: String,
}

/// How an organization looks, in a mail.
#[derive(Debug, Clone, Serialize)]
pub struct Brand {
    /// A picture, or empty.
    pub logo_url: String,
    /// Of the button: `#rrggbb`.
    pub color: String,
    /// Whom to ask, or empty.
    pub support_email: String,
}

/// Who invites, in a mail.
#[derive(Debug, Clone, Serialize)]
pub struct InviterWords {
    /// For people, or empty.
    pub name: String,
}

/// Who is invited, in a mail.
#[derive(Debug, Clone, Serialize)]
pub struct PersonWords {
    /// For people, or empty.
    pub name: String,
    /// The address, as it was given.
    pub email: String,
}

impl Words {
    /// What is said of an invitation; `url` has `{token}` in it.
    pub fn of(parcel: Parcel, url: &str) -> Self {
        let Parcel { invitation, organization, inviter_name, person_name, token } = parcel;
        let Organization { display_name, slug, .. } = &organization;
        Self {
            brand: brand(&organization),
            organization: OrganizationWords {
                name: if display_name.is_empty() { slug } else { display_name }.clone(),
                slug: slug.clone(),
            },
            inviter: InviterWords { name: inviter_name },
            person: PersonWords { name: person_name, email: invitation.email },
            message: invitation.message,
            link: url.replace("{token}", &token.reveal()),
            expires_on: invitation.expires_at.to_string().chars().take(10).collect(),
            roles: invitation.roles.0,
        }
    }

    /// Everything is said: templates are tried with it.
    pub fn example() -> Self {
        let text = |text: &str| text.to_owned();
        Self {
            organization: OrganizationWords { name: text("Acme"), slug: text("acme") },
            brand: Brand {
                logo_url: text("https://acme.example/logo.png"),
                color: text("#1d4ed8"),
                support_email: text("help@acme.example"),
            },
            inviter: InviterWords { name: text("Ada") },
            person: PersonWords { name: text("Bo"), email: text("bo@acme.example") },
            message: text("Welcome!"),
            link: text("https://acme.example/join"),
            expires_on: text("2026-11-28"),
            roles: vec![text("member")],
        }
    }

    /// Nothing is said that need not be.
    pub fn bare_example() -> Self {
        let (mut words, nothing) = (Self::example(), String::new);
        words.brand = Brand { logo_url: nothing(), color: words.brand.color, support_email: nothing() };
        (words.inviter.name, words.person.name, words.message) = (nothing(), nothing(), nothing());
        words
    }

    /// The same of another organization.
    #[cfg(test)]
    pub fn of_organization(mut self, name: &str) -> Self {
        name.clone_into(&mut self.organization.name);
        self
    }
}

/// How an organization looks.
fn brand(organization: &Organization) -> Brand {
    let branding = &organization.branding.0;
    let color = if branding.primary_color.is_empty() { COLOR } else { &branding.primary_color };
    let (logo_url, support_email) = (branding.logo_url.clone(), branding.support_email.clone());
    Brand { logo_url, color: color.to_owned(), support_email }
}

/// Whom the mail of an invitation goes to: the address as it was given, in the domain that DNS knows.
pub fn recipient(invitation: &Invitation, name: &str) -> Result<Mailbox, Failure> {
    let (local, _) = invitation.email.rsplit_once('@').ok_or("the address has no domain")?;
    let (_, domain) = invitation.email_key.rsplit_once('@').ok_or("the address has no domain")?;
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    Ok(Mailbox::new(Some(name).filter(|name| !name.is_empty()), Address::new(local, domain)?))
}

/// The mail as it goes out. However often it is tried, it is one message to whoever receives it.
pub fn message(
    from: &Mailbox,
    to: Mailbox,
    mail: &DueMail,
    rendered: Rendered,
    now: Timestamp,
) -> Result<Message, Failure> {
    let id = format!("<{}.{}@{}>", mail.invitation_id, mail.created_at.0, from.email.domain());
    let since = Duration::from_micros(u64::try_from(now.0).unwrap_or_default());
    // Nobody's holiday note answers it (RFC 3834, section 5).
    let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
    let message = Message::builder()
        .from(from.clone())
        .to(to)
        .subject(rendered.subject)
        .date(UNIX_EPOCH + since)
        .message_id(Some(id))
        .raw_header(automatic)
        .multipart(MultiPart::alternative_plain_html(rendered.text, rendered.html))?;
    Ok(message)
}
