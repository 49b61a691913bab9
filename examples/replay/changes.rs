//! The changes, as the file has them.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use serde::Deserialize;

use crate::Failure;

/// One change of one organization.
#[derive(Debug, Deserialize)]
pub struct Change {
    /// Its number: grows through the file.
    pub n: u64,
    /// The organization's slug.
    pub org: String,
    /// What changes.
    #[serde(flatten)]
    pub op: Op,
}

/// What changes. Organizations, users and teams go by name.
#[derive(Debug, Deserialize)]
#[serde(tag = "op")]
pub enum Op {
    #[serde(rename = "organization.create")]
    CreateOrganization,
    #[serde(rename = "member.add")]
    AddMember { user: String, role: Standing },
    #[serde(rename = "member.role")]
    SetMemberRole { user: String, role: Standing },
    #[serde(rename = "member.remove")]
    RemoveMember { user: String },
    #[serde(rename = "team.create")]
    CreateTeam { team: String, parent: Option<String> },
    #[serde(rename = "team.move")]
    MoveTeam { team: String, parent: Option<String> },
    #[serde(rename = "team.delete")]
    DeleteTeam { team: String },
    #[serde(rename = "team_member.add")]
    AddTeamMember { team: String, user: String, role: Place },
    #[serde(rename = "team_member.role")]
    SetTeamMemberRole { team: String, user: String, role: Place },
    #[serde(rename = "team_member.remove")]
    RemoveTeamMember { team: String, user: String },
    #[serde(rename = "grant.set")]
    SetGrant { team: String, repo: String, permission: Level },
    #[serde(rename = "grant.remove")]
    RemoveGrant { team: String, repo: String },
}

/// What a member is in the organization.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    Admin,
    Member,
}

/// What a member of a team is in the team.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    Maintainer,
    Member,
}

/// What may be done with a repository. Each level includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

impl Level {
    /// From the lowest to the highest.
    pub const ALL: [Self; 5] = [Self::Read, Self::Triage, Self::Write, Self::Maintain, Self::Admin];

    /// Its word in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }

    /// The slug of its permission.
    pub fn permission(self) -> String {
        format!("repository:{}", self.name())
    }

    /// The slug of the role that contains its permission and those of the levels below.
    pub fn role(self) -> String {
        format!("repository-{}", self.name())
    }
}

/// Reads the changes of a file, only the first where there is a limit.
pub fn read(path: &Path, limit: Option<usize>) -> Result<Vec<Change>, Failure> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = BufReader::new(file).lines().take(limit.unwrap_or(usize::MAX));
    lines.enumerate().map(|(index, line)| parse(&line?).map_err(|error| fault(path, index, &error))).collect()
}

fn parse(line: &str) -> Result<Change, Failure> {
    Ok(serde_json::from_str(line)?)
}

fn fault(path: &Path, index: usize, error: &Failure) -> Failure {
    format!("{}, line {}: {error}", path.display(), index + 1).into()
}
