//! One person is once a member, and one user.

use serde_json::json;

use super::{
    crowd::{AT_ONCE, Crowd},
    members, organization, races, remove, rounds,
};
use crate::support::Engine;

/// How many organizations add them at once.
const ORGANIZATIONS: usize = 8;

races! {
    /// Turn about, to one organization, or to several, of each of which the person becomes a member once.
    async fn a_person_who_is_added_by_many_is_once_a_member(crowd) {
        let mut all = Vec::new();
        for number in 0..ORGANIZATIONS {
            all.push(organization(crowd.root(), &format!("o{number}")).await);
        }
        let mut log = crowd.log(&all.iter().map(String::as_str).collect::<Vec<_>>()).await;
        for round in 0..rounds() {
            let organizations = if round % 2 == 0 { 1 } else { ORGANIZATIONS };
            let spellings = [format!("p{round}@example.com"), format!(" P{round}@Example.COM ")];
            let outcomes = crowd.call(|number| {
                let member = json!({"email": spellings[number / ORGANIZATIONS % 2]});
                let add = json!({"organizationId": all[number % organizations], "member": member});
                ("MembershipService/AddMember", add)
            }).await;

            let created = outcomes.answers().iter().filter(|answer| answer["userCreated"] == true).count();
            assert_eq!(created, 1, "one user");
            let user = &outcomes.answers()[0]["membership"]["userId"];
            for (index, id) in all[..organizations].iter().enumerate() {
                let here = outcomes.of(|number| number % organizations == index);
                assert_eq!(here.0.len(), AT_ONCE / organizations);
                let won = here.one_wins("ALREADY_MEMBER");
                assert_eq!(members(crowd.root(), id).await, [won["membership"].clone()]);
                assert_eq!(&won["membership"]["userId"], user);
            }
            let mut expected = vec!["membership.created"; organizations];
            expected.push("user.created");
            assert_eq!(log.types().await, expected);
            for answer in outcomes.answers() {
                remove(crowd.root(), &answer["membership"]).await;
            }
            log.news().await;
        }
    }
}
