//! Invitations, over gRPC: the sentences of their rules, one by one.

mod ends;
mod mails;
mod races;
mod tokens;
mod users;

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    on_both_engines,
    support::{Caller, Engine, TestServer, bad_fields, text},
};

const DAY: Duration = Duration::from_hours(24);

/// An organization, and whoever manages it.
pub struct Acme<'c> {
    pub root: &'c Caller,
    pub id: String,
}

impl<'c> Acme<'c> {
    pub async fn build(root: &'c Caller) -> Self {
        let create = json!({"slug": "acme", "displayName": "Acme & Sons",
            "initialOwners": [{"email": "ada@acme.example"}]});
        let created = root.call("OrganizationService/CreateOrganization", create).await;
        Self { root, id: text(&created["organization"]["organizationId"]) }
    }

    /// This, about the organization.
    pub fn with(&self, mut request: Value) -> Value {
        request["organizationId"] = json!(self.id);
        request
    }

    /// An invitation without a mail.
    pub fn invitation(&self, email: &str, mut more: Value) -> Value {
        more["email"] = json!(email);
        more["skipMail"] = json!(true);
        self.with(json!({"invitation": more}))
    }

    pub async fn invite(&self, email: &str, more: Value) -> Value {
        self.root.call("InvitationService/CreateInvitation", self.invitation(email, more)).await
    }

    pub async fn call(&self, method: &str, request: Value) -> Value {
        self.root.call(method, self.with(request)).await
    }

    pub async fn get(&self, invitation: &Value) -> Value {
        let request = json!({"invitationId": invitation["invitation"]["invitationId"]});
        self.call("InvitationService/GetInvitation", request).await["invitation"].clone()
    }

    pub async fn membership(&self, id: &Value) -> Value {
        self.call("MembershipService/GetMembership", json!({"membershipId": id})).await["membership"].clone()
    }

    /// The events of the organization that are of these types.
    pub async fn events(&self, begin: &str) -> Vec<Value> {
        let all = self.root.events(&self.id).await;
        all.into_iter().filter(|event| event["type"].as_str().unwrap().starts_with(begin)).collect()
    }

