//! What a domain does for whoever comes with an address there.

use serde_json::{Value, json};

use super::{DAY, House, PATIENCE, which};
use crate::support::{Engine, text};

/// An organization that has proven `acme.com`.
struct Acme<'h> {
    house: &'h House,
    id: Value,
    domain: Value,
}

impl<'h> Acme<'h> {
    async fn build(house: &'h House, auto_join: Value) -> Self {
        let id = house.organization("acme").await;
        let domain = house.verified(&id, "acme.com").await;
        let acme = Self { house, id, domain };
        acme.set(auto_join).await;
        acme
    }

    async fn set(&self, auto_join: Value) {
        let mut changed = which(&self.domain);
        changed["autoJoin"] = auto_join;
        self.house
            .root()
            .call("DomainService/UpdateDomain", json!({"domain": changed, "updateMask": "autoJoin"}))
            .await;
    }

    async fn call(&self, method: &str, mut request: Value) -> Value {
        request["organizationId"] = self.id.clone();
        self.house.root().call(method, request).await
    }

    async fn join(&self, email: &str) -> Value {
        self.house.root().call("DomainService/JoinByEmail", arrival(email)).await
    }

    async fn history(&self) -> usize {
        self.house.root().events(&text(&self.id)).await.len()
    }

    /// Whoever comes with this address finds nothing done, and so it was said before.
    async fn nothing_for(&self, email: &str, reason: &str) {
        let before = self.history().await;
        let joined = self.join(email).await;
        assert_eq!(said(&joined), ("NONE".to_owned(), reason.to_owned()), "{email}");
        assert_eq!(self.resolve(email).await["decision"], joined["decision"], "{email}");
        assert_eq!(self.history().await, before, "{email}");
    }

    async fn resolve(&self, email: &str) -> Value {
        let resolve = json!({"email": email, "emailVerified": true});
        self.house.root().call("DomainService/ResolveEmail", resolve).await
    }

    async fn member(&self, email: &str) -> Value {
        self.call("MembershipService/AddMember", json!({"member": {"email": email}})).await["membership"].clone()
    }

    async fn end(&self, method: &str, membership: &Value) {
        self.call(method, json!({"membershipId": membership["membershipId"]})).await;
    }
}

fn arrival(email: &str) -> Value {
    json!({"email": email, "emailVerified": true, "displayName": "Bo", "authenticatedVia": "sso"})
}

fn mode(name: &str) -> Value {
    json!({"mode": format!("AUTO_JOIN_MODE_{name}")})
}

/// Outcome and reason.
fn said(answer: &Value) -> (String, String) {
    let word = |field: &str, begin: &str| text(&answer["decision"][field]).strip_prefix(begin).unwrap().to_owned();
    (word("outcome", "AUTO_JOIN_OUTCOME_"), word("reason", "AUTO_JOIN_REASON_"))
}

fn set_up(outcome: &str) -> (String, String) {
    (outcome.to_owned(), "SET_UP".to_owned())
}

