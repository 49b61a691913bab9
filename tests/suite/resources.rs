//! Resources with parents, over gRPC.

mod model;

use std::time::Duration;

use roster::db::Db;
use serde_json::{Value, json};

use crate::{
    on_both_engines,
    support::{Caller, Engine, TestServer, bad_fields, reason, text},
};

/// An organization, whose id goes with every call.
struct Acme {
    caller: Caller,
    id: String,
}

impl Acme {
    async fn new(server: &TestServer) -> Self {
        Self::of(&server.root, "acme").await
    }

    async fn of(caller: &Caller, slug: &str) -> Self {
        let created = caller.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
        Self { caller: caller.clone(), id: text(&created["organization"]["organizationId"]) }
    }

    fn here(&self, mut request: Value) -> Value {
        request["organizationId"] = json!(self.id);
        request
    }

    async fn call(&self, method: &str, request: Value) -> Value {
        self.caller.call(&format!("GrantService/{method}"), self.here(request)).await
    }

    async fn refused(&self, method: &str, request: Value, reason: &str) -> tonic::Status {
        self.caller.refused(&format!("GrantService/{method}"), self.here(request), reason).await
    }

    /// Puts a document at the top.
    async fn put(&self, id: &str) -> Value {
        self.call("PutResource", json!({"resource": doc(id)})).await["resource"].clone()
    }

    /// Puts a document below another.
    async fn put_below(&self, id: &str, parent: &str) -> Value {
        self.call("PutResource", below(id, parent)).await["resource"].clone()
    }

    /// Documents one below the other, the first at the top: `name 0`, `name 1`, …
    async fn chain(&self, name: &str, length: usize) -> Vec<String> {
        let chain: Vec<_> = (0..length).map(|index| format!("{name} {index}")).collect();
        self.put(&chain[0]).await;
        for pair in chain.windows(2) {
            self.put_below(&pair[1], &pair[0]).await;
        }
        chain
    }

    /// Gives every member a right on a document.
    async fn grant(&self, id: &str, role: &str) -> Value {
        let grant = json!({"principal": {"role": "member"}, "resource": doc(id), "role": role});
        self.call("SetGrant", grant).await["grant"].clone()
    }

    async fn list(&self, request: Value) -> Vec<Value> {
        self.caller.list("GrantService/ListResources", self.here(request), "resources").await
    }

    async fn grants(&self) -> Vec<Value> {
        self.caller.list("GrantService/ListGrants", self.here(json!({})), "grants").await
    }

    async fn events(&self) -> Vec<Value> {
        self.caller.events(&self.id).await
    }

    /// Asserts that this was refused, and that nothing came of it.
    async fn unchanged(&self, method: &str, request: Value, reason: &str) {
        let before = (self.list(json!({})).await, self.grants().await, self.events().await.len());
        self.refused(method, request, reason).await;
        assert_eq!((self.list(json!({})).await, self.grants().await, self.events().await.len()), before);
    }
}

fn doc(id: &str) -> Value {
    json!({"type": "doc", "id": id})
}

fn below(id: &str, parent: &str) -> Value {
    json!({"resource": doc(id), "parent": doc(parent)})
}

/// The ids in a list of resources.
fn ids(resources: &[Value]) -> Vec<String> {
    resources.iter().map(|resource| text(&resource["resource"]["id"])).collect()
}

fn types(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| text(&event["type"])).collect()
}

/// Registers this many documents below another, at once and without their events: more than a test can wait for.
async fn fill(server: &TestServer, parent: &str, count: i64) {
    let db = Db::open(&server.database.location()).await.unwrap();
    let sql = "INSERT INTO resources
        (tenant_id, organization_id, type, id, parent_type, parent_id, created_at, updated_at)
        WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1)
        SELECT tenant_id, organization_id, 'doc', 'leaf ' || CAST(n AS TEXT), type, id, 0, 0
        FROM resources CROSS JOIN numbers WHERE type = 'doc' AND id = $2";
    db.write(async |tx| tx.execute(sql, vec![count.into(), parent.into()]).await).await.unwrap();
    db.close().await;
}

