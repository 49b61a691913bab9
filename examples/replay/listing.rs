//! Whole lists, page by page.

use roster::proto::v1::{
    Grant, GrantPrincipal, ListGrantsRequest, ListMembershipsRequest, ListOrganizationsRequest, ListTeamMembersRequest,
    ListTeamsRequest, ListUsersRequest, Membership, Organization, ResourceRef, Team, TeamMember, User,
};
use tonic::Status;

use crate::service::Service;

/// The largest page that the contract allows.
const PAGE_SIZE: i32 = 1000;

/// Follows the page tokens of a list method to the end.
macro_rules! all_pages {
    ($client:expr, $method:ident, $request:expr, $items:ident) => {{
        let mut client = $client;
        let mut request = $request;
        let mut items = Vec::new();
        loop {
            let page = client.$method(request.clone()).await?.into_inner();
            items.extend(page.$items);
            if page.next_page_token.is_empty() {
                return Ok(items);
            }
            request.page_token = page.next_page_token;
        }
    }};
}

pub async fn organizations(service: &Service) -> Result<Vec<Organization>, Status> {
    let request = ListOrganizationsRequest { page_size: PAGE_SIZE, ..Default::default() };
    all_pages!(service.organizations(), list_organizations, request, organizations)
}

pub async fn users(service: &Service) -> Result<Vec<User>, Status> {
    let request = ListUsersRequest { page_size: PAGE_SIZE, ..Default::default() };
    all_pages!(service.users(), list_users, request, users)
}

/// The memberships of an organization that are not removed, only of one user where the id is not empty.
pub async fn memberships(service: &Service, organization_id: &str, user_id: &str) -> Result<Vec<Membership>, Status> {
    let request = ListMembershipsRequest {
        organization_id: organization_id.to_owned(),
        user_id: user_id.to_owned(),
        page_size: PAGE_SIZE,
        ..Default::default()
    };
    all_pages!(service.memberships(), list_memberships, request, memberships)
}

pub async fn teams(service: &Service, organization_id: &str) -> Result<Vec<Team>, Status> {
    let request =
        ListTeamsRequest { organization_id: organization_id.to_owned(), page_size: PAGE_SIZE, ..Default::default() };
    all_pages!(service.teams(), list_teams, request, teams)
}

pub async fn team_members(service: &Service, team: &Team) -> Result<Vec<TeamMember>, Status> {
    let request = ListTeamMembersRequest {
        organization_id: team.organization_id.clone(),
        team_id: team.team_id.clone(),
        page_size: PAGE_SIZE,
        ..Default::default()
    };
    all_pages!(service.teams(), list_team_members, request, team_members)
}

/// The grants of an organization, only on a resource and of a principal where they are given.
pub async fn grants(
    service: &Service,
    organization_id: &str,
    resource: Option<ResourceRef>,
    principal: Option<GrantPrincipal>,
) -> Result<Vec<Grant>, Status> {
    let request = ListGrantsRequest {
        organization_id: organization_id.to_owned(),
        resource,
        principal,
        page_size: PAGE_SIZE,
        ..Default::default()
    };
    all_pages!(service.grants(), list_grants, request, grants)
}
