//! One invitation is accepted by one.

use serde_json::json;

use super::{add, crowd::Crowd, members, organization, races, remove, rounds};
use crate::support::{Engine, name_server::At, text};

const DOMAIN: &str = "acme.example";

/// An organization with an owner, which has verified its domain.
async fn acme(crowd: &Crowd) -> String {
    let acme = organization(crowd.root(), "acme").await;
    add(crowd.root(), &acme, "ada@elsewhere.example", &["owner"]).await;
    let claim = json!({"organizationId": acme, "name": DOMAIN});
    let domain = crowd.root().call("DomainService/AddDomain", claim).await["domain"].clone();
    crowd.dns.say(&text(&domain["recordName"]), At::txt(&text(&domain["recordValue"])));
    let confirm = json!({"organizationId": acme, "domainId": domain["domainId"]});
    crowd.root().call("DomainService/ConfirmDomain", confirm).await;
    acme
}

races! {
    /// Turn about, everybody is whom it is for, or a colleague of theirs.
    async fn of_many_who_accept_an_invitation_one_does(crowd) {
        let acme = acme(crowd).await;
        let owner = members(crowd.root(), &acme).await.remove(0);
        let mut log = crowd.log(&[&acme]).await;
        for round in 0..rounds() {
            let invited = format!("p{round}@{DOMAIN}");
            let invitation = json!({"email": invited, "allowSameVerifiedDomain": true, "skipMail": true});
            let create = json!({"organizationId": acme, "invitation": invitation});
            let made = crowd.root().call("InvitationService/CreateInvitation", create).await;
            log.news().await;
            let colleagues = round % 2 == 1;
            let outcomes = crowd.call(|number| {
                let email = if colleagues { format!("c{round}-{number}@{DOMAIN}") } else { invited.clone() };
                let accept = json!({"token": made["token"], "email": email, "emailVerified": true});
                ("InvitationService/AcceptInvitation", accept)
            }).await;

            let won = outcomes.one_wins("INVITATION_USED");
            let which = json!({"organizationId": acme, "invitationId": made["invitation"]["invitationId"]});
            let now = crowd.root().call("InvitationService/GetInvitation", which).await;
            assert_eq!(now["invitation"], won["invitation"]);
            assert_eq!(now["invitation"]["status"], "INVITATION_STATUS_ACCEPTED");
            assert_eq!(now["invitation"]["userId"] == made["invitation"]["userId"], !colleagues);
            assert_eq!(members(crowd.root(), &acme).await, [owner.clone(), won["membership"].clone()]);
            let expected = match colleagues {
                true => ["invitation.accepted", "membership.created", "membership.removed", "user.created"].as_slice(),
                false => &["invitation.accepted", "membership.activated", "user.activated"],
            };
            assert_eq!(log.types().await, expected);
            remove(crowd.root(), &won["membership"]).await;
        }
    }
}