on_both_engines! {
    async fn a_resource_is_registered_and_got(server) {
        let acme = Acme::new(&server).await;
        let top = acme.put("top").await;
        assert_eq!((&top["resource"], &top["organizationId"]), (&doc("top"), &json!(acme.id)));
        assert!(top["parent"].is_null());
        assert_eq!(top["createTime"], top["updateTime"]);
        let mut request = below("low", "top");
        request["requestId"] = json!("req-1");
        let put = acme.call("PutResource", request).await;
        let low = put["resource"].clone();
        assert_eq!(low["parent"], doc("top"));
        for resource in [&top, &low] {
            let got = acme.call("GetResource", json!({"resource": resource["resource"]})).await;
            assert_eq!(got["resource"], *resource);
        }
        let event = acme.events().await.pop().unwrap();
        assert_eq!((&event["type"], &event["requestId"]), (&json!("resource.created"), &json!("req-1")));
        assert_eq!(event["subject"], json!({"kind": "resource", "id": "doc/low"}));
        assert_eq!(event["resourceCreated"], json!({"after": low}));
        let other = json!({"resource": {"type": "file", "id": "low"}});
        acme.refused("GetResource", other, "RESOURCE_NOT_FOUND").await;
    }

    async fn putting_a_resource_where_it_is_changes_nothing(server) {
        let acme = Acme::new(&server).await;
        let [top, low] = [acme.put("top").await, acme.put_below("low", "top").await];
        let before = acme.events().await.len();
        server.clock.advance(Duration::from_secs(1));
        assert_eq!(acme.put("top").await, top);
        let again = acme.call("PutResource", below("low", "top")).await;
        assert_eq!(again["resource"], low);
        assert_ne!(again["revision"], "");
        assert_eq!(acme.events().await.len(), before);
    }

    async fn a_resource_moves_with_what_is_below_it(server) {
        let acme = Acme::new(&server).await;
        acme.chain("a", 3).await;
        acme.put("b 0").await;
        let before = acme.call("GetResource", json!({"resource": doc("a 1")})).await["resource"].clone();
        let lowest = acme.call("GetResource", json!({"resource": doc("a 2")})).await;
        let events = acme.events().await.len();
        server.clock.advance(Duration::from_secs(1));
        let after = acme.put_below("a 1", "b 0").await;
        assert_eq!((&after["parent"], &after["createTime"]), (&doc("b 0"), &before["createTime"]));
        assert_ne!(after["updateTime"], before["updateTime"]);
        assert_eq!(acme.call("GetResource", json!({"resource": doc("a 2")})).await, lowest, "it was not moved itself");
        let moved = acme.events().await.split_off(events);
        assert_eq!(types(&moved), ["resource.moved"]);
        assert_eq!(moved[0]["changedFields"], json!(["parent"]));
        assert_eq!(moved[0]["resourceMoved"], json!({"before": before, "after": after}));
        let top = acme.put("a 1").await;
        assert!(top["parent"].is_null());
        let event = acme.events().await.pop().unwrap();
        assert_eq!((&event["type"], &event["changedFields"]), (&json!("resource.moved"), &json!(["parent"])));
        assert_eq!(acme.call("GetResource", json!({"resource": doc("a 1")})).await["resource"], top);
    }

    async fn no_resource_is_its_own_ancestor(server) {
        let acme = Acme::new(&server).await;
        acme.unchanged("PutResource", below("new", "new"), "RESOURCE_CYCLE").await;
        let chain = acme.chain("a", 4).await;
        for parent in &chain {
            acme.unchanged("PutResource", below(&chain[0], parent), "RESOURCE_CYCLE").await;
        }
        acme.unchanged("PutResource", below(&chain[1], &chain[3]), "RESOURCE_CYCLE").await;
        acme.put(&chain[3]).await;
        acme.put_below(&chain[0], &chain[3]).await;
    }

    async fn of_two_moves_that_make_a_cycle_together_one_is_refused(server) {
        let acme = Acme::new(&server).await;
        for round in 0..5 {
            let [a, b] = [format!("a {round}"), format!("b {round}")];
            acme.put(&a).await;
            acme.put(&b).await;
            let (one, other) = tokio::join!(
                acme.caller.try_call("GrantService/PutResource", acme.here(below(&a, &b))),
                acme.caller.try_call("GrantService/PutResource", acme.here(below(&b, &a))),
            );
            let refused: Vec<_> = [one, other].into_iter().filter_map(Result::err).collect();
            assert_eq!(refused.iter().map(reason).collect::<Vec<_>>(), ["RESOURCE_CYCLE"]);
        }
    }

    async fn the_tree_has_sixteen_levels(server) {
        let acme = Acme::new(&server).await;
        let deep = acme.chain("deep", 16).await;
        acme.unchanged("PutResource", below("new", &deep[15]), "RESOURCE_TOO_DEEP").await;
        acme.put("single").await;
        acme.unchanged("PutResource", below("single", &deep[15]), "RESOURCE_TOO_DEEP").await;
        acme.put_below("single", &deep[14]).await;
        acme.unchanged("PutResource", below("new", "single"), "RESOURCE_TOO_DEEP").await;
    }

    async fn a_subtree_moves_where_its_deepest_branch_fits(server) {
        let acme = Acme::new(&server).await;
        let deep = acme.chain("deep", 13).await;
        let three = acme.chain("three", 3).await;
        acme.put_below("beside", &three[0]).await;
        acme.put_below("three 3", &three[2]).await;
        acme.unchanged("PutResource", below(&three[0], &deep[12]), "RESOURCE_TOO_DEEP").await;
        acme.call("DeleteResource", json!({"resource": doc("three 3")})).await;
        acme.put_below(&three[0], &deep[12]).await;
        acme.unchanged("PutResource", below("three 3", &three[2]), "RESOURCE_TOO_DEEP").await;
        acme.put_below("three 3", "beside").await;
        // On the lowest level there is room to move aside, but not for a level more.
        acme.unchanged("PutResource", below("beside", &three[1]), "RESOURCE_TOO_DEEP").await;
        acme.put_below(&three[2], "beside").await;
        acme.unchanged("PutResource", below(&three[2], "three 3"), "RESOURCE_TOO_DEEP").await;
        acme.put_below("beside", &deep[12]).await;
        acme.put_below(&three[2], "three 3").await;
    }

    async fn a_parent_is_registered_in_the_same_organization(server) {
        let acme = Acme::new(&server).await;
        acme.grant("granted", "guest").await;
        for parent in ["nothing", "granted"] {
            acme.unchanged("PutResource", below("a", parent), "RESOURCE_NOT_FOUND").await;
        }
        acme.put("top").await;
        acme.put("a").await;
        acme.unchanged("PutResource", below("a", "nothing"), "RESOURCE_NOT_FOUND").await;
        let stranger = server.stranger().await;
        for theirs in [Acme::of(&server.root, "beta").await, Acme::of(&stranger, "acme").await] {
            theirs.unchanged("PutResource", below("a", "top"), "RESOURCE_NOT_FOUND").await;
            for method in ["GetResource", "DeleteResource"] {
                theirs.unchanged(method, json!({"resource": doc("top")}), "RESOURCE_NOT_FOUND").await;
            }
            theirs.refused("ListResources", json!({"parent": doc("top")}), "RESOURCE_NOT_FOUND").await;
            assert_eq!(theirs.list(json!({})).await, [json!(null); 0]);
            theirs.put_below_new_top().await;
        }
        let foreign = Acme { caller: stranger, id: acme.id.clone() };
        for method in ["GetResource", "DeleteResource", "PutResource"] {
            foreign.refused(method, json!({"resource": doc("top")}), "ORGANIZATION_NOT_FOUND").await;
        }
        foreign.refused("ListResources", json!({}), "ORGANIZATION_NOT_FOUND").await;
        assert_eq!(ids(&acme.list(json!({})).await), ["a", "top"]);
    }

    async fn a_resource_goes_alone_only_where_nothing_is_below_it(server) {
        let acme = Acme::new(&server).await;
        let chain = acme.chain("a", 2).await;
        acme.unchanged("DeleteResource", json!({"resource": doc(&chain[0])}), "RESOURCE_HAS_CHILDREN").await;
        let low = acme.call("GetResource", json!({"resource": doc(&chain[1])})).await["resource"].clone();
        let before = acme.events().await.len();
        let deleted = acme.call("DeleteResource", json!({"resource": doc(&chain[1]), "requestId": "req-1"})).await;
        assert_eq!((&deleted["deletedResourceCount"], &deleted["revokedGrantCount"]), (&json!(1), &json!(0)));
        let events = acme.events().await.split_off(before);
        assert_eq!(types(&events), ["resource.deleted"]);
        assert_eq!((&events[0]["requestId"], &events[0]["causationId"]), (&json!("req-1"), &json!("")));
        assert_eq!(events[0]["subject"], json!({"kind": "resource", "id": "doc/a 1"}));
        assert_eq!(events[0]["resourceDeleted"], json!({"before": low}));
        acme.unchanged("DeleteResource", json!({"resource": doc(&chain[1])}), "RESOURCE_NOT_FOUND").await;
        acme.call("DeleteResource", json!({"resource": doc(&chain[0])})).await;
        assert_eq!(acme.list(json!({})).await, [json!(null); 0]);
        acme.put_below_new_top().await;
    }

    async fn a_resource_goes_with_all_below_it_and_every_grant_in_one_cascade(server) {
        let acme = Acme::new(&server).await;
        let chain = acme.chain("a", 3).await;
        acme.put_below("beside", &chain[1]).await;
        acme.put_below("sibling", &chain[0]).await;
        let mut revoked = Vec::new();
        for id in [&chain[1], &chain[2]] {
            for role in ["guest", "developer"] {
                revoked.push(acme.grant(id, role).await);
            }
        }
        let end = json!({"principal": {"role": "member"}, "resource": doc("beside"), "role": "guest",
            "endTime": server.clock.in_future(Duration::from_secs(60))});
        revoked.push(acme.call("SetGrant", end).await["grant"].clone());
        server.clock.advance(Duration::from_secs(61));
        let mut kept = vec![acme.grant(&chain[0], "guest").await, acme.grant("sibling", "guest").await];
        kept.push(acme.grant("never registered", "guest").await);
        let file = json!({"principal": {"role": "member"}, "resource": {"type": "file", "id": chain[1]},
            "role": "guest"});
        kept.push(acme.call("SetGrant", file).await["grant"].clone());
        let before = acme.events().await.len();
        let delete = json!({"resource": doc(&chain[1]), "cascade": true, "requestId": "req-1"});
        let deleted = acme.call("DeleteResource", delete).await;
        assert_eq!((&deleted["deletedResourceCount"], &deleted["revokedGrantCount"]), (&json!(3), &json!(5)));
        let events = acme.events().await.split_off(before);
        assert_eq!(types(&events), [&["resource.deleted"][..], &["grant.revoked"; 5], &["resource.deleted"; 2]].concat());
        let subjects = |range: std::ops::Range<usize>| {
            events[range].iter().map(|event| text(&event["subject"]["id"])).collect::<Vec<_>>()
        };
        assert_eq!(subjects(0..1), ["doc/a 1"]);
        assert_eq!(subjects(6..8), ["doc/a 2", "doc/beside"]);
        let states: Vec<_> = events[1..6].iter().map(|event| event["grantRevoked"]["before"].clone()).collect();
        assert_eq!(states, revoked);
        assert_eq!(events[0]["causationId"], "");
        assert!(events.iter().all(|event| event["correlationId"] == events[0]["eventId"]));
        assert!(events.iter().all(|event| event["requestId"] == "req-1"));
        assert!(events[1..].iter().all(|event| event["causationId"] == events[0]["eventId"]));
        assert_eq!(acme.grants().await, kept);
        assert_eq!(ids(&acme.list(json!({})).await), ["a 0", "sibling"]);
    }

    async fn every_principals_grant_on_a_resource_goes_with_it(server) {
        let acme = Acme::new(&server).await;
        acme.put("a").await;
        acme.caller.call("RoleService/CreatePermission", json!({"slug": "docs:read"})).await;
        let member = acme.here(json!({"member": {"email": "bob@example.com"}}));
        let bob = acme.caller.call("MembershipService/AddMember", member).await;
        let team = acme.caller.call("TeamService/CreateTeam", acme.here(json!({"name": "core"}))).await;
        for principal in [
            json!({"membershipId": bob["membership"]["membershipId"]}),
            json!({"teamId": team["team"]["teamId"]}),
            json!({"role": "guest"}),
        ] {
            for (right, slug) in [("role", "guest"), ("permission", "docs:read")] {
                let mut grant = json!({"principal": principal, "resource": doc("a")});
                grant[right] = json!(slug);
                acme.call("SetGrant", grant).await;
            }
        }
        let deleted = acme.call("DeleteResource", json!({"resource": doc("a")})).await;
        assert_eq!(deleted["revokedGrantCount"], 6);
        assert_eq!(acme.grants().await, [json!(null); 0]);
        // Now nothing keeps the permission, the team and the role of the grants.
        acme.caller.call("RoleService/DeletePermission", json!({"slug": "docs:read"})).await;
    }

    async fn no_more_than_ten_thousand_go_at_once(server) {
        let acme = Acme::new(&server).await;
        acme.put("top").await;
        acme.put_below("root", "top").await;
        acme.put_below("grown", "top").await;
        fill(&server, "root", 9_997).await;
        acme.grant("leaf 1", "guest").await;
        let second = acme.grant("leaf 9997", "guest").await;
        let delete = |id: &str| json!({"resource": doc(id), "cascade": true});
        // 9,998 resources and two grants from `root` on; with `top` and `grown` two more.
        let before = acme.events().await.len();
        let status = acme.refused("DeleteResource", delete("top"), "LIMIT_REACHED").await;
        assert!(status.message().contains("10000"), "{}", status.message());
        acme.call("RevokeGrant", json!({"grantId": second["grantId"]})).await;
        acme.refused("DeleteResource", delete("top"), "LIMIT_REACHED").await;
        assert_eq!(acme.events().await.len(), before + 1, "the grant that was revoked by itself");
        assert_eq!(acme.grants().await.len(), 1);
        acme.call("DeleteResource", delete("grown")).await;
        let deleted = acme.call("DeleteResource", delete("top")).await;
        assert_eq!((&deleted["deletedResourceCount"], &deleted["revokedGrantCount"]), (&json!(9_999), &json!(1)));
        assert_eq!(acme.list(json!({})).await, [json!(null); 0]);
        assert_eq!(acme.grants().await, [json!(null); 0]);
        assert_eq!(acme.events().await.len(), before + 2 + 10_000);
    }

    async fn resources_are_listed_once_by_type_and_id(server) {
        let acme = Acme::new(&server).await;
        // In the order in which they are listed: by bytes, whatever the language.
        let all = [
            ("a", "1"), ("a", "10"), ("a", "2"), ("a-b", "1"), ("a_b", "1"), ("doc", "A"), ("doc", "Z"), ("doc", "a"),
            ("doc", "a/b"), ("doc", "z"), ("doc", "ä"), ("zz", "1"),
        ];
        let resource = |(kind, id): (&str, &str)| json!({"type": kind, "id": id});
        acme.call("PutResource", json!({"resource": resource(("doc", "A"))})).await;
        for other in all.into_iter().rev().filter(|other| *other != ("doc", "A")) {
            let parent = (other.1 != "1").then(|| resource(("doc", "A")));
            acme.call("PutResource", json!({"resource": resource(other), "parent": parent})).await;
        }
        let beta = Acme::of(&server.root, "beta").await;
        beta.put("A").await;
        let of = |wanted: &dyn Fn(&(&str, &str)) -> bool| {
            all.into_iter().filter(|entry| wanted(entry)).map(resource).collect::<Vec<_>>()
        };
        for (filter, expected) in [
            (json!({}), of(&|_| true)),
            (json!({"type": "a"}), of(&|(kind, _)| *kind == "a")),
            (json!({"type": "doc"}), of(&|(kind, _)| *kind == "doc")),
            (json!({"type": "zz"}), of(&|(kind, _)| *kind == "zz")),
            (json!({"type": "none"}), of(&|_| false)),
            (json!({"parent": doc("A")}), of(&|(_, id)| *id != "1" && *id != "A")),
            (json!({"parent": doc("A"), "type": "a"}), of(&|(kind, id)| *kind == "a" && *id != "1")),
            (json!({"parent": doc("A"), "type": "zz"}), of(&|_| false)),
            (json!({"parent": doc("z")}), of(&|_| false)),
        ] {
            for size in 1..=all.len() + 1 {
                let mut request = filter.clone();
                request["pageSize"] = json!(size);
                let listed: Vec<_> = acme.list(request).await.iter().map(|entry| entry["resource"].clone()).collect();
                assert_eq!(listed, expected, "{filter}, pages of {size}");
            }
        }
        let page = acme.call("ListResources", json!({"pageSize": 1, "type": "doc"})).await;
        for mut request in [json!({}), json!({"type": "a"}), json!({"type": "doc", "parent": doc("A")})] {
            request["pageToken"] = page["nextPageToken"].clone();
            acme.refused("ListResources", request, "INVALID_PAGE_TOKEN").await;
        }
        let elsewhere = json!({"type": "doc", "pageToken": page["nextPageToken"]});
        beta.refused("ListResources", elsewhere, "INVALID_PAGE_TOKEN").await;
        acme.refused("ListResources", json!({"parent": doc("nothing")}), "RESOURCE_NOT_FOUND").await;
    }

    async fn an_id_is_whatever_the_application_calls_its_things(server) {
        let acme = Acme::new(&server).await;
        let [wide, narrow] = ["𝄞".repeat(256), "x".repeat(256)];
        let decomposed = "u\u{308}";
        let odd = [
            "/", "//", "a/b/c", " ", " a ", "%", "_", "'; DROP TABLE resources --", "\"", "\\", "ü", decomposed, "日本",
            "\u{202e}abc", "🏳️‍🌈", "{\"type\": \"doc\"}", "null", "0", &wide, &narrow,
        ];
        let mut above: Option<&str> = None;
        for (index, id) in odd.into_iter().enumerate() {
            let parent = above.filter(|_| index % 15 != 0);
            let put = acme.call("PutResource", json!({"resource": doc(id), "parent": parent.map(doc)})).await;
            assert_eq!(put["resource"]["resource"], doc(id));
            acme.grant(id, "guest").await;
            above = Some(id);
        }
        let mut sorted = odd;
        sorted.sort();
        for size in [1, 7] {
            assert_eq!(ids(&acme.list(json!({"pageSize": size})).await), sorted, "pages of {size}");
        }
        let event = acme.events().await.pop().unwrap();
        assert_eq!(event["grantCreated"]["after"]["resource"]["id"], narrow);
        for top in [odd[15], odd[0]] {
            acme.call("DeleteResource", json!({"resource": doc(top), "cascade": true})).await;
        }
        assert_eq!(acme.list(json!({})).await, [json!(null); 0]);
        assert_eq!(acme.grants().await, [json!(null); 0]);
        acme.put(&"t".repeat(64)).await;
    }

    async fn what_is_no_type_and_no_id_is_named(server) {
        let acme = Acme::new(&server).await;
        let long = "𝄞".repeat(257);
        for (resource, field) in [
            (json!({"type": "Doc", "id": "1"}), "type"),
            (json!({"type": "a/b", "id": "1"}), "type"),
            (json!({"type": "", "id": "1"}), "type"),
            (json!({"type": "d".repeat(65), "id": "1"}), "type"),
            (json!({"type": "doc", "id": ""}), "id"),
            (json!({"type": "doc", "id": long}), "id"),
            (json!({"type": "doc", "id": "a\u{0}b"}), "id"),
            (json!({"type": "doc", "id": "a\nb"}), "id"),
            (json!({"type": "doc", "id": "a\u{85}b"}), "id"),
        ] {
            for (method, part) in [("PutResource", "resource"), ("PutResource", "parent"), ("GetResource", "resource"),
                ("DeleteResource", "resource"), ("ListResources", "parent")] {
                let mut request = if part == "parent" && method == "PutResource" { below("a", "b") } else { json!({}) };
                request[part] = resource.clone();
                let status = acme.refused(method, request, "INVALID_REQUEST").await;
                assert_eq!(bad_fields(&status), [format!("{part}.{field}")], "{method}");
            }
        }
        let status = acme.refused("ListResources", json!({"type": "Doc"}), "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&status), ["type"]);
        let longest = json!({"type": "d".repeat(64), "id": "𝄞".repeat(256)});
        acme.call("PutResource", json!({"resource": longest})).await;
        acme.call("PutResource", json!({"resource": doc(&"𝄞".repeat(256)), "parent": longest})).await;
    }

    async fn an_organization_that_is_being_deleted_keeps_its_resources(server) {
        let acme = Acme::new(&server).await;
        acme.chain("a", 2).await;
        let before = acme.list(json!({})).await;
        acme.caller.call("OrganizationService/DeleteOrganization", acme.here(json!({}))).await;
        let events = acme.events().await.len();
        acme.refused("PutResource", json!({"resource": doc("a 0")}), "ORGANIZATION_DELETING").await;
        acme.refused("PutResource", below("new", "a 0"), "ORGANIZATION_DELETING").await;
        acme.refused("DeleteResource", json!({"resource": doc("a 1")}), "ORGANIZATION_DELETING").await;
        assert_eq!(acme.list(json!({})).await, before);
        assert_eq!(acme.events().await.len(), events);
        acme.call("GetResource", json!({"resource": doc("a 1")})).await;
    }
}

impl Acme {
    /// What was refused or deleted before is in nobody's way.
    async fn put_below_new_top(&self) {
        self.put("top").await;
        self.put_below("a", "top").await;
    }
}
