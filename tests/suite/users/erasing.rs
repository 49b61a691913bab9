//! Erasing a user: what was personal is nowhere any more; ids and history are.

use std::collections::BTreeMap;

use roster::db::{Db, Value as Argument};
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;

use super::{account, create, events, update};
use crate::{
    in_a_house, on_both_engines,
    support::{Caller, Engine, TestServer, text},
    tokens::{AUDIENCE, House, USERS},
};

/// All that is personal about Ada.
const PERSONAL: [&str; 9] = [
    "ada.lovelace@example.com",
    "Ada.Lovelace@Example.com",
    "countess@example.com",
    "Ada King",
    "x-ada-1815",
    "analytical-key",
    "analytical-value",
    "ada-at-the-provider",
    "the-difference-engine",
];

/// Ada, with everything that may be known of a user, a past, and a membership.
struct Ada {
    user_id: String,
    organization_id: String,
    /// Requests that may come again, with their methods.
    requests: Vec<(&'static str, Value)>,
}

impl Ada {
    async fn new(root: &Caller) -> Self {
        let create = json!({"email": "Ada.Lovelace@Example.com", "displayName": "Ada King", "externalId": "x-ada-1815",
            "metadata": {"analytical-key": "analytical-value"}, "requestId": "create-ada"});
        let user = root.call("UserService/CreateUser", create.clone()).await["user"].clone();
        let mut link = account(&user, "ada-at-the-provider");
        link["requestId"] = json!("link-ada");
        root.call("UserService/LinkIdentity", link.clone()).await;
        root.call("UserService/LinkIdentity", account(&user, "ada-at-the-provider-2")).await;
        root.call("UserService/UnlinkIdentity", account(&user, "ada-at-the-provider-2")).await;
        root.call("UserService/UpdateUser", update(&user, json!({"email": "countess@example.com"}), "email")).await;
        let organization = json!({"slug": "acme", "initialOwners": [{"email": "owner@example.com"}]});
        let organization = root.call("OrganizationService/CreateOrganization", organization).await;
        let organization_id = text(&organization["organization"]["organizationId"]);
        let member = json!({"userId": user["userId"], "metadata": {"desk": "the-difference-engine"}});
        let add = json!({"organizationId": organization_id, "member": member});
        root.call("MembershipService/AddMember", add).await;
        let requests = vec![("UserService/CreateUser", create), ("UserService/LinkIdentity", link)];
        Self { user_id: text(&user["userId"]), organization_id, requests }
    }

    fn which(&self) -> Value {
        json!({"userId": self.user_id, "reason": "asked to be forgotten"})
    }

    /// The user without anything personal.
    fn bare(user: &Value) -> Value {
        let mut bare = user.clone();
        for (field, nothing) in [
            ("email", json!("")),
            ("displayName", json!("")),
            ("externalId", json!("")),
            ("metadata", json!({})),
            ("identities", json!([])),
        ] {
            bare[field] = nothing;
        }
        bare
    }
}

/// Which of these texts is in this, in any case of letters, as it is or in hexadecimal.
fn found<'t>(haystack: &str, texts: &[&'t str]) -> Vec<&'t str> {
    let haystack = haystack.to_lowercase();
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let is_in = |text: &&&str| haystack.contains(&text.to_lowercase()) || haystack.contains(&hex(text));
    texts.iter().filter(is_in).copied().collect()
}

/// Every row of every table as text, by table.
async fn tables(server: &TestServer) -> BTreeMap<String, String> {
    let db = Db::open(&server.location()).await.unwrap();
    let mut tx = db.snapshot().await.unwrap();
    let names = match &db {
        Db::Postgres(_) => {
            // Not those that are parts of another one.
            "SELECT CAST(oid::regclass AS TEXT) FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
        }
        Db::Sqlite { .. } => "SELECT name FROM sqlite_master WHERE type = 'table'",
    };
    let names: Vec<(String,)> = tx.fetch_all(names, Vec::new()).await.unwrap();
    let mut tables = BTreeMap::new();
    for (name,) in names {
        let columns = match &db {
            Db::Postgres(_) => vec![format!("CAST({name} AS TEXT)")],
            Db::Sqlite { .. } => {
                let columns = format!("SELECT name FROM pragma_table_info('{name}')");
                let columns: Vec<(String,)> = tx.fetch_all(columns.leak(), Vec::new()).await.unwrap();
                columns.iter().map(|(column,)| format!("COALESCE(hex({column}), '')")).collect()
            }
        };
        let mut all = String::new();
        for column in columns {
            let rows = format!("SELECT {column} FROM {name}");
            let rows: Vec<(String,)> = tx.fetch_all(rows.leak(), Vec::new()).await.unwrap();
            rows.into_iter().for_each(|(row,)| all.push_str(&(row + "\n")));
        }
        tables.insert(name, all);
    }
    drop(tx);
    db.close().await;
    tables
}