with_names! {
    async fn by_join_whoever_comes_is_a_member(house) {
        let acme = Acme::build(&house, json!({"mode": "AUTO_JOIN_MODE_JOIN", "role": "developer"})).await;
        let resolved = acme.resolve("Bo@ACME.com").await;
        assert_eq!(said(&resolved), set_up("JOIN"));
        assert_eq!((&resolved["decision"]["organizationId"], &resolved["decision"]["domain"]), (&acme.id, &json!("acme.com")));
        assert_eq!(resolved["decision"]["role"], "developer");
        assert_eq!(resolved["userId"], "", "looking makes nobody a user");
        let mut request = arrival("Bo@ACME.com");
        request["requestId"] = json!("r1");
        let before = acme.history().await;
        let joined = house.root().call("DomainService/JoinByEmail", request.clone()).await;
        assert_eq!(said(&joined), set_up("JOIN"));
        assert_eq!(joined["userCreated"], true);
        let membership = &joined["membership"];
        assert_eq!(membership["status"], "MEMBERSHIP_STATUS_ACTIVE");
        assert_eq!(membership["source"], "MEMBERSHIP_SOURCE_DOMAIN");
        assert_eq!(membership["sourceReference"], acme.domain["domainId"]);
        assert_eq!((&membership["authenticatedVia"], &membership["roles"][0]["role"]), (&json!("sso"), &json!("developer")));
        let check = json!({"userId": membership["userId"], "permission": "resources:write", "consistency":
            {"atLeastAsFresh": joined["revision"]}});
        assert_eq!(acme.call("AuthorizationService/Check", check).await["allowed"], true);
        assert_eq!(acme.history().await, before + 1);
        assert_eq!(house.root().call("DomainService/JoinByEmail", request).await, joined, "the first answer again");
        acme.nothing_for("bo@acme.com", "HAS_MEMBERSHIP").await;
        let resolved = acme.resolve("bo@acme.com").await;
        assert_eq!((&resolved["userId"], &resolved["memberships"]), (&membership["userId"], &json!([membership])));
    }

    async fn somebody_who_never_came_comes_by_it(house) {
        let acme = Acme::build(&house, mode("JOIN")).await;
        let elsewhere = house.organization("elsewhere").await;
        let add = json!({"organizationId": elsewhere, "member": {"email": "bo@acme.com", "preProvision": {}}});
        let known = house.root().call("MembershipService/AddMember", add).await["membership"]["userId"].clone();
        let joined = acme.join("bo@acme.com").await;
        assert_eq!((said(&joined), &joined["membership"]["userId"]), (set_up("JOIN"), &known));
        assert_eq!(joined["userCreated"], false);
        let user = house.root().call("UserService/GetUser", json!({"userId": known})).await["user"].clone();
        assert_eq!(user["status"], "USER_STATUS_ACTIVE");
        let resolved = acme.resolve("bo@acme.com").await;
        assert_eq!(resolved["memberships"].as_array().unwrap().len(), 2, "where else they belong");
    }

    async fn by_invite_they_are_invited_and_by_suggest_told(house) {
        let acme = Acme::build(&house, mode("INVITE")).await;
        assert_eq!(said(&acme.resolve("bo@acme.com").await), set_up("INVITE"));
        let joined = acme.join("bo@acme.com").await;
        assert_eq!(said(&joined), set_up("INVITE"));
        assert_eq!(joined["membership"]["status"], "MEMBERSHIP_STATUS_INVITED");
        assert_eq!(joined["membership"]["source"], "MEMBERSHIP_SOURCE_DOMAIN");
        assert_eq!(joined["membership"]["authenticatedVia"], "", "they have not come yet");
        let which = json!({"invitationId": joined["invitationId"]});
        let invitation = acme.call("InvitationService/GetInvitation", which.clone()).await["invitation"].clone();
        assert_eq!(invitation["email"], "bo@acme.com");
        let mail = text(&invitation["mailStatus"]);
        assert!(["PENDING", "SENT"].iter().any(|status| mail == format!("INVITATION_MAIL_STATUS_{status}")), "{mail}");
        acme.nothing_for("bo@acme.com", "HAS_MEMBERSHIP").await;
        let resent = acme.call("InvitationService/ResendInvitation", which).await;
        let accept = json!({"token": resent["token"], "email": "bo@acme.com", "emailVerified": true});
        let accepted = house.root().call("InvitationService/AcceptInvitation", accept).await;
        assert_eq!(accepted["membership"]["membershipId"], joined["membership"]["membershipId"]);
        acme.set(mode("SUGGEST")).await;
        let before = acme.history().await;
        let told = acme.join("cy@acme.com").await;
        assert_eq!((said(&told), &told["membership"]), (set_up("SUGGEST"), &Value::Null));
        assert_eq!(acme.history().await, before);
    }

    async fn what_is_in_the_way_is_said(house) {
        let acme = Acme::build(&house, mode("JOIN")).await;
        for (email, reason) in [
            ("bo@other.com", "NO_DOMAIN"),
            ("bo@acme.com.evil.example", "NO_DOMAIN"),
            ("bo@notacme.com", "NO_DOMAIN"),
            ("bo@eng.acme.com", "SUBDOMAIN"),
            ("bo+x@acme.com", "PLUS_ADDRESS"),
            ("info@acme.com", "ROLE_MAILBOX"),
            ("Postmaster@acme.com", "ROLE_MAILBOX"),
        ] {
            acme.nothing_for(email, reason).await;
        }
        let unverified = house.root().call("DomainService/JoinByEmail", json!({"email": "bo@acme.com"})).await;
        assert_eq!(said(&unverified), ("NONE".to_owned(), "ADDRESS_NOT_VERIFIED".to_owned()));
        acme.set(json!({"mode": "AUTO_JOIN_MODE_JOIN", "excluded": ["test-*"], "allowSubdomains": true,
            "allowPlusAddresses": true, "allowRoleMailboxes": true})).await;
        for email in ["test-1@acme.com", "TEST-1+x@acme.com"] {
            acme.nothing_for(email, "EXCLUDED").await;
        }
        for email in ["bo@eng.acme.com", "bo+x@acme.com", "info@acme.com"] {
            assert_eq!(said(&acme.join(email).await), set_up("JOIN"), "{email}");
        }
        let cy = house.root().call("UserService/CreateUser", json!({"email": "cy@acme.com"})).await;
        house.root().call("UserService/SuspendUser", json!({"userId": cy["user"]["userId"]})).await;
        acme.nothing_for("cy@acme.com", "USER_SUSPENDED").await;
        acme.call("OrganizationService/SuspendOrganization", json!({})).await;
        acme.nothing_for("dan@acme.com", "ORGANIZATION_NOT_ACTIVE").await;
        acme.call("OrganizationService/DeleteOrganization", json!({})).await;
        acme.nothing_for("dan@acme.com", "ORGANIZATION_NOT_ACTIVE").await;
    }

    async fn whoever_is_off_stays_off(house) {
        let acme = Acme::build(&house, json!({})).await;
        acme.nothing_for("bo@acme.com", "OFF").await;
        acme.set(mode("JOIN")).await;
        house.root().call("DomainService/RemoveDomain", which(&acme.domain)).await;
        acme.nothing_for("bo@acme.com", "NO_DOMAIN").await;
        let claimed = house.add(&acme.id, "acme.com").await;
        assert_eq!(claimed["status"], "DOMAIN_STATUS_PENDING");
        acme.nothing_for("bo@acme.com", "NO_DOMAIN").await;
    }

    async fn nobody_who_was_removed_or_suspended_comes_back(house) {
        let acme = Acme::build(&house, mode("JOIN")).await;
        let suspended = acme.member("suspended@acme.com").await;
        acme.end("MembershipService/SuspendMembership", &suspended).await;
        acme.nothing_for("suspended@acme.com", "MEMBERSHIP_SUSPENDED").await;
        for (email, method) in [("removed@acme.com", "RemoveMember"), ("left@acme.com", "Leave")] {
            let member = acme.member(email).await;
            acme.end(&format!("MembershipService/{method}"), &member).await;
            acme.nothing_for(email, "REMOVED_BEFORE").await;
        }
        // Also where the user was removed, and whoever has the address now is another one.
        let gone = acme.member("gone@acme.com").await;
        house.root().call("UserService/DeleteUser", json!({"userId": gone["userId"]})).await;
        acme.nothing_for("gone@acme.com", "REMOVED_BEFORE").await;
        house.root().call("UserService/CreateUser", json!({"email": "gone@acme.com"})).await;
        acme.nothing_for("gone@acme.com", "REMOVED_BEFORE").await;
        // And where they were put there and taken away before they came.
        let early = json!({"member": {"email": "early@acme.com", "preProvision": {}}});
        let early = acme.call("MembershipService/AddMember", early).await["membership"].clone();
        acme.end("MembershipService/RemoveMember", &early).await;
        acme.nothing_for("early@acme.com", "REMOVED_BEFORE").await;
        // An administrator brings anybody back.
        acme.member("removed@acme.com").await;
        acme.nothing_for("removed@acme.com", "HAS_MEMBERSHIP").await;
    }

    async fn another_address_brings_nobody_back(house) {
        let acme = Acme::build(&house, mode("JOIN")).await;
        for (email, method) in [("gone@acme.com", "RemoveMember"), ("out@acme.com", "SuspendMembership")] {
            let member = acme.member(email).await;
            acme.end(&format!("MembershipService/{method}"), &member).await;
            let user = json!({"userId": member["userId"], "email": format!("private-{email}.example")});
            house.root().call("UserService/UpdateUser", json!({"user": user, "updateMask": "email"})).await;
            acme.nothing_for(email, "REMOVED_BEFORE").await;
        }
        let claimed = json!({"member": {"email": "claimed@acme.com", "preProvision": {},
            "source": "MEMBERSHIP_SOURCE_DOMAIN", "sourceReference": "x"}});
        let claimed = acme.call("MembershipService/AddMember", claimed).await["membership"].clone();
        acme.end("MembershipService/RemoveMember", &claimed).await;
        acme.nothing_for("claimed@acme.com", "REMOVED_BEFORE").await;
    }

    async fn an_invitation_that_was_refused_counts_and_one_that_expired_does_not(house) {
        let acme = Acme::build(&house, mode("JOIN")).await;
        let mut made = Vec::new();
        for email in ["declined@acme.com", "revoked@acme.com", "expired@acme.com"] {
            let invite = json!({"invitation": {"email": email, "skipMail": true}});
            made.push(acme.call("InvitationService/CreateInvitation", invite).await);
            acme.nothing_for(email, "HAS_MEMBERSHIP").await;
        }
        house.root().call("InvitationService/DeclineInvitation", json!({"token": made[0]["token"]})).await;
        let revoked = json!({"invitationId": made[1]["invitation"]["invitationId"]});
        acme.call("InvitationService/RevokeInvitation", revoked).await;
        acme.nothing_for("declined@acme.com", "REMOVED_BEFORE").await;
        acme.nothing_for("revoked@acme.com", "REMOVED_BEFORE").await;
        let begin = std::time::Instant::now();
        house.server.clock.advance(DAY * 7);
        let mut joined = acme.join("expired@acme.com").await;
        while said(&joined) != set_up("JOIN") {
            assert!(begin.elapsed() < PATIENCE, "{joined}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            joined = acme.join("expired@acme.com").await;
        }
    }

    async fn the_closest_domain_decides(house) {
        let acme = Acme::build(&house, json!({"mode": "AUTO_JOIN_MODE_JOIN", "allowSubdomains": true})).await;
        let labs = house.organization("labs").await;
        let domain = house.verified(&labs, "labs.acme.com").await;
        acme.nothing_for("bo@labs.acme.com", "OFF").await;
        acme.nothing_for("bo@deep.labs.acme.com", "OFF").await;
        assert_eq!(acme.resolve("bo@labs.acme.com").await["decision"]["domainId"], domain["domainId"]);
        assert_eq!(acme.join("bo@eng.acme.com").await["membership"]["organizationId"], acme.id);
    }

    async fn no_more_come_than_may(house) {
        let acme = Acme::build(&house, json!({"mode": "AUTO_JOIN_MODE_JOIN", "membersMax": 3})).await;
        acme.member("by-hand@acme.com").await;
        let emails: Vec<_> = (0..16).map(|n| format!("p{n}@acme.com")).collect();
        let answers = futures_util::future::join_all(emails.iter().map(|email| acme.join(email))).await;
        let joined: Vec<_> = answers.iter().filter(|answer| said(answer) == set_up("JOIN")).collect();
        assert_eq!(joined.len(), 3);
        assert!(answers.iter().all(|answer| said(answer) == set_up("JOIN") || said(answer).1 == "FULL"));
        acme.end("MembershipService/RemoveMember", &joined[0]["membership"]).await;
        assert_eq!(said(&acme.join("next@acme.com").await), set_up("JOIN"), "a place is free again");
        acme.nothing_for("last@acme.com", "FULL").await;
    }

    async fn a_colleague_gets_what_the_invited_one_has_and_nothing_of_theirs_is_left(house) {
        let acme = Acme::build(&house, json!({})).await;
        let invite = json!({"requestId": "i", "invitation": {"email": "alice@acme.com", "roles": ["admin"],
            "message": "Dear Alice", "allowSameVerifiedDomain": true, "skipMail": true}});
        let made = acme.call("InvitationService/CreateInvitation", invite.clone()).await;
        let (invitation, alice) = (&made["invitation"], &made["invitation"]["userId"]);
        let set = |roles: Value, source: &str, reference: &Value| json!({"membershipId": invitation["membershipId"],
            "roles": roles, "source": source, "sourceReference": reference});
        acme.call("MembershipService/SetRoles", set(json!(["member"]), "MEMBERSHIP_SOURCE_API", &json!(""))).await;
        let source = "MEMBERSHIP_SOURCE_INVITATION";
        acme.call("MembershipService/SetRoles", set(json!([]), source, &invitation["invitationId"])).await;
        let accept = json!({"token": made["token"], "email": "bob@acme.com", "emailVerified": true, "requestId": "a"});
        let accepted = house.root().call("InvitationService/AcceptInvitation", accept.clone()).await;
        let roles: Vec<_> = accepted["membership"]["roles"].as_array().unwrap().iter().map(|it| &it["role"]).collect();
        assert_eq!(roles, ["member"], "what was taken does not come back");
        assert_eq!(accepted["invitation"]["roles"], json!(["member"]));
        let bob = &accepted["membership"]["userId"];
        assert_eq!([&accepted["invitation"]["userId"], &accepted["invitation"]["invitedUserId"]], [bob, alice]);

        let get = json!({"invitationId": invitation["invitationId"]});
        house.root().call("UserService/EraseUser", json!({"userId": bob})).await;
        let kept = acme.call("InvitationService/GetInvitation", get.clone()).await["invitation"].clone();
        assert_eq!([&kept["email"], &kept["message"]], ["alice@acme.com", "Dear Alice"], "hers stays with her");
        house.root().call("UserService/EraseUser", json!({"userId": alice})).await;
        let bare = acme.call("InvitationService/GetInvitation", get).await["invitation"].clone();
        assert_eq!([&bare["email"], &bare["message"]], ["", ""]);
        for (method, mut request) in [("CreateInvitation", invite), ("AcceptInvitation", accept)] {
            if method == "CreateInvitation" {
                request["organizationId"] = acme.id.clone();
            }
            house.root().refused(&format!("InvitationService/{method}"), request, "IDEMPOTENCY_ANSWER_GONE").await;
        }
        let events = format!("{:?}", house.root().events(&text(&acme.id)).await);
        assert!(!events.contains("alice@acme.com") && !events.contains("Dear Alice"));
    }

    async fn of_many_times_at_once_one_counts(house) {
        let acme = Acme::build(&house, mode("JOIN")).await;
        for round in 0..4 {
            let email = format!("p{round}@acme.com");
            let before = acme.history().await;
            let answers = futures_util::future::join_all((0..16).map(|_| acme.join(&email))).await;
            assert_eq!(answers.iter().filter(|answer| said(answer) == set_up("JOIN")).count(), 1);
            assert!(answers.iter().all(|answer| answer["membership"]["userId"] == answers[0]["membership"]["userId"]));
            assert_eq!(acme.history().await, before + 1);
        }
    }

    async fn a_role_that_is_gone_is_not_given(house) {
        let id = house.organization("acme").await;
        let create = json!({"organizationId": id, "slug": "org-crew", "displayName": "Crew"});
        house.root().call("RoleService/CreateRole", create).await;
        let domain = house.verified(&id, "acme.com").await;
        let acme = Acme { house: &house, id, domain };
        acme.set(json!({"mode": "AUTO_JOIN_MODE_JOIN", "role": "org-crew"})).await;
        assert_eq!(acme.resolve("bo@acme.com").await["decision"]["role"], "org-crew");
        acme.call("RoleService/DeleteRole", json!({"slug": "org-crew"})).await;
        acme.nothing_for("bo@acme.com", "ROLE_NOT_FOUND").await;
    }

    async fn another_tenant_sees_nothing_of_it(house) {
        let acme = Acme::build(&house, mode("JOIN")).await;
        acme.join("bo@acme.com").await;
        let stranger = house.server.stranger().await;
        for method in ["ResolveEmail", "JoinByEmail"] {
            let request = json!({"email": "bo@acme.com", "emailVerified": true});
            let answer = stranger.call(&format!("DomainService/{method}"), request).await;
            assert_eq!(said(&answer), ("NONE".to_owned(), "NO_DOMAIN".to_owned()));
            let of_nobody = [json!(""), json!([]), Value::Null];
            assert!(["userId", "memberships", "membership"].iter().all(|field| of_nobody.contains(&answer[field])));
        }
    }
}
