//! Users, over gRPC.

mod erasing;
mod standing;

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    on_both_engines,
    support::{Caller, Engine, TestServer, bad_fields, text},
};

async fn create(caller: &Caller, request: Value) -> Value {
    caller.call("UserService/CreateUser", request).await["user"].clone()
}

/// An update of the fields of the mask.
fn update(user: &Value, mut change: Value, mask: &str) -> Value {
    change["userId"] = user["userId"].clone();
    json!({"user": change, "updateMask": mask})
}

/// The tenant's own stream.
async fn events(caller: &Caller) -> Vec<Value> {
    let tenant = caller.call("TenantService/GetTenant", json!({})).await;
    caller.events(&text(&tenant["tenant"]["tenantId"])).await
}

on_both_engines! {
    async fn a_user_is_created_got_and_looked_up(server) {
        let user = create(&server.root, json!({"email": " Ada.L+x@Bücher.example ", "displayName": "Ada",
            "externalId": "7", "metadata": {"a": "b"}, "requestId": "req-1"})).await;
        assert_eq!(user["email"], "Ada.L+x@Bücher.example", "as it was given");
        assert_eq!(user["status"], "USER_STATUS_ACTIVE");
        assert_eq!(user["metadata"], json!({"a": "b"}));
        let got = server.root.call("UserService/GetUser", json!({"userId": user["userId"]})).await;
        assert_eq!(got["user"], user);
        for key in [json!({"email": "ada.l+X@xn--bcher-kva.EXAMPLE"}), json!({"externalId": "7"})] {
            assert_eq!(server.root.call("UserService/LookupUser", key).await["user"], user);
        }
        for key in [json!({"email": "adal@bücher.example"}), json!({"externalId": "8"})] {
            server.root.refused("UserService/LookupUser", key, "USER_NOT_FOUND").await;
        }
        let event = events(&server.root).await.pop().unwrap();
        assert_eq!((&event["type"], &event["requestId"]), (&json!("user.created"), &json!("req-1")));
        assert_eq!(event["userCreated"]["after"], user);
        assert_eq!(event["organizationId"], "");
    }

    async fn an_address_is_one_in_all_its_spellings(server) {
        create(&server.root, json!({"email": "José@Bücher.example", "externalId": "1"})).await;
        for same in ["JOSÉ@bücher.EXAMPLE", " jose\u{301}@xn--bcher-kva.example "] {
            server.root.refused("UserService/CreateUser", json!({"email": same}), "EMAIL_TAKEN").await;
        }
        create(&server.root, json!({"email": "José+a@bücher.example"})).await;
        create(&server.root, json!({"email": "jose@bücher.example"})).await;
        let other = json!({"email": "b@example.com", "externalId": "1"});
        server.root.refused("UserService/CreateUser", other, "EXTERNAL_ID_TAKEN").await;
        let stranger = server.stranger().await;
        create(&stranger, json!({"email": "José@bücher.example", "externalId": "1"})).await;
    }

    async fn an_address_is_an_address(server) {
        let local = "a".repeat(64);
        let longest = format!("{local}@{}.{}.{}.example", "b".repeat(63), "c".repeat(63), "d".repeat(53));
        assert_eq!(longest.len(), 254);
        create(&server.root, json!({"email": longest})).await;
        let [long_local, long_domain] = [format!("a{local}@example.com"), longest.replace("d.", "dd.")];
        for bad in ["ada", "ada@", "@example.com", "a b@example.com", "ada@host", "ada@127.0.0.1", "a@b@example.com",
            "ada@example..com", "ada@-x.example", "a\u{0}b@example.com", "ada@exa\u{0}mple.com", &long_local,
            &long_domain]
        {
            let status = server.root.refused("UserService/CreateUser", json!({"email": bad}), "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), ["email"], "{bad}");
        }
    }

    async fn metadata_has_limits(server) {
        let entries = |count: usize, key: usize, value: usize| -> Value {
            (0..count).map(|index| (format!("{index:0>key$}"), json!("ü".repeat(value)))).collect()
        };
        let request = |metadata: Value| json!({"email": "ada@example.com", "metadata": metadata});
        for (bad, field) in [
            (entries(51, 2, 1), "metadata".to_owned()),
            (entries(1, 41, 1), format!("metadata[{:0>41}] (the key)", 0)),
            (entries(1, 1, 501), "metadata[0]".to_owned()),
            (json!({"": "x"}), "metadata[] (the key)".to_owned()),
        ] {
            let status = server.root.refused("UserService/CreateUser", request(bad), "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), [field]);
        }
        let most = entries(50, 40, 500);
        assert_eq!(create(&server.root, request(most.clone())).await["metadata"], most);
    }

    async fn an_update_changes_what_the_mask_names(server) {
        let user = create(&server.root, json!({"email": "ada@example.com", "externalId": "1"})).await;
        let other = create(&server.root, json!({"email": "bob@example.com", "externalId": "2"})).await;
        let method = "UserService/UpdateUser";
        let change = json!({"email": "Ada@Example.com", "displayName": "not named", "externalId": "not named",
            "etag": user["etag"]});
        let changed = server.root.call(method, update(&user, change.clone(), "email")).await["user"].clone();
        assert_eq!(changed["email"], "Ada@Example.com", "another spelling is no other address");
        assert_eq!((&changed["displayName"], &changed["externalId"]), (&json!(""), &json!("1")));
        server.root.refused(method, update(&user, change, "email"), "ETAG_MISMATCH").await;
        let event = events(&server.root).await.pop().unwrap();
        assert_eq!(event["changedFields"], json!(["email"]));
        assert_eq!((&event["userUpdated"]["before"], &event["userUpdated"]["after"]), (&user, &changed));

        let taken = json!({"email": "BOB@example.com"});
        server.root.refused(method, update(&user, taken, "email"), "EMAIL_TAKEN").await;
        let taken = json!({"externalId": other["externalId"]});
        server.root.refused(method, update(&user, taken, "externalId"), "EXTERNAL_ID_TAKEN").await;
        let none = server.root.call(method, update(&user, json!({}), "externalId")).await;
        assert_eq!(none["user"]["externalId"], "");
        server.root.call(method, update(&other, json!({"externalId": "1"}), "externalId")).await;
        for (mask, field) in [("", "update_mask"), ("status", "update_mask"), ("email", "user.email")] {
            let status = server.root.refused(method, update(&user, json!({}), mask), "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), [field], "{mask:?}");
        }
    }

    async fn what_changes_nothing_says_nothing(server) {
        let user = create(&server.root, json!({"email": "ada@example.com"})).await;
        let which = json!({"userId": user["userId"]});
        let before = events(&server.root).await.len();
        server.clock.advance(Duration::from_secs(1));
        let change = json!({"email": "ada@example.com"});
        let same = server.root.call("UserService/UpdateUser", update(&user, change, "email,metadata")).await;
        assert_eq!(same["user"], user);
        assert_eq!(server.root.call("UserService/ReactivateUser", which.clone()).await["user"], user);
        assert_eq!(events(&server.root).await.len(), before);
        for method in ["UserService/SuspendUser", "UserService/DeleteUser"] {
            let first = server.root.call(method, which.clone()).await;
            server.clock.advance(Duration::from_secs(1));
            assert_eq!(server.root.call(method, which.clone()).await, first, "{method}");
        }
        assert_eq!(events(&server.root).await.len(), before + 2);
    }

    async fn a_user_is_suspended_reactivated_and_removed(server) {
        let user = create(&server.root, json!({"email": "ada@example.com", "externalId": "1"})).await;
        let which = json!({"userId": user["userId"], "reason": "because"});
        for (method, status, name) in [("SuspendUser", "SUSPENDED", "user.suspended"),
            ("ReactivateUser", "ACTIVE", "user.reactivated"), ("DeleteUser", "REMOVED", "user.deleted")]
        {
            let mut request = which.clone();
            request["requestId"] = json!(method);
            let changed = server.root.call(&format!("UserService/{method}"), request).await;
            assert_eq!(changed["user"]["status"], format!("USER_STATUS_{status}"));
            let event = events(&server.root).await.pop().unwrap();
            assert_eq!((&event["type"], &event["reason"], &event["requestId"]),
                (&json!(name), &json!("because"), &json!(method)));
        }
        for method in ["UserService/SuspendUser", "UserService/ReactivateUser"] {
            server.root.refused(method, which.clone(), "ILLEGAL_TRANSITION").await;
        }
        let rename = update(&user, json!({"displayName": "Ada"}), "displayName");
        server.root.refused("UserService/UpdateUser", rename, "ILLEGAL_TRANSITION").await;
        for key in [json!({"email": "ada@example.com"}), json!({"externalId": "1"})] {
            server.root.refused("UserService/LookupUser", key, "USER_NOT_FOUND").await;
        }
        server.root.call("UserService/GetUser", json!({"userId": user["userId"]})).await;
        create(&server.root, json!({"email": "ada@example.com", "externalId": "1"})).await;
    }

    async fn a_user_ends_with_all_that_they_hold_in_one_cascade(server) {
        let user = create(&server.root, json!({"email": "ada@example.com"})).await;
        let mut organizations = Vec::new();
        for slug in ["acme", "beta"] {
            let made = server.root.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
            let id = text(&made["organization"]["organizationId"]);
            let team = json!({"organizationId": id, "name": "core"});
            let team = server.root.call("TeamService/CreateTeam", team).await;
            let member = json!({"userId": user["userId"], "teamIds": [team["team"]["teamId"]]});
            let add = json!({"organizationId": id, "member": member});
            let member = server.root.call("MembershipService/AddMember", add).await;
            let grant = json!({"organizationId": id, "role": "guest", "resource": {"type": "doc", "id": "1"},
                "principal": {"membershipId": member["membership"]["membershipId"]}});
            server.root.call("GrantService/SetGrant", grant).await;
            organizations.push(id);
        }
        server.root.call("UserService/DeleteUser", json!({"userId": user["userId"], "reason": "left"})).await;
        let first = events(&server.root).await.pop().unwrap();
        assert_eq!(first["causationId"], "");
        for id in organizations {
            let mut events = server.root.events(&id).await.split_off(5);
            let types: Vec<_> = events.iter().map(|event| text(&event["type"])).collect();
            assert_eq!(types[0], "membership.removed");
            assert_eq!(types.len(), 3, "{types:?}");
            assert!(types.contains(&"team.member_removed".to_owned()) && types.contains(&"grant.revoked".to_owned()));
            assert!(events.iter_mut().all(|event| event["correlationId"] == first["eventId"]
                && event["causationId"] == first["eventId"] && event["reason"] == "left"));
            let here = || json!({"organizationId": id});
            assert!(server.root.list("MembershipService/ListMemberships", here(), "memberships").await.is_empty());
            assert!(server.root.list("GrantService/ListGrants", here(), "grants").await.is_empty());
        }
    }

    async fn users_are_listed_once_and_by_status(server) {
        let mut ids = Vec::new();
        for index in 0..7 {
            let user = create(&server.root, json!({"email": format!("u{index}@example.com")})).await;
            ids.push(text(&user["userId"]));
        }
        for (index, method) in [(1, "SuspendUser"), (4, "SuspendUser"), (5, "DeleteUser")] {
            server.root.call(&format!("UserService/{method}"), json!({"userId": ids[index]})).await;
        }
        let of = |indices: &[usize]| indices.iter().map(|index| ids[*index].clone()).collect::<Vec<_>>();
        for (status, expected) in [("UNSPECIFIED", of(&[0, 1, 2, 3, 4, 5, 6])), ("ACTIVE", of(&[0, 2, 3, 6])),
            ("SUSPENDED", of(&[1, 4])), ("REMOVED", of(&[5]))]
        {
            for size in 1..=3 {
                let request = json!({"status": format!("USER_STATUS_{status}"), "pageSize": size});
                let users = server.root.list("UserService/ListUsers", request, "users").await;
                let listed: Vec<_> = users.iter().map(|user| text(&user["userId"])).collect();
                assert_eq!(listed, expected, "{status}, pages of {size}");
            }
        }
        let page = server.root.call("UserService/ListUsers", json!({"pageSize": 2})).await;
        let other = json!({"pageToken": page["nextPageToken"], "status": "USER_STATUS_ACTIVE"});
        server.root.refused("UserService/ListUsers", other, "INVALID_PAGE_TOKEN").await;
        let elsewhere = json!({"pageToken": page["nextPageToken"]});
        server.root.refused("OrganizationService/ListOrganizations", elsewhere, "INVALID_PAGE_TOKEN").await;
    }
}

/// A request about an account of a user.
fn account(user: &Value, subject: &str) -> Value {
    json!({"userId": user["userId"], "identity": {"issuer": "https://idp.example", "subject": subject}})
}

on_both_engines! {
    async fn a_user_is_found_by_the_accounts_that_are_linked_to_them(server) {
        let create = |email: &str| json!({"email": email});
        let ada = server.root.call("UserService/CreateUser", create("ada@example.com")).await["user"].clone();
        let bo = server.root.call("UserService/CreateUser", create("bo@example.com")).await["user"].clone();
        let lookup = |subject: &str| json!({"identity": account(&ada, subject)["identity"]});
        server.root.refused("UserService/LookupUser", lookup("1"), "USER_NOT_FOUND").await;
        let linked = server.root.call("UserService/LinkIdentity", account(&ada, "1")).await["user"].clone();
        assert_eq!(linked["identities"], json!([account(&ada, "1")["identity"]]));
        assert_ne!(linked["etag"], ada["etag"]);
        assert_eq!(server.root.call("UserService/LookupUser", lookup("1")).await["user"], linked);
        let again = server.root.call("UserService/LinkIdentity", account(&ada, "1")).await["user"].clone();
        assert_eq!(again, linked, "what changes nothing moves no time");
        let more = server.root.call("UserService/LinkIdentity", account(&ada, "0, \"é\" #")).await["user"].clone();
        assert_eq!(more["identities"][0]["subject"], "0, \"é\" #", "in order");
        server.root.refused("UserService/LinkIdentity", account(&bo, "1"), "IDENTITY_TAKEN").await;
        server.root.refused("UserService/UnlinkIdentity", account(&bo, "1"), "IDENTITY_NOT_FOUND").await;
        let left = server.root.call("UserService/UnlinkIdentity", account(&ada, "1")).await["user"].clone();
        assert_eq!(left["identities"].as_array().unwrap().len(), 1);
        server.root.refused("UserService/LookupUser", lookup("1"), "USER_NOT_FOUND").await;
        server.root.refused("UserService/UnlinkIdentity", account(&ada, "1"), "IDENTITY_NOT_FOUND").await;
        server.root.call("UserService/LinkIdentity", account(&bo, "1")).await;
        server.stranger().await.refused("UserService/LookupUser", lookup("1"), "USER_NOT_FOUND").await;
    }

    async fn the_end_of_a_user_ends_their_accounts(server) {
        let create = |email: &str| json!({"email": email});
        let ada = server.root.call("UserService/CreateUser", create("ada@example.com")).await["user"].clone();
        server.root.call("UserService/LinkIdentity", account(&ada, "1")).await;
        let gone = server.root.call("UserService/DeleteUser", json!({"userId": ada["userId"]})).await["user"].clone();
        assert_eq!(gone["identities"], json!([]));
        server.root.refused("UserService/LinkIdentity", account(&ada, "2"), "ILLEGAL_TRANSITION").await;
        let tenant = server.root.call("TenantService/GetTenant", json!({})).await;
        let events = server.root.events(tenant["tenant"]["tenantId"].as_str().unwrap()).await;
        let deleted = &events.last().unwrap()["userDeleted"];
        assert_eq!(deleted["before"]["identities"][0]["subject"], "1");
        assert_eq!(deleted["after"]["identities"], json!([]));
        let bo = server.root.call("UserService/CreateUser", create("bo@example.com")).await["user"].clone();
        server.root.call("UserService/LinkIdentity", account(&bo, "1")).await;
    }

    async fn a_user_is_linked_to_twenty_accounts_and_no_more(server) {
        let ada = server.root.call("UserService/CreateUser", json!({"email": "ada@example.com"})).await["user"].clone();
        for subject in 0..20 {
            server.root.call("UserService/LinkIdentity", account(&ada, &subject.to_string())).await;
        }
        server.root.refused("UserService/LinkIdentity", account(&ada, "20"), "LIMIT_REACHED").await;
        server.root.call("UserService/LinkIdentity", account(&ada, "19")).await;
        let bad = json!({"userId": ada["userId"], "identity": {"issuer": "x".repeat(501), "subject": "x".repeat(256)}});
        let status = server.root.refused("UserService/LinkIdentity", bad, "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&status), ["identity.issuer", "identity.subject"]);
    }
}