/// The tables that hold any of these texts.
async fn tables_with(server: &TestServer, texts: &[&str]) -> Vec<String> {
    let tables = tables(server).await;
    tables.into_iter().filter(|(_, rows)| !found(rows, texts).is_empty()).map(|(name, _)| name).collect()
}

/// The events of both streams, in their order.
async fn history(caller: &Caller, organization_id: &str) -> Vec<Value> {
    let mut history = events(caller).await;
    history.extend(caller.events(organization_id).await);
    history
}

/// The events of a user's tenant as everybody reads them: in the stream, all of them, one by one, and watched.
async fn every_reading(root: &Caller, organization_id: &str) -> Vec<Vec<Value>> {
    let in_streams = history(root, organization_id).await;
    let mut one_by_one = Vec::new();
    for event in &in_streams {
        let got = root.call("EventService/GetEvent", json!({"eventId": event["eventId"]})).await;
        one_by_one.push(got["event"].clone());
    }
    let mut by_position = Vec::new();
    while by_position.len() < in_streams.len() {
        by_position = root.list("EventService/ListEvents", json!({}), "events").await;
    }
    let mut watch = root.stream("EventService/WatchEvents", json!({"afterPosition": "0"})).await.unwrap();
    let mut watched = Vec::new();
    while watched.len() < in_streams.len() {
        let answer = roster::dynamic::to_json(&watch.next().await.unwrap().unwrap()).unwrap();
        if answer["event"].is_object() {
            watched.push(answer["event"].clone());
        }
    }
    vec![in_streams, one_by_one, by_position, watched]
}

