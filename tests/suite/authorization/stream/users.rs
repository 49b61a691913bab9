//! A user's stream: whether they may ask is decided for each question.

use serde_json::json;

use super::{Talk, another, question};
use crate::{
    authorization::House as Place,
    in_a_house,
    support::Engine,
    tokens::{AUDIENCE, House, USERS},
};

in_a_house! {
    async fn a_user_asks_where_they_may(house) {
        let place = Place::build(&house.server).await;
        let foreign = another(&place, "foreign").await;
        let ada = place.caller.call("UserService/LookupUser", json!({"email": "ada@example.com"})).await;
        let ada = ada["user"]["userId"].clone();
        let link = json!({"userId": ada, "identity": {"issuer": USERS, "subject": "ada"}});
        place.caller.call("UserService/LinkIdentity", link).await;
        let claims = json!({"iss": USERS, "sub": "ada", "aud": AUDIENCE, "exp": house.now() + 3000});
        let caller = house.caller(&house.key.token(&claims)).await;
        let mut talk = Talk::open(&caller).await.unwrap();
        let ask = async |talk: &mut Talk| {
            talk.ask(1, question(&place.organization, &place.user, "docs:read")).await;
            talk.ask(2, question(&foreign, &place.user, "docs:read")).await;
            talk.ask(3, question("org_x", &place.user, "docs:read")).await;
            let answers = talk.answers(3).await;
            answers.into_values().collect::<Vec<_>>()
        };
        // Without an organization there is nothing that a user may ask about.
        let expected = ["NO_PERMISSION", "! ORGANIZATION_NOT_FOUND", "! MISSING_PERMISSION"];
        assert_eq!(ask(&mut talk).await, expected);
        let join = json!({"organizationId": foreign, "member": {"userId": ada, "roles": ["developer"]}});
        place.caller.call("MembershipService/AddMember", join).await;
        assert_eq!(ask(&mut talk).await, ["NO_PERMISSION", "ROLE", "! MISSING_PERMISSION"]);
        place.caller.call("RoleService/CreateRole", json!({"slug": "nothing"})).await;
        let members = json!({"organizationId": foreign, "userId": ada});
        let members = place.caller.call("MembershipService/ListMemberships", members).await;
        let membership = &members["memberships"][0]["membershipId"];
        let demote = json!({"organizationId": foreign, "membershipId": membership, "roles": ["nothing"]});
        place.caller.call("MembershipService/SetRoles", demote).await;
        assert_eq!(ask(&mut talk).await, ["NO_PERMISSION", "! MISSING_PERMISSION", "! MISSING_PERMISSION"]);
    }
}
