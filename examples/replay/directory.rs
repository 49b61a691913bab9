//! The names of one organization's things, and the ids that the service gave them.

use std::collections::HashMap;

use roster::proto::v1::{
    LookupOrganizationRequest, LookupUserRequest, User, lookup_organization_request, lookup_user_request,
};
use tonic::{Code, Status};

use crate::{listing, service::Service};

const DOMAIN: &str = "@users.example";

/// The address of a user: what the service knows a person by.
pub fn email(user: &str) -> String {
    format!("{user}{DOMAIN}")
}

/// The name of a user.
pub fn name(user: &User) -> String {
    user.email.strip_suffix(DOMAIN).unwrap_or(&user.email).to_owned()
}

/// What is known of one organization. Whatever is not known is asked for, so that a name is missing only where the
/// service does not know it either: an answer may have been lost on its way.
#[derive(Debug)]
pub struct Directory {
    slug: String,
    organization_id: Option<String>,
    membership_ids: HashMap<String, String>,
    team_ids: HashMap<String, String>,
}

impl Directory {
    /// Reads what the service holds of the organization; nothing where it does not exist.
    pub async fn load(service: &Service, slug: &str) -> Result<Self, Status> {
        let mut directory = Self {
            slug: slug.to_owned(),
            organization_id: None,
            membership_ids: HashMap::new(),
            team_ids: HashMap::new(),
        };
        match directory.organization_id(service).await {
            Ok(_) => directory.load_names(service).await?,
            Err(status) if status.code() == Code::NotFound => {}
            Err(status) => return Err(status),
        }
        Ok(directory)
    }

    /// Whether the organization is known.
    pub fn exists(&self) -> bool {
        self.organization_id.is_some()
    }

    async fn load_names(&mut self, service: &Service) -> Result<(), Status> {
        let organization_id = self.organization_id(service).await?;
        let users = listing::users(service).await?;
        let names: HashMap<&str, String> = users.iter().map(|user| (user.user_id.as_str(), name(user))).collect();
        for membership in listing::memberships(service, &organization_id, "").await? {
            if let Some(name) = names.get(membership.user_id.as_str()) {
                self.membership_ids.insert(name.clone(), membership.membership_id);
            }
        }
        self.load_teams(service).await
    }

    async fn load_teams(&mut self, service: &Service) -> Result<(), Status> {
        let organization_id = self.organization_id(service).await?;
        let teams = listing::teams(service, &organization_id).await?;
        self.team_ids = teams.into_iter().map(|team| (team.name, team.team_id)).collect();
        Ok(())
    }

    /// The organization's id. Fails with NOT_FOUND.
    pub async fn organization_id(&mut self, service: &Service) -> Result<String, Status> {
        if let Some(id) = &self.organization_id {
            return Ok(id.clone());
        }
        let key = Some(lookup_organization_request::Key::Slug(self.slug.clone()));
        let found = service.organizations().lookup_organization(LookupOrganizationRequest { key }).await?;
        let id = found.into_inner().organization.unwrap_or_default().organization_id;
        Ok(self.organization_id.insert(id).clone())
    }

    /// The id of a user's membership. Fails with NOT_FOUND.
    pub async fn membership_id(&mut self, service: &Service, user: &str) -> Result<String, Status> {
        if let Some(id) = self.membership_ids.get(user) {
            return Ok(id.clone());
        }
        let organization_id = self.organization_id(service).await?;
        let key = Some(lookup_user_request::Key::Email(email(user)));
        let found = service.users().lookup_user(LookupUserRequest { key }).await?;
        let user_id = found.into_inner().user.unwrap_or_default().user_id;
        let memberships = listing::memberships(service, &organization_id, &user_id).await?;
        let membership = memberships.into_iter().next().ok_or_else(|| not_found("a member", user))?;
        self.add_member(user, membership.membership_id.clone());
        Ok(membership.membership_id)
    }

    /// The id of a team. Fails with NOT_FOUND.
    pub async fn team_id(&mut self, service: &Service, team: &str) -> Result<String, Status> {
        if !self.team_ids.contains_key(team) {
            self.load_teams(service).await?;
        }
        self.team_ids.get(team).cloned().ok_or_else(|| not_found("a team", team))
    }

    /// The id of a parent team; empty, as the contract wants it, where there is none.
    pub async fn parent_team_id(&mut self, service: &Service, parent: Option<&str>) -> Result<String, Status> {
        match parent {
            Some(parent) => self.team_id(service, parent).await,
            None => Ok(String::new()),
        }
    }

    pub fn add_organization(&mut self, id: String) {
        self.organization_id = Some(id);
    }

    pub fn add_member(&mut self, user: &str, membership_id: String) {
        self.membership_ids.insert(user.to_owned(), membership_id);
    }

    pub fn add_team(&mut self, team: &str, id: String) {
        self.team_ids.insert(team.to_owned(), id);
    }

    pub fn forget_member(&mut self, user: &str) {
        self.membership_ids.remove(user);
    }

    pub fn forget_team(&mut self, team: &str) {
        self.team_ids.remove(team);
    }
}

fn not_found(what: &str, name: &str) -> Status {
    Status::not_found(format!("{name} is not {what} of the organization"))
}