on_both_engines! {
    async fn what_was_personal_is_nowhere_and_history_stays(server) {
        let root = &server.root;
        let ada = Ada::new(root).await;
        assert_eq!(tables_with(&server, &PERSONAL).await, ["events_personal", "memberships", "requests", "user_former_emails", "user_identities", "users"]);
        let before = history(root, &ada.organization_id).await;
        assert_eq!(found(&json!(before).to_string(), &PERSONAL).len(), PERSONAL.len(), "readers see whole events");
        let erased = root.call("UserService/EraseUser", ada.which()).await["user"].clone();

        assert_eq!(tables_with(&server, &PERSONAL).await, [""; 0]);
        for reading in every_reading(root, &ada.organization_id).await {
            assert_eq!(found(&json!(reading).to_string(), &PERSONAL), [""; 0]);
        }
        let after = history(root, &ada.organization_id).await;
        let types = |events: &[Value]| events.iter().map(|event| text(&event["type"])).collect::<Vec<_>>();
        let mut expected = types(&before);
        let own = before.iter().filter(|event| event["organizationId"] == "").count();
        expected.splice(own..own, ["user.deleted".to_owned(), "user.erased".to_owned()]);
        expected.extend(["membership.removed", "membership.erased"].map(str::to_owned));
        assert_eq!(types(&after), expected);
        for stream in [&after[..own + 2], &after[own + 2..]] {
            let sequences: Vec<_> = stream.iter().map(|event| text(&event["sequence"]).parse::<usize>().unwrap()).collect();
            assert_eq!(sequences, (1..=stream.len()).collect::<Vec<_>>());
        }
        // An event is what it was, but for what was personal.
        for was in &before {
            let is = after.iter().find(|event| event["eventId"] == was["eventId"]).unwrap();
            let mut was = was.clone();
            was["position"] = is["position"].clone();
            let field = text(&was["type"]).split(['.', '_']).enumerate().map(|(index, word)| match index {
                0 => word.to_owned(),
                _ => word[..1].to_uppercase() + &word[1..],
            }).collect::<String>();
            for state in ["before", "after"] {
                if field.starts_with("user") && was[&field][state]["userId"] == ada.user_id {
                    was[&field][state] = Ada::bare(&was[&field][state]);
                }
                if field.starts_with("membership") && was[&field][state]["userId"] == ada.user_id {
                    was[&field][state]["metadata"] = json!({});
                }
            }
            assert_eq!(is, &was);
        }

        assert_eq!(erased["status"], "USER_STATUS_REMOVED");
        assert_eq!(erased, Ada::bare(&erased));
        assert_eq!(erased["eraseTime"], erased["updateTime"]);
        assert_eq!(root.call("UserService/GetUser", json!({"userId": ada.user_id})).await["user"], erased);
        let [deleted, event] = &after[own..own + 2] else { panic!("two events") };
        assert_eq!((&event["type"], &event["reason"]), (&json!("user.erased"), &json!("asked to be forgotten")));
        assert_eq!((&event["userErased"], &event["changedFields"]), (&json!({"after": erased}), &json!([])));
        assert_eq!(event["correlationId"], deleted["eventId"], "one change");
        let [.., removed, event] = &after[..] else { panic!("two events") };
        assert_eq!(event["correlationId"], deleted["eventId"], "one change");
        let membership = json!({"organizationId": ada.organization_id,
            "membershipId": removed["membershipRemoved"]["after"]["membershipId"]});
        let membership = root.call("MembershipService/GetMembership", membership).await["membership"].clone();
        assert_eq!(event["membershipErased"], json!({"after": membership}), "the log has what the service has");
        assert_eq!(membership["metadata"], json!({}));
    }

    async fn a_repeated_request_does_not_bring_it_back(server) {
        let root = &server.root;
        let ada = Ada::new(root).await;
        for (method, request) in &ada.requests {
            root.call(method, request.clone()).await;
        }
        let mut erase = ada.which();
        erase["requestId"] = json!("erase-ada");
        let erased = root.call("UserService/EraseUser", erase.clone()).await;
        for (method, request) in ada.requests {
            root.refused(method, request, "IDEMPOTENCY_ANSWER_GONE").await;
        }
        assert_eq!(root.call("UserService/EraseUser", erase).await, erased);
        assert_eq!(tables_with(&server, &PERSONAL).await, [""; 0]);
    }

    async fn what_was_kept_of_her_invitations_goes_too(server) {
        let root = &server.root;
        let ada = Ada::new(root).await;
        let mut invited = Vec::new();
        for slug in ["guild", "club"] {
            let made = root.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
            let organization = made["organization"]["organizationId"].clone();
            let invite = json!({"organizationId": organization, "requestId": format!("to-{slug}"), "invitation":
                {"email": "countess@example.com", "message": "Dear Ada King", "skipMail": true,
                "lifetime": if slug == "guild" { "60s" } else { "86400s" },
                "metadata": {"analytical-key": "analytical-value"}}});
            let made = root.call("InvitationService/CreateInvitation", invite.clone()).await["invitation"].clone();
            let which = json!({"organizationId": organization, "invitationId": made["invitationId"]});
            invited.push((which, invite));
        }
        let get = async |which: &Value| {
            root.call("InvitationService/GetInvitation", which.clone()).await["invitation"].clone()
        };
        server.clock.advance(std::time::Duration::from_secs(61));
        let begin = std::time::Instant::now();
        while get(&invited[0].0).await["endTime"].is_null() {
            assert!(begin.elapsed() < std::time::Duration::from_secs(20), "not recorded as expired");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        root.call("UserService/EraseUser", ada.which()).await;
        for ((which, invite), status) in invited.iter().zip(["EXPIRED", "REVOKED"]) {
            let bare = get(which).await;
            assert_eq!(bare["status"], format!("INVITATION_STATUS_{status}"));
            assert_eq!((&bare["email"], &bare["message"], &bare["metadata"]), (&json!(""), &json!(""), &json!({})));
            let log = root.events(which["organizationId"].as_str().unwrap()).await;
            let last = log.last().unwrap();
            assert_eq!((&last["type"], &last["invitationErased"]), (&json!("invitation.erased"), &json!({"after": bare})));
            root.refused("InvitationService/CreateInvitation", invite.clone(), "IDEMPOTENCY_ANSWER_GONE").await;
        }
        root.refused("InvitationService/ResendInvitation", invited[0].0.clone(), "ILLEGAL_TRANSITION").await;
        root.refused("InvitationService/ResendInvitation", invited[1].0.clone(), "ILLEGAL_TRANSITION").await;
        assert_eq!(tables_with(&server, &PERSONAL).await, [""; 0]);
    }

    async fn who_is_erased_is_erased_once_and_nobody_finds_them(server) {
        let root = &server.root;
        let ada = Ada::new(root).await;
        let removed = root.call("UserService/DeleteUser", ada.which()).await["user"].clone();
        assert_eq!((&removed["email"], &removed["eraseTime"]), (&json!("countess@example.com"), &Value::Null));
        let before = history(root, &ada.organization_id).await.len();
        let erased = root.call("UserService/EraseUser", ada.which()).await["user"].clone();
        assert_eq!(history(root, &ada.organization_id).await.len(), before + 2, "user.erased, membership.erased");
        server.clock.advance(std::time::Duration::from_secs(1));
        assert_eq!(root.call("UserService/EraseUser", ada.which()).await["user"], erased);
        assert_eq!(root.call("UserService/DeleteUser", ada.which()).await["user"], erased);
        assert_eq!(history(root, &ada.organization_id).await.len(), before + 2, "and once");
        let identity = json!({"issuer": "https://idp.example", "subject": "ada-at-the-provider"});
        for key in [json!({"email": "countess@example.com"}), json!({"externalId": "x-ada-1815"}),
            json!({"identity": identity}), json!({"userId": ada.user_id})]
        {
            root.refused("UserService/LookupUser", key, "USER_NOT_FOUND").await;
        }
        for method in ["SuspendUser", "ReactivateUser"] {
            root.refused(&format!("UserService/{method}"), ada.which(), "ILLEGAL_TRANSITION").await;
        }
        let rename = update(&erased, json!({"displayName": "Ada King"}), "displayName");
        root.refused("UserService/UpdateUser", rename, "ILLEGAL_TRANSITION").await;
        let link = account(&erased, "ada-at-the-provider");
        root.refused("UserService/LinkIdentity", link, "ILLEGAL_TRANSITION").await;
        let add = json!({"organizationId": ada.organization_id, "member": {"userId": ada.user_id}});
        root.refused("MembershipService/AddMember", add, "USER_NOT_FOUND").await;
    }

    async fn what_an_erased_user_had_another_may_have_and_keeps(server) {
        let root = &server.root;
        let ada = Ada::new(root).await;
        root.call("UserService/EraseUser", ada.which()).await;
        let other = create(root, json!({"email": "countess@example.com", "externalId": "x-ada-1815"})).await;
        let other = root.call("UserService/LinkIdentity", account(&other, "ada-at-the-provider")).await["user"].clone();
        let another = create(root, json!({"email": "bo@example.com"})).await;
        root.call("UserService/EraseUser", json!({"userId": another["userId"]})).await;
        root.call("UserService/EraseUser", ada.which()).await;
        let found = root.call("UserService/LookupUser", json!({"email": "countess@example.com"})).await;
        assert_eq!(found["user"], other);
        let linked = events(root).await.into_iter().rfind(|event| event["type"] == "user.identity_linked").unwrap();
        assert_eq!(linked["userIdentityLinked"]["after"], other, "their history, too");
    }

    async fn erasing_needs_its_own_permission_and_an_owner_left(server) {
        let root = &server.root;
        let ada = Ada::new(root).await;
        let writer = server.caller(&["users:read", "users:write", "users:link"]).await;
        writer.refused("UserService/EraseUser", ada.which(), "MISSING_PERMISSION").await;
        server.stranger().await.refused("UserService/EraseUser", ada.which(), "USER_NOT_FOUND").await;
        let owner = root.call("UserService/LookupUser", json!({"email": "owner@example.com"})).await["user"].clone();
        // Positions come by themselves, a little later.
        let history = async || {
            let mut events = history(root, &ada.organization_id).await;
            events.iter_mut().for_each(|event| drop(event.as_object_mut().unwrap().remove("position")));
            events
        };
        let before = history().await;
        let which = json!({"userId": owner["userId"]});
        root.refused("UserService/EraseUser", which.clone(), "LAST_OWNER").await;
        assert_eq!(root.call("UserService/GetUser", which).await["user"], owner, "nothing was written");
        assert_eq!(history().await, before);
        server.caller(&["users:erase"]).await.call("UserService/EraseUser", ada.which()).await;
    }

    async fn the_database_lets_personal_data_be_emptied_and_nothing_else(server) {
        Ada::new(&server.root).await;
        let db = Db::open(&server.location()).await.unwrap();
        for sql in ["DELETE FROM events_personal", "UPDATE events_personal SET subject_payload = $1",
            "UPDATE events_personal SET subject_id = NULL", "UPDATE events_personal SET actor_salt = $1",
            "UPDATE events_positions SET hash = $1", "DELETE FROM events_positions", "UPDATE events SET payload = $1", "DELETE FROM events"]
        {
            let values = || if sql.contains("$1") { vec![Argument::Bytes(vec![7])] } else { Vec::new() };
            let changed = db.write(async |tx| tx.execute(sql, values()).await).await;
            let refused = format!("{:?}", changed.expect_err(sql)); // by a trigger, or for want of a right
            let why = ["only emptied", "append-only", "permission denied for table events", "permission denied for table events_positions"];
            assert!(why.iter().any(|why| refused.contains(why)), "{sql}: {refused}");
        }
        db.close().await;
        assert!(!found(&json!(events(&server.root).await).to_string(), &PERSONAL).is_empty());
    }

    async fn erasing_and_adding_the_same_address_at_once_leaves_no_member_erased(server) {
        let root = &server.root;
        let organization = root.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        let organization_id = text(&organization["organization"]["organizationId"]);
        for round in 0..20 {
            let email = format!("ada-{round}@example.com");
            let old = text(&create(root, json!({"email": email})).await["userId"]);
            let add = json!({"organizationId": organization_id, "member": {"email": email}});
            let which = json!({"userId": old});
            let (erased, added) = tokio::join!(
                root.try_call("UserService/EraseUser", which.clone()),
                root.try_call("MembershipService/AddMember", add)
            );
            let (erased, added) = (erased.unwrap(), added.unwrap());
            assert_eq!(erased["user"], Ada::bare(&erased["user"]));
            assert_eq!(root.call("UserService/GetUser", which.clone()).await["user"], erased["user"]);
            let memberships = root.list("MembershipService/ListMemberships", which, "memberships").await;
            assert!(memberships.is_empty(), "{memberships:?}");
            // Whoever was added first went with the user; whoever came after is somebody new.
            let found = root.try_call("UserService/LookupUser", json!({"email": email})).await;
            let new = added["membership"]["userId"] != old.as_str();
            assert_eq!(found.is_ok_and(|found| found["user"]["userId"] == added["membership"]["userId"]), new);
        }
    }
}

in_a_house! {
    async fn where_a_user_called_from_goes_with_them_and_what_they_did_stays(house) {
        let root = &house.server.root;
        let ada = Ada::new(root).await;
        let members = json!({"organizationId": ada.organization_id, "userId": ada.user_id});
        let own = root.list("MembershipService/ListMemberships", members, "memberships").await[0].clone();
        let admin = json!({"organizationId": ada.organization_id, "membershipId": own["membershipId"], "role": "admin"});
        root.call("MembershipService/AssignRole", admin).await;
        let subject = "ada-calls";
        let link = json!({"userId": ada.user_id, "identity": {"issuer": USERS, "subject": subject}});
        root.call("UserService/LinkIdentity", link).await;
        let claims = json!({"iss": USERS, "sub": subject, "aud": AUDIENCE, "exp": house.now() + 300});
        let caller = house.caller(&house.key.token(&claims)).await;
        let mut invited = Vec::new();
        for email in ["bo@example.com", "cy@example.com"] {
            let add = json!({"organizationId": ada.organization_id, "member": {"email": email}});
            invited.push(caller.call("MembershipService/AddMember", add).await["membership"]["userId"].clone());
        }
        let by_ada = |events: Vec<Value>| -> Vec<Value> {
            events.into_iter().filter(|event| event["actor"]["id"] == ada.user_id.as_str()).collect()
        };
        let before = by_ada(history(root, &ada.organization_id).await);
        assert_eq!(before.len(), 4, "two users and two memberships");
        assert!(before.iter().all(|event| event["actor"]["address"] == "127.0.0.1"));
        // Somebody whom she added goes: what it says of her stays.
        root.call("UserService/EraseUser", json!({"userId": invited[0]})).await;
        let between = by_ada(history(root, &ada.organization_id).await);
        assert!(between.iter().all(|event| event["actor"]["address"] == "127.0.0.1"));
        assert_eq!(found(&json!(between).to_string(), &["bo@example.com", "cy@example.com"]), ["cy@example.com"]);

        root.call("UserService/EraseUser", ada.which()).await;
        let after = by_ada(history(root, &ada.organization_id).await);
        assert_eq!(after.len(), 4);
        for (was, is) in between.iter().zip(&after) {
            assert_eq!((&is["actor"]["address"], &is["actor"]["userAgent"]), (&json!(""), &json!("")));
            let mut was = was.clone();
            was["actor"] = is["actor"].clone();
            was["position"] = is["position"].clone();
            assert_eq!(is, &was, "whom she added is not erased with her");
        }
        // Her token is nobody's any more.
        let organization = json!({"organizationId": ada.organization_id});
        caller.refused("MembershipService/ListMemberships", organization, "INVALID_CREDENTIALS").await;
    }
}
