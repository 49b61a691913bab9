//! One change, as calls of the API.

use roster::proto::v1::{
    AddMemberRequest, AddTeamMemberRequest, CreateOrganizationRequest, CreateTeamRequest, DeleteTeamRequest,
    GrantPrincipal, MoveTeamRequest, NewMember, RemoveMemberRequest, RemoveTeamMemberRequest, ResourceRef,
    RevokeGrantRequest, SetGrantRequest, SetRolesRequest, TeamMemberRole, UpdateTeamMemberRequest, grant_principal,
    new_member, set_grant_request,
};
use tonic::Status;

use crate::{
    changes::{Change, Level, Op, Place, Standing},
    directory::{Directory, email},
    listing,
    service::Service,
};

/// The type of the resources that grants are on.
pub const REPOSITORY: &str = "repository";

/// A repository, as the service names it.
pub fn repository(repo: &str) -> ResourceRef {
    ResourceRef { r#type: REPOSITORY.to_owned(), id: repo.to_owned() }
}

/// Makes one change, and remembers the ids that came of it.
pub async fn apply(service: &Service, directory: &mut Directory, change: &Change) -> Result<(), Status> {
    let sender = Sender { service, directory, request_id: format!("change-{}", change.n) };
    match &change.op {
        Op::CreateOrganization => sender.create_organization(&change.org).await,
        Op::AddMember { user, role } => sender.add_member(user, *role).await,
        Op::SetMemberRole { user, role } => sender.set_member_role(user, *role).await,
        Op::RemoveMember { user } => sender.remove_member(user).await,
        Op::CreateTeam { team, parent } => sender.create_team(team, parent.as_deref()).await,
        Op::MoveTeam { team, parent } => sender.move_team(team, parent.as_deref()).await,
        Op::DeleteTeam { team } => sender.delete_team(team).await,
        Op::AddTeamMember { team, user, role } => sender.add_team_member(team, user, *role).await,
        Op::SetTeamMemberRole { team, user, role } => sender.set_team_member_role(team, user, *role).await,
        Op::RemoveTeamMember { team, user } => sender.remove_team_member(team, user).await,
        Op::SetGrant { team, repo, permission } => sender.set_grant(team, repo, *permission).await,
        Op::RemoveGrant { team, repo } => sender.remove_grant(team, repo).await,
    }
}

/// Sends one change. The number of the change is the id of the request: the log tells which change made an event.
struct Sender<'a> {
    service: &'a Service,
    directory: &'a mut Directory,
    request_id: String,
}

