//! Calls of OrganizationService.

use serde_json::json;

use super::{Act, By, Call, History, Id};
use crate::lifecycles::model::Person;

/// How many slugs there are.
const SLUGS: u64 = 7;
/// How many organizations go on at once.
const AT_ONCE: usize = 3;

impl History<'_> {
    pub(super) async fn step_organization(&mut self) {
        let org = self.org();
        let (by, service) = (self.somebody(Some(org)), self.a_service());
        let open = self.state.orgs().filter(|(_, org)| org.status != "PURGED").count();
        match self.chance.below(24) {
            0..=2 if open < AT_ONCE => self.step_create_organization(service).await,
            0..=4 => self.step_update_organization(by, org).await,
            5..=6 => {
                let rule = move |act: &mut Act| act.stand(org, "SUSPENDED", "organization.suspended");
                self.step_status(by, "OrganizationService/SuspendOrganization", org, rule).await;
            }
            7..=10 => {
                let rule = move |act: &mut Act| act.stand(org, "ACTIVE", "organization.reactivated");
                self.step_status(service, "OrganizationService/ReactivateOrganization", org, rule).await;
            }
            11..=16 => self.step_transfer_ownership(by, org).await,
            17..=18 => {
                let rule = move |act: &mut Act| act.delete_organization(org);
                self.step_status(by, "OrganizationService/DeleteOrganization", org, rule).await;
            }
            _ => {
                let deleting: Vec<Id> =
                    self.state.orgs().filter(|(_, org)| org.status == "DELETING").map(|(id, _)| id).collect();
                match self.chance.any_of(&deleting).or_else(|| self.chance.once_in(4).then_some(org)) {
                    Some(org) => self.step_restore_organization(service, org).await,
                    None => self.step_transfer_ownership(by, org).await,
                }
            }
        }
    }

    fn slug(&mut self) -> String {
        format!("slug-{}", self.chance.below(SLUGS))
    }

    pub(super) async fn step_create_organization(&mut self, by: By) {
        let slug = self.slug();
        let (user, addresses) = (self.user(), self.addresses());
        let addresses = addresses.into_iter().take(2).map(Person::Email);
        let owners: Vec<Person> = match self.chance.below(8) {
            0 => Vec::new(),
            1..=5 => vec![Person::User(user)],
            _ => addresses.collect(),
        };
        let named = owners.iter().map(|owner| match owner {
            Person::User(id) => json!({"userId": self.names.of(*id)}),
            Person::Email(email) => json!({"email": email}),
        });
        let request = json!({"slug": slug, "displayName": slug, "initialOwners": named.collect::<Vec<_>>()});
        let rule = move |act: &mut Act| act.create_organization(&slug, &owners);
        self.make(by, Call::new("OrganizationService/CreateOrganization", None, request, rule)).await;
    }

    async fn step_update_organization(&mut self, by: By, org: Id) {
        let before = self.state.org(org).clone();
        let slug = if self.chance.once_in(2) || before.slug.is_empty() { self.slug() } else { before.slug };
        let name = self.chance.one_of(&["Acme", "Beta"]);
        let etag_is_right = !self.chance.once_in(8);
        let etag = &self.log.last("organization", &self.names.of(org))["etag"];
        let etag = if etag_is_right { etag.clone() } else { json!("another") };
        let fields = json!({"slug": slug, "displayName": name, "etag": etag});
        let request = json!({"organization": self.about(org, fields), "updateMask": "slug,displayName"});
        let rule = move |act: &mut Act| act.update_organization(org, &slug, name, etag_is_right);
        self.make(by, Call::new("OrganizationService/UpdateOrganization", Some(org), request, rule)).await;
    }

    async fn step_status(&mut self, by: By, method: &'static str, org: Id, rule: impl Fn(&mut Act) + 'static) {
        let request = self.about(org, json!({}));
        self.make(by, Call::new(method, Some(org), request, rule)).await;
    }

    async fn step_transfer_ownership(&mut self, by: By, org: Id) {
        let owners = self.state.owners(org);
        let owner = self.chance.any_of(&owners).filter(|_| self.chance.below(6) > 0).or_else(|| self.membership(org));
        let (Some(owner), Some(next)) = (owner, self.membership(org)) else { return };
        if owner == next {
            return; // a bad request
        }
        // Users hand over what is theirs, mostly.
        let theirs: Vec<usize> = self.state.user(self.state.membership(owner).user).accounts.iter().copied().collect();
        let by = match (by, self.chance.any_of(&theirs)) {
            (By::Account(_, verified), Some(own)) if !self.chance.once_in(4) => By::Account(own, verified),
            (by, _) => by,
        };
        let named = Some(self.role(org)).filter(|role| role != "owner" && self.chance.once_in(2)).unwrap_or_default();
        let fields = json!({"ownerMembershipId": self.names.of(owner), "newOwnerMembershipId": self.names.of(next),
            "formerOwnerRole": named});
        let role = if named.is_empty() { "admin".to_owned() } else { named };
        let request = self.about(org, fields);
        let rule = move |act: &mut Act| act.transfer_ownership(org, owner, next, &role);
        self.make(by, Call::new("OrganizationService/TransferOwnership", Some(org), request, rule)).await;
    }

    async fn step_restore_organization(&mut self, by: By, org: Id) {
        let owner = self.chance.once_in(3).then(|| self.user());
        let owner_name = owner.map(|id| self.names.of(id)).unwrap_or_default();
        let request = self.about(org, json!({"ownerUserId": owner_name}));
        let rule = move |act: &mut Act| act.restore_organization(org, owner);
        self.make(by, Call::new("OrganizationService/RestoreOrganization", Some(org), request, rule)).await;
    }
}