    /// The invitation, once it stands so.
    pub async fn until(&self, invitation: &Value, field: &str, value: &str) -> Value {
        for _ in 0..400 {
            let now = self.get(invitation).await;
            if now[field] == value {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{field} is not {value}: {}", self.get(invitation).await);
    }
}

/// Accepts for whoever has the address.
pub fn acceptance(invitation: &Value, email: &str) -> Value {
    json!({"token": invitation["token"], "email": email, "emailVerified": true})
}

async fn allowed(acme: &Acme<'_>, user: &Value, permission: &str) -> bool {
    let check = json!({"userId": user, "permission": permission, "consistency": {"fullyConsistent": true}});
    acme.call("AuthorizationService/Check", check).await["allowed"] == true
}

on_both_engines! {
    async fn whoever_accepts_becomes_active_with_exactly_what_was_promised(server) {
        let acme = Acme::build(&server.root).await;
        let team = acme.call("TeamService/CreateTeam", json!({"name": "builders"})).await;
        let team = &team["team"]["teamId"];
        let more = json!({"roles": ["developer", "member"], "teamIds": [team], "displayName": "Bo",
            "message": "Welcome", "locale": "de-AT", "metadata": {"a": "b"}});
        let made = acme.invite(" Bo@Example.com ", more).await;
        let invitation = &made["invitation"];
        assert_eq!(made["userCreated"], true);
        assert_eq!(invitation["status"], "INVITATION_STATUS_PENDING");
        assert_eq!(invitation["email"], "Bo@Example.com");
        assert_eq!(invitation["roles"], json!(["developer", "member"]));
        assert_eq!(invitation["teamIds"], json!([team]));
        assert_eq!(invitation["metadata"], json!({"a": "b"}));
        let user = &invitation["userId"];
        let membership = acme.membership(&invitation["membershipId"]).await;
        assert_eq!(membership["status"], "MEMBERSHIP_STATUS_INVITED");
        assert_eq!(membership["source"], "MEMBERSHIP_SOURCE_INVITATION");
        assert_eq!(membership["sourceReference"], invitation["invitationId"]);
        let known = server.root.call("UserService/GetUser", json!({"userId": user})).await;
        assert_eq!(known["user"]["status"], "USER_STATUS_INVITED");
        assert_eq!(known["user"]["displayName"], "Bo");
        assert!(!allowed(&acme, user, "resources:write").await, "not before they accept");

        let accepted = server.root.call("InvitationService/AcceptInvitation", acceptance(&made, "bo@example.com")).await;
        assert_eq!(accepted["invitation"]["status"], "INVITATION_STATUS_ACCEPTED");
        assert_eq!(accepted["membership"]["membershipId"], invitation["membershipId"]);
        assert_eq!(accepted["membership"]["status"], "MEMBERSHIP_STATUS_ACTIVE");
        let roles = accepted["membership"]["roles"].as_array().unwrap();
        let roles: Vec<_> = roles.iter().map(|role| role["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["developer", "member"]);
        assert!(allowed(&acme, user, "resources:write").await);
        let places = acme.call("TeamService/ListTeamMembers", json!({"teamId": team})).await;
        assert_eq!(places["teamMembers"][0]["membershipId"], invitation["membershipId"]);
        let known = server.root.call("UserService/GetUser", json!({"userId": user})).await;
        assert_eq!(known["user"]["status"], "USER_STATUS_ACTIVE");

        let types: Vec<_> = acme.root.events(&acme.id).await.iter().map(|event| text(&event["type"])).collect();
        let expected = ["invitation.created", "membership.created", "team.member_added", "invitation.accepted",
            "membership.activated"];
        assert_eq!(types[types.len() - 5..], expected);
        let event = &acme.events("invitation.accepted").await[0];
        assert_eq!(event["invitationAccepted"]["after"], accepted["invitation"]);
        assert_eq!(event["invitationAccepted"]["before"], *invitation);
        let activated = &acme.events("membership.activated").await[0];
        assert_eq!(activated["causationId"], event["eventId"]);
    }

    async fn whoever_is_promised_no_role_by_name_gets_the_default(server) {
        let acme = Acme::build(&server.root).await;
        let made = acme.invite("bo@example.com", json!({})).await;
        assert_eq!(made["invitation"]["roles"], json!(["member"]));
    }

    async fn one_is_pending_for_each_address(server) {
        let acme = Acme::build(&server.root).await;
        let first = acme.invite("bo@example.com", json!({})).await;
        let again = acme.invitation("BO@Example.COM", json!({}));
        let status = server.root.refused("InvitationService/CreateInvitation", again.clone(), "INVITATION_PENDING").await;
        assert_eq!(status.code(), tonic::Code::AlreadyExists);
        let named = crate::support::metadata(&status)["invitation_id"].clone();
        assert_eq!(json!(named), first["invitation"]["invitationId"]);
        let revoke = json!({"invitationId": first["invitation"]["invitationId"]});
        acme.call("InvitationService/RevokeInvitation", revoke).await;
        let second = server.root.call("InvitationService/CreateInvitation", again.clone()).await;
        assert_ne!(second["invitation"]["membershipId"], first["invitation"]["membershipId"]);
        assert_eq!(second["userCreated"], false);
        // One whose end is over is in nobody's way, recorded or not.
        server.clock.advance(7 * DAY);
        let third = server.root.call("InvitationService/CreateInvitation", again).await;
        assert_eq!(third["invitation"]["status"], "INVITATION_STATUS_PENDING");
        assert_eq!(acme.get(&second).await["status"], "INVITATION_STATUS_EXPIRED");
        assert_eq!(acme.events("invitation.expired").await.len(), 1, "recorded once");
    }

    async fn members_are_not_invited_and_removed_ones_are(server) {
        let acme = Acme::build(&server.root).await;
        let member = json!({"member": {"email": "bo@example.com"}});
        let added = acme.call("MembershipService/AddMember", member).await["membership"].clone();
        let invite = acme.invitation("bo@example.com", json!({}));
        let create = "InvitationService/CreateInvitation";
        let status = server.root.refused(create, invite.clone(), "ALREADY_MEMBER").await;
        assert_eq!(status.code(), tonic::Code::AlreadyExists);
        let id = json!({"membershipId": added["membershipId"]});
        acme.call("MembershipService/SuspendMembership", id.clone()).await;
        let status = server.root.refused(create, invite.clone(), "MEMBERSHIP_SUSPENDED").await;
        assert_eq!(status.code(), tonic::Code::FailedPrecondition);
        acme.call("MembershipService/RemoveMember", id).await;
        let user = json!({"userId": added["userId"]});
        server.root.call("UserService/SuspendUser", user.clone()).await;
        server.root.refused(create, invite.clone(), "USER_SUSPENDED").await;
        server.root.call("UserService/ReactivateUser", user).await;
        let made = server.root.call(create, invite).await;
        assert_eq!(made["invitation"]["userId"], added["userId"]);
        let accept = acceptance(&made, "bo@example.com");
        let accepted = server.root.call("InvitationService/AcceptInvitation", accept).await;
        assert_ne!(accepted["membership"]["membershipId"], added["membershipId"], "a new membership");
    }

    async fn an_organization_that_is_suspended_or_being_deleted_takes_nobody_in(server) {
        let acme = Acme::build(&server.root).await;
        let made = acme.invite("bo@example.com", json!({})).await;
        let id = json!({"invitationId": made["invitation"]["invitationId"]});
        let preview = json!({"token": made["token"]});
        let accept = acceptance(&made, "bo@example.com");
        let invite = acme.invitation("cy@example.com", json!({}));
        for (method, reason) in [
            ("OrganizationService/SuspendOrganization", "ORGANIZATION_SUSPENDED"),
            ("OrganizationService/DeleteOrganization", "ORGANIZATION_DELETING"),
        ] {
            acme.call(method, json!({})).await;
            server.root.refused("InvitationService/CreateInvitation", invite.clone(), reason).await;
            server.root.refused("InvitationService/ResendInvitation", acme.with(id.clone()), reason).await;
            let reason = if reason == "ORGANIZATION_DELETING" { "INVITATION_REVOKED" } else { reason };
            server.root.refused("InvitationService/AcceptInvitation", accept.clone(), reason).await;
            server.root.refused("InvitationService/PreviewInvitation", preview.clone(), reason).await;
        }
    }

    async fn nobody_invites_to_what_they_could_not_give(server) {
        let acme = Acme::build(&server.root).await;
        let service = server.caller(&["invitations:*"]).await;
        for role in ["owner", "admin"] {
            let invite = acme.invitation("bo@example.com", json!({"roles": [role]}));
            service.refused("InvitationService/CreateInvitation", invite, "MISSING_PERMISSION").await;
        }
        let plain = acme.invitation("bo@example.com", json!({}));
        let plain = service.call("InvitationService/CreateInvitation", plain).await;
        let id = json!({"invitationId": plain["invitation"]["invitationId"], "skipMail": true});
        service.call("InvitationService/ResendInvitation", acme.with(id)).await;
        let owner = acme.invite("cy@example.com", json!({"roles": ["owner"]})).await;
        let id = json!({"invitationId": owner["invitation"]["invitationId"]});
        service.refused("InvitationService/ResendInvitation", acme.with(id), "MISSING_PERMISSION").await;
    }

    async fn many_are_invited_at_once_each_with_an_answer_of_its_own(server) {
        let acme = Acme::build(&server.root).await;
        let mut entries: Vec<_> = (0..46)
            .map(|n| json!({"email": format!("p{n}@example.com"), "skipMail": true}))
            .collect();
        entries.extend([
            json!({"email": "nobody"}),
            json!({"email": "ada@acme.example"}),
            json!({"email": "P3@example.com"}),
            json!({"email": "x@example.com", "roles": ["nothing"]}),
        ]);
        let bulk = "InvitationService/BulkCreateInvitations";
        let before = acme.events("").await.len();
        let answer = acme.call(bulk, json!({"invitations": entries, "requestId": "one"})).await;
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results.len(), 50);
        for (n, result) in results[..46].iter().enumerate() {
            assert_eq!(result["invitation"]["email"], format!("p{n}@example.com"));
            let preview = json!({"token": result["token"]});
            let shown = server.root.call("InvitationService/PreviewInvitation", preview).await;
            assert_eq!(shown["invitation"], result["invitation"]);
        }
        let reasons: Vec<_> = results[46..].iter().map(|result| text(&result["error"]["reason"])).collect();
        assert_eq!(reasons, ["INVALID_REQUEST", "ALREADY_MEMBER", "INVITATION_PENDING", "ROLE_NOT_FOUND"]);
        assert_eq!(acme.events("").await.len(), before + 2 * 46, "what failed left nothing");
        assert_eq!(acme.call(bulk, json!({"invitations": entries, "requestId": "one"})).await, answer);
        let many = vec![json!({"email": "y@example.com"}); 51];
        let status = server.root.refused(bulk, acme.with(json!({"invitations": many})), "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&status), ["invitations"]);
    }

    async fn add_member_invites_in_the_same_way(server) {
        let acme = Acme::build(&server.root).await;
        let invite = json!({"message": "Welcome", "locale": "de", "lifetime": "3600s"});
        let member = json!({"email": "bo@example.com", "roles": ["developer"], "kind": "MEMBERSHIP_KIND_GUEST",
            "invite": invite});
        let added = acme.call("MembershipService/AddMember", json!({"member": member})).await;
        let made = json!({"invitation": {"invitationId": added["invitationId"]}});
        let invitation = acme.get(&made).await;
        assert_eq!(invitation["status"], "INVITATION_STATUS_PENDING");
        assert_eq!(invitation["membershipId"], added["membership"]["membershipId"]);
        assert_eq!((&invitation["message"], &invitation["locale"]), (&json!("Welcome"), &json!("de")));
        assert_eq!(added["membership"]["status"], "MEMBERSHIP_STATUS_INVITED");
        assert_eq!(added["membership"]["sourceReference"], added["invitationId"]);
        acme.until(&made, "mailStatus", "INVITATION_MAIL_STATUS_SENT").await;
        let again = acme.with(json!({"member": {"email": "bo@example.com", "invite": {}}}));
        server.root.refused("MembershipService/AddMember", again, "INVITATION_PENDING").await;
        // Expired and sent again, it is still what was asked for.
        server.clock.advance(DAY);
        let resend = json!({"invitationId": added["invitationId"], "skipMail": true});
        let resent = acme.call("InvitationService/ResendInvitation", resend).await;
        let accept = acceptance(&resent, "bo@example.com");
        let accepted = server.root.call("InvitationService/AcceptInvitation", accept).await;
        assert_eq!(accepted["membership"]["kind"], "MEMBERSHIP_KIND_GUEST");
        assert_eq!(accepted["membership"]["roles"][0]["role"], "developer");

        let entries = json!([{"email": "a@example.com", "invite": {}}, {"email": "A@example.com", "invite": {}},
            {"email": "b@example.com", "invite": {"locale": "?"}}, {"email": "c@example.com"}]);
        let batch = acme.call("MembershipService/BatchAddMembers", json!({"members": entries})).await;
        let outcomes: Vec<_> = batch["results"].as_array().unwrap().iter()
            .map(|result| (text(&result["invitationId"]).is_empty(), result["error"]["reason"].clone()))
            .collect();
        assert_eq!(outcomes, [(false, Value::Null), (true, json!("INVITATION_PENDING")),
            (true, json!("INVALID_REQUEST")), (true, Value::Null)]);
    }

    async fn lists_filter_and_tell_no_tokens(server) {
        let acme = Acme::build(&server.root).await;
        let (mut made, mut tokens) = (Vec::new(), Vec::new());
        for n in 0..5 {
            let one = acme.invite(&format!("p{n}@example.com"), json!({})).await;
            tokens.push(text(&one["token"]));
            made.push(one);
        }
        let id = json!({"invitationId": made[0]["invitation"]["invitationId"]});
        acme.call("InvitationService/RevokeInvitation", id).await;
        server.root.call("InvitationService/AcceptInvitation", acceptance(&made[1], "p1@example.com")).await;
        let list = async |filter: Value| {
            acme.root.list("InvitationService/ListInvitations", acme.with(filter), "invitations").await
        };
        let emails = |list: &[Value]| list.iter().map(|one| text(&one["email"])).collect::<Vec<_>>();
        assert_eq!(list(json!({"pageSize": 2})).await.len(), 5);
        let pending = list(json!({"status": "INVITATION_STATUS_PENDING", "pageSize": 1})).await;
        assert_eq!(emails(&pending), ["p2@example.com", "p3@example.com", "p4@example.com"]);
        assert_eq!(emails(&list(json!({"status": "INVITATION_STATUS_REVOKED"})).await), ["p0@example.com"]);
        assert_eq!(emails(&list(json!({"email": "P3@example.com"})).await), ["p3@example.com"]);
        let said = format!("{:?} {:?}", list(json!({})).await, acme.events("").await);
        assert!(tokens.iter().all(|token| !said.contains(token.as_str())));
        server.clock.advance(7 * DAY);
        let over = list(json!({"status": "INVITATION_STATUS_EXPIRED"})).await;
        assert_eq!(over.len(), 3, "at once, before it is recorded");
        assert_eq!(list(json!({"status": "INVITATION_STATUS_PENDING"})).await.len(), 0);
    }

    async fn it_lasts_7_days_and_at_most_30(server) {
        let acme = Acme::build(&server.root).await;
        for (lifetime, good) in [("0s", false), ("-1s", false), ("2592001s", false), ("1s", true), ("2592000s", true)] {
            let invite = acme.invitation(&format!("p{}@example.com", lifetime.len()), json!({"lifetime": lifetime}));
            match server.root.try_call("InvitationService/CreateInvitation", invite).await {
                Ok(_) => assert!(good, "{lifetime}"),
                Err(status) => {
                    assert!(!good, "{lifetime}: {}", status.message());
                    assert_eq!(bad_fields(&status), ["invitation.lifetime"]);
                }
            }
        }
        let made = acme.invite("bo@example.com", json!({})).await;
        server.clock.advance(7 * DAY - Duration::from_secs(30));
        server.root.call("InvitationService/PreviewInvitation", json!({"token": made["token"]})).await;
        server.clock.advance(Duration::from_secs(30));
        let preview = json!({"token": made["token"]});
        server.root.refused("InvitationService/PreviewInvitation", preview, "INVITATION_EXPIRED").await;
    }

    async fn what_is_wrong_is_named(server) {
        let acme = Acme::build(&server.root).await;
        let wrong = json!({"invitation": {"email": "nobody", "locale": "de_AT", "template": "other", "message": "a\nb",
            "inviterUserId": "x", "teamIds": ["x"], "roles": ["A"], "lifetime": "0s"}});
        let create = "InvitationService/CreateInvitation";
        let mut named = bad_fields(&server.root.refused(create, acme.with(wrong), "INVALID_REQUEST").await);
        named.sort();
        let fields = ["email", "inviter_user_id", "lifetime", "locale", "message", "roles[0]", "team_ids[0]",
            "template"];
        assert_eq!(named, fields.map(|field| format!("invitation.{field}")));
        let nobody = acme.invitation("bo@example.com", json!({"inviterUserId": roster::ids::UserId::generate().to_string()}));
        server.root.refused(create, nobody, "USER_NOT_FOUND").await;
        assert_eq!(acme.events("invitation").await.len(), 0);
    }
}
