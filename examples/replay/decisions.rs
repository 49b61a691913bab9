//! The truth table: who may do what with which repository.

use std::collections::{BTreeMap, HashMap};

use roster::proto::v1::{
    BatchCheckRequest, CheckEntry, CheckReason, CheckResult, Consistency, consistency::Requirement,
};
use tonic::Status;

use crate::{apply::repository, changes::Level, facts::Expected, service::Service};

/// The most that one BatchCheck takes.
pub const BATCH_MAX: usize = 10_000;

/// Organization, repository, highest level, users.
pub type Access = BTreeMap<String, BTreeMap<String, BTreeMap<Level, Vec<String>>>>;

/// One cell of the table.
pub struct Cell<'a> {
    user: &'a str,
    repo: &'a str,
    level: Level,
    allowed: bool,
}

/// Every cell of an organization: every member, every repository with a grant, every level.
pub fn table<'a>(access: &'a Access, org: &str, state: &'a Expected) -> Vec<Cell<'a>> {
    let repositories = access.get(org).into_iter().flatten();
    repositories.flat_map(|(repo, levels)| row(repo, levels, state)).collect()
}

fn row<'a>(repo: &'a str, levels: &'a BTreeMap<Level, Vec<String>>, state: &'a Expected) -> Vec<Cell<'a>> {
    let by_user = |(level, users): (&Level, &'a Vec<String>)| {
        let level = *level;
        users.iter().map(move |user| (user.as_str(), level))
    };
    let highest: HashMap<&str, Level> = levels.iter().flat_map(by_user).collect();
    let cells = |user: &'a String| {
        let highest = highest.get(user.as_str()).copied();
        Level::ALL.map(|level| Cell { user, repo, level, allowed: highest.is_some_and(|highest| level <= highest) })
    };
    state.members.keys().flat_map(cells).collect()
}

/// Asks the service for some cells of an organization. Answers every difference as a sentence.
pub async fn differences(
    service: &Service,
    org: (&str, &str),
    user_ids: &HashMap<&str, &str>,
    cells: &[Cell<'_>],
) -> Result<Vec<String>, Status> {
    let (slug, organization_id) = org;
    let entry = |cell: &Cell<'_>| CheckEntry {
        // An unknown user has no id, which the service tells as an error of the entry: a difference.
        user_id: user_ids.get(cell.user).map(|id| (*id).to_owned()).unwrap_or_default(),
        permission: cell.level.permission(),
        resource: Some(repository(cell.repo)),
        ..CheckEntry::default()
    };
    let request = BatchCheckRequest {
        organization_id: organization_id.to_owned(),
        entries: cells.iter().map(entry).collect(),
        consistency: Some(Consistency { requirement: Some(Requirement::FullyConsistent(true)) }),
    };
    let answer = service.authorization().batch_check(request).await?.into_inner();
    if answer.results.len() != cells.len() {
        let message = format!("{} results for {} entries", answer.results.len(), cells.len());
        return Err(Status::data_loss(message));
    }
    Ok(cells.iter().zip(&answer.results).filter_map(|(cell, result)| difference(slug, cell, result)).collect())
}

fn difference(org: &str, cell: &Cell<'_>, result: &CheckResult) -> Option<String> {
    let Cell { user, repo, level, allowed } = cell;
    let wanted = if *allowed { "allowed" } else { "denied" };
    let question = format_args!("{org}: {user} is to be {wanted} {} on {repo}", level.name());
    match &result.error {
        Some(error) => Some(format!("{question}, the answer is {}: {}", error.reason, error.message)),
        None if result.allowed == *allowed => None,
        None => Some(format!("{question}, is not ({})", reason(result.reason()))),
    }
}

fn reason(reason: CheckReason) -> &'static str {
    reason.as_str_name().trim_start_matches("CHECK_REASON_")
}