impl Sender<'_> {
    /// The first admin comes as a change of its own.
    async fn create_organization(self, slug: &str) -> Result<(), Status> {
        let request =
            CreateOrganizationRequest { slug: slug.to_owned(), request_id: self.request_id, ..Default::default() };
        let made = self.service.organizations().create_organization(request).await?.into_inner();
        self.directory.add_organization(made.organization.unwrap_or_default().organization_id);
        Ok(())
    }

    async fn add_member(self, user: &str, standing: Standing) -> Result<(), Status> {
        let member = NewMember {
            person: Some(new_member::Person::Email(email(user))),
            display_name: user.to_owned(),
            roles: roles(standing),
            team_ids: Vec::new(),
            ..NewMember::default()
        };
        let request = AddMemberRequest {
            organization_id: self.directory.organization_id(self.service).await?,
            member: Some(member),
            request_id: self.request_id,
        };
        let added = self.service.memberships().add_member(request).await?.into_inner();
        self.directory.add_member(user, added.membership.unwrap_or_default().membership_id);
        Ok(())
    }

    async fn set_member_role(self, user: &str, standing: Standing) -> Result<(), Status> {
        let request = SetRolesRequest {
            organization_id: self.directory.organization_id(self.service).await?,
            membership_id: self.directory.membership_id(self.service, user).await?,
            roles: roles(standing),
            request_id: self.request_id,
            ..SetRolesRequest::default()
        };
        self.service.memberships().set_roles(request).await?;
        Ok(())
    }

    async fn remove_member(self, user: &str) -> Result<(), Status> {
        let request = RemoveMemberRequest {
            organization_id: self.directory.organization_id(self.service).await?,
            membership_id: self.directory.membership_id(self.service, user).await?,
            request_id: self.request_id,
            ..Default::default()
        };
        // Forgotten before the answer, which may be lost: the id must not stand for a later membership of the user.
        self.directory.forget_member(user);
        self.service.memberships().remove_member(request).await?;
        Ok(())
    }

    async fn create_team(self, team: &str, parent: Option<&str>) -> Result<(), Status> {
        let request = CreateTeamRequest {
            organization_id: self.directory.organization_id(self.service).await?,
            name: team.to_owned(),
            parent_team_id: self.directory.parent_team_id(self.service, parent).await?,
            request_id: self.request_id,
            ..Default::default()
        };
        let made = self.service.teams().create_team(request).await?.into_inner();
        self.directory.add_team(team, made.team.unwrap_or_default().team_id);
        Ok(())
    }

    async fn move_team(self, team: &str, parent: Option<&str>) -> Result<(), Status> {
        let request = MoveTeamRequest {
            organization_id: self.directory.organization_id(self.service).await?,
            team_id: self.directory.team_id(self.service, team).await?,
            parent_team_id: self.directory.parent_team_id(self.service, parent).await?,
            request_id: self.request_id,
        };
        self.service.teams().move_team(request).await?;
        Ok(())
    }

    async fn delete_team(self, team: &str) -> Result<(), Status> {
        let request = DeleteTeamRequest {
            organization_id: self.directory.organization_id(self.service).await?,
            team_id: self.directory.team_id(self.service, team).await?,
            cascade: false,
            request_id: self.request_id,
        };
        // As with a member: the id must not stand for a later team of the same name.
        self.directory.forget_team(team);
        self.service.teams().delete_team(request).await?;
        Ok(())
    }

    async fn add_team_member(self, team: &str, user: &str, place: Place) -> Result<(), Status> {
        let request = AddTeamMemberRequest {
            organization_id: self.directory.organization_id(self.service).await?,
            team_id: self.directory.team_id(self.service, team).await?,
            membership_id: self.directory.membership_id(self.service, user).await?,
            role: team_role(place).into(),
            request_id: self.request_id,
        };
        self.service.teams().add_team_member(request).await?;
        Ok(())
    }

    async fn set_team_member_role(self, team: &str, user: &str, place: Place) -> Result<(), Status> {
        let request = UpdateTeamMemberRequest {
            organization_id: self.directory.organization_id(self.service).await?,
            team_id: self.directory.team_id(self.service, team).await?,
            membership_id: self.directory.membership_id(self.service, user).await?,
            role: team_role(place).into(),
            request_id: self.request_id,
        };
        self.service.teams().update_team_member(request).await?;
        Ok(())
    }

    async fn remove_team_member(self, team: &str, user: &str) -> Result<(), Status> {
        let request = RemoveTeamMemberRequest {
            organization_id: self.directory.organization_id(self.service).await?,
            team_id: self.directory.team_id(self.service, team).await?,
            membership_id: self.directory.membership_id(self.service, user).await?,
            request_id: self.request_id,
        };
        self.service.teams().remove_team_member(request).await?;
        Ok(())
    }

    async fn set_grant(self, team: &str, repo: &str, level: Level) -> Result<(), Status> {
        let team_id = self.directory.team_id(self.service, team).await?;
        let request = SetGrantRequest {
            organization_id: self.directory.organization_id(self.service).await?,
            principal: Some(team_principal(team_id)),
            resource: Some(repository(repo)),
            right: Some(set_grant_request::Right::Role(level.role())),
            end_time: None,
            // A team has one level on a repository.
            replace: true,
            request_id: self.request_id,
        };
        self.service.grants().set_grant(request).await?;
        Ok(())
    }

    async fn remove_grant(self, team: &str, repo: &str) -> Result<(), Status> {
        let organization_id = self.directory.organization_id(self.service).await?;
        let principal = team_principal(self.directory.team_id(self.service, team).await?);
        let grants = listing::grants(self.service, &organization_id, Some(repository(repo)), Some(principal)).await?;
        let grant = grants.into_iter().next();
        let grant = grant.ok_or_else(|| Status::not_found(format!("{team} holds no grant on {repo}")))?;
        let request = RevokeGrantRequest { organization_id, grant_id: grant.grant_id, request_id: self.request_id };
        self.service.grants().revoke_grant(request).await?;
        Ok(())
    }
}

fn roles(standing: Standing) -> Vec<String> {
    let role = match standing {
        Standing::Admin => "owner",
        Standing::Member => "member",
    };
    vec![role.to_owned()]
}

fn team_role(place: Place) -> TeamMemberRole {
    match place {
        Place::Maintainer => TeamMemberRole::Maintainer,
        Place::Member => TeamMemberRole::Member,
    }
}

fn team_principal(team_id: String) -> GrantPrincipal {
    GrantPrincipal { kind: Some(grant_principal::Kind::TeamId(team_id)) }
}
