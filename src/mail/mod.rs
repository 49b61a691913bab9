//! Mail: what is due is made and sent by the leader, and tried again until it is out or given up.
//!
//! The queue says only that the mail of an invitation is due. When it is sent, a token is made for it and its hash is
//! committed; then the mail goes out; then that is recorded. Whoever is killed in between sends it once more.

mod letter;
mod outbox;
mod templates;

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use lettre::message::Mailbox;
pub use templates::Templates;
use tokio_util::sync::CancellationToken;

use self::{
    letter::Words,
    outbox::{Outbox, Undelivered},
};
use crate::{
    clock::{Clock, Timestamp},
    config,
    context::{Actor, Ctx},
    db::{Db, wake::Wake},
    error::Result,
    invitations::{self, DueMail, Outcome, Parcel},
    server::Failure,
};

/// How often to look.
const EVERY: Duration = Duration::from_millis(500);
/// How many mails are looked for at once.
const BATCH: i64 = 100;
/// How many are sent at once.
const AT_ONCE: usize = 4;
/// The first pause, and the longest: each is three times the one before.
const PAUSE_FIRST: Duration = Duration::from_secs(10);
const PAUSE_LONGEST: Duration = Duration::from_hours(1);
/// How long a mail is tried.
const TRIED_FOR: Duration = Duration::from_hours(3 * 24);

/// Sends mails.
#[derive(Debug)]
pub struct Mailer {
    db: Db,
    clock: Clock,
    wake: Wake,
    templates: Arc<Templates>,
    outbox: Outbox,
    from: Mailbox,
    invitation_url: String,
}

impl Mailer {
    /// A mailer as the operator wants it.
    pub fn new(
        config: &config::Mail,
        templates: Arc<Templates>,
        db: Db,
        clock: Clock,
        wake: Wake,
    ) -> Result<Self, Failure> {
        let outbox = Outbox::new(config)?;
        let invitation_url = config.invitation_url.clone();
        Ok(Self { db, clock, wake, templates, outbox, from: config.from.clone(), invitation_url })
    }

    /// Sends what is due until stopped.
    pub async fn run(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.round(stop).await {
                tracing::warn!(%error, "mails cannot be looked for, trying again later");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Everything that is due, once.
    async fn round(&self, stop: &CancellationToken) -> Result<()> {
        let due = invitations::due_mails(&mut self.db.snapshot().await?, self.clock.now(), BATCH).await?;
        let carry = async |mail: DueMail| {
            tokio::select! {
                () = stop.cancelled() => {}
                carried = self.carry(&mail) => if let Err(error) = carried {
                    tracing::warn!(%error, invitation_id = %mail.invitation_id, "a mail waits");
                }
            }
        };
        stream::iter(due).for_each_concurrent(AT_ONCE, carry).await;
        Ok(())
    }

    /// One mail, from the queue to its end or its next try.
    async fn carry(&self, mail: &DueMail) -> Result<()> {
        let now = self.clock.now();
        let again_at = now.plus(pause_after(mail.attempts));
        let (ctx, due) = (local(mail, now), mail.clone());
        let taken = self.db.write(async move |tx| invitations::prepare_mail(&ctx, tx, &due, again_at).await).await?;
        let Some(parcel) = taken.0 else { return Ok(()) };
        let outcome = match self.send(mail, parcel, now).await {
            Ok(()) => Outcome::Sent,
            Err(undelivered) => {
                let given_up = undelivered.for_good || now >= mail.created_at.plus(TRIED_FOR);
                let (invitation_id, kind) = (mail.invitation_id, &undelivered.kind);
                tracing::warn!(%invitation_id, attempt = mail.attempts + 1, given_up, why = %kind, "a mail is not out");
                if !given_up {
                    return Ok(());
                }
                Outcome::Failed(undelivered.why)
            }
        };
        let (ctx, due) = (local(mail, self.clock.now()), mail.clone());
        let settle = self.db.write(async move |tx| invitations::settle_mail(&ctx, tx, &due, &outcome).await);
        if !settle.await?.1.events().is_empty() {
            self.wake.committed();
        }
        Ok(())
    }

    async fn send(&self, mail: &DueMail, parcel: Parcel, now: Timestamp) -> Result<(), Undelivered> {
        let unsendable = |error: Failure| Undelivered {
            why: format!("no mail can be made: {error}"),
            kind: "no mail can be made".to_owned(),
            for_good: true,
        };
        let to = letter::recipient(&parcel.invitation, &parcel.person_name).map_err(unsendable)?;
        let (template, locale) = (parcel.invitation.template.clone(), parcel.invitation.locale.clone());
        let words = Words::of(parcel, &self.invitation_url);
        let rendered = self.templates.render(&template, &locale, &words).map_err(unsendable)?;
        let message = letter::message(&self.from, to, mail, rendered, now).map_err(unsendable)?;
        let name = format!("{}-{}.eml", mail.created_at.0, mail.invitation_id);
        self.outbox.send(message, &name).await
    }
}

/// How long to wait after so many tries before.
fn pause_after(attempts: i64) -> Duration {
    let times = 3_u32.saturating_pow(u32::try_from(attempts).unwrap_or(u32::MAX));
    PAUSE_FIRST.saturating_mul(times).min(PAUSE_LONGEST)
}

fn local(mail: &DueMail, now: Timestamp) -> Ctx {
    Ctx::local(mail.tenant_id, Actor::system(), now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour() {
        let seconds: Vec<_> = (0..8).map(|attempts| pause_after(attempts).as_secs()).collect();
        assert_eq!(seconds, [10, 30, 90, 270, 810, 2430, 3600, 3600]);
        assert_eq!(pause_after(i64::MAX), PAUSE_LONGEST);
    }
}
