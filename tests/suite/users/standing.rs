//! Users before they come, several at once, and by each of their keys.

use serde_json::{Value, json};

use super::{create, events};
use crate::{
    on_both_engines,
    support::{Engine, TestServer, bad_fields, text},
};

on_both_engines! {
    async fn a_user_who_never_came_does_not_become_active_by_a_suspension(server) {
        let root = &server.root;
        let ada = create(root, json!({"email": "ada@example.com", "status": "USER_STATUS_PRE_PROVISIONED"})).await;
        assert_eq!(ada["status"], "USER_STATUS_PRE_PROVISIONED");
        assert_eq!(events(root).await.pop().unwrap()["userCreated"]["after"], ada);
        let which = json!({"userId": ada["userId"]});
        root.refused("UserService/ReactivateUser", which.clone(), "ILLEGAL_TRANSITION").await;
        for _ in 0..2 {
            let suspended = root.call("UserService/SuspendUser", which.clone()).await["user"].clone();
            assert_eq!(suspended["status"], "USER_STATUS_SUSPENDED");
            assert_eq!(suspended["suspendedFrom"], "USER_STATUS_PRE_PROVISIONED");
        }
        let back = root.call("UserService/ReactivateUser", which.clone()).await["user"].clone();
        assert_eq!(back["status"], "USER_STATUS_PRE_PROVISIONED");
        assert_eq!(back["suspendedFrom"], "USER_STATUS_UNSPECIFIED");
        assert_eq!(events(root).await.pop().unwrap()["userReactivated"]["after"], back);

        let bo = create(root, json!({"email": "bo@example.com", "status": "USER_STATUS_ACTIVE"})).await;
        let which = json!({"userId": bo["userId"]});
        let suspended = root.call("UserService/SuspendUser", which.clone()).await["user"].clone();
        assert_eq!(suspended["suspendedFrom"], "USER_STATUS_ACTIVE");
        let gone = root.call("UserService/DeleteUser", which).await["user"].clone();
        assert_eq!(gone["suspendedFrom"], "USER_STATUS_UNSPECIFIED", "only a suspended user was suspended");
    }

    async fn a_user_begins_active_or_pre_provisioned(server) {
        let before = events(&server.root).await.len();
        for status in ["USER_STATUS_INVITED", "USER_STATUS_SUSPENDED", "USER_STATUS_REMOVED"] {
            let bad = json!({"email": "ada@example.com", "status": status});
            let status = server.root.refused("UserService/CreateUser", bad, "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), ["status"]);
        }
        let bad = json!({"email": "x", "status": 99});
        let status = server.root.refused("UserService/CreateUser", bad, "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&status), ["email", "status"]);
        assert_eq!(events(&server.root).await.len(), before);
    }

    async fn users_are_got_together_each_with_an_outcome(server) {
        let root = &server.root;
        let ada = create(root, json!({"email": "ada@example.com"})).await;
        let bo = create(root, json!({"email": "bo@example.com"})).await;
        let bo = root.call("UserService/DeleteUser", json!({"userId": bo["userId"]})).await["user"].clone();
        let theirs = create(&server.stranger().await, json!({"email": "ada@example.com"})).await;
        let nobody = roster::ids::UserId::generate().to_string();
        let ids = json!([bo["userId"], nobody, ada["userId"], theirs["userId"], ada["userId"]]);
        let got = root.call("UserService/BatchGetUsers", json!({"userIds": ids})).await;
        let results = got["results"].as_array().unwrap();
        let users: Vec<_> = results.iter().map(|result| result["user"].clone()).collect();
        assert_eq!(users, [bo, Value::Null, ada.clone(), Value::Null, ada.clone()]);
        let reasons: Vec<_> = results.iter().map(|result| result["error"]["reason"].clone()).collect();
        assert_eq!(json!(reasons), json!([null, "USER_NOT_FOUND", null, "USER_NOT_FOUND", null]));

        let many = |count: usize| json!({"userIds": vec![text(&ada["userId"]); count]});
        assert_eq!(root.call("UserService/BatchGetUsers", many(100)).await["results"].as_array().unwrap().len(), 100);
        for (bad, field) in [(many(0), "user_ids"), (many(101), "user_ids"),
            (json!({"userIds": [ada["userId"], "user_x"]}), "user_ids[1]"), (json!({"userIds": [""]}), "user_ids[0]")]
        {
            let status = root.refused("UserService/BatchGetUsers", bad, "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), [field]);
        }
    }

    async fn a_user_is_looked_up_by_id(server) {
        let root = &server.root;
        let ada = create(root, json!({"email": "ada@example.com"})).await;
        let which = json!({"userId": ada["userId"]});
        assert_eq!(root.call("UserService/LookupUser", which.clone()).await["user"], ada);
        server.stranger().await.refused("UserService/LookupUser", which.clone(), "USER_NOT_FOUND").await;
        root.call("UserService/DeleteUser", which.clone()).await;
        root.refused("UserService/LookupUser", which, "USER_NOT_FOUND").await;
        let status = root.refused("UserService/LookupUser", json!({"userId": "ada"}), "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&status), ["user_id"]);
    }

    async fn what_looks_the_same_is_the_same_address_and_what_does_not_is_not(server) {
        let root = &server.root;
        create(root, json!({"email": "Isil@B\u{131}r.example"})).await;
        for other in ["\u{131}sil@B\u{131}r.example", "\u{130}sil@b\u{131}r.example", "Isil@Bir.example"] {
            create(root, json!({"email": other})).await;
        }
        for same in ["ISIL@b\u{131}r.example", "isil@xn--br-hpa.example", "isil@B\u{131}r\u{3002}EXAMPLE"] {
            root.refused("UserService/CreateUser", json!({"email": same}), "EMAIL_TAKEN").await;
        }
        for bad in ["i\u{200b}sil@bir.example", "isil\u{feff}@bir.example", "isil@bir.example.", "isil@1.2.3",
            &format!("{}@bir.example", "\u{131}".repeat(33))]
        {
            let status = root.refused("UserService/CreateUser", json!({"email": bad}), "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), ["email"], "{bad}");
        }
    }
}
