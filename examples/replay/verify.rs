//! Whether the service holds what it is to hold, and decides as it is to decide.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::BufReader,
    path::Path,
};

use indicatif::HumanCount;
use roster::proto::v1::Organization;
use serde::de::DeserializeOwned;

use crate::{
    Failure,
    decisions::{self, Access, BATCH_MAX},
    facts::{self, Expected},
    listing,
    patience::Patience,
    progress::Progress,
    service::Service,
};

/// How many differences to tell one by one.
const TOLD_MAX: usize = 10;

type State = BTreeMap<String, Expected>;

/// Compares the state and every decision with the files of a folder. Tells and answers the number of differences.
pub async fn verify(service: &Service, patience: &Patience, folder: &Path) -> Result<usize, Failure> {
    let expected: State = read(&folder.join("final.json"))?;
    let access: Access = read(&folder.join("expected-access.json"))?;
    let organizations = patience.persist(async || listing::organizations(service).await).await?;
    let users = patience.persist(async || facts::users(service).await).await?;

    let state = compare_state(service, patience, &expected, &organizations, &users).await?;
    tell(&state);
    println!("state: {} differences", HumanCount(state.len() as u64));

    let ids = users.iter().map(|(id, name)| (name.as_str(), id.as_str())).collect();
    let (checked, decisions) = compare_decisions(service, patience, &expected, &access, &organizations, &ids).await?;
    tell(&decisions);
    let different = HumanCount(decisions.len() as u64);
    println!("decisions: {} checked, {different} differences", HumanCount(checked as u64));
    Ok(state.len() + decisions.len())
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(serde_json::from_reader(BufReader::new(file)).map_err(|error| format!("{}: {error}", path.display()))?)
}

fn tell(differences: &[String]) {
    for difference in differences.iter().take(TOLD_MAX) {
        println!("  {difference}");
    }
}

async fn compare_state(
    service: &Service,
    patience: &Patience,
    expected: &State,
    organizations: &[Organization],
    users: &HashMap<String, String>,
) -> Result<Vec<String>, Failure> {
    // Every fact counts, so that one held twice is a difference too.
    let mut balance: BTreeMap<String, i64> = BTreeMap::new();
    for fact in expected.iter().flat_map(|(org, state)| facts::expected(org, state)) {
        *balance.entry(fact).or_default() -= 1;
    }
    for organization in organizations {
        for fact in patience.persist(async || facts::held(service, organization, users).await).await? {
            *balance.entry(fact).or_default() += 1;
        }
    }
    Ok(balance.into_iter().filter(|(_, balance)| *balance != 0).map(difference).collect())
}

fn difference((fact, balance): (String, i64)) -> String {
    if balance < 0 { format!("missing: {fact}") } else { format!("not expected: {fact}") }
}

/// Answers how many decisions were checked, and the differences.
async fn compare_decisions(
    service: &Service,
    patience: &Patience,
    expected: &State,
    access: &Access,
    organizations: &[Organization],
    user_ids: &HashMap<&str, &str>,
) -> Result<(usize, Vec<String>), Failure> {
    let mut differences = Vec::new();
    let tables: Vec<_> = expected.iter().map(|(org, state)| (org, decisions::table(access, org, state))).collect();
    let count = tables.iter().map(|(_, cells)| cells.len()).sum();
    let progress = Progress::start(count, "decisions")?;
    for (org, cells) in &tables {
        let Some(organization_id) = id_of(organizations, org) else {
            differences.extend(cells.iter().map(|_| format!("{org}: is not there to be asked about")));
            continue;
        };
        for batch in cells.chunks(BATCH_MAX) {
            let ask = async || decisions::differences(service, (org, organization_id), user_ids, batch).await;
            differences.extend(patience.persist(ask).await.map_err(|failure| context(org, &failure))?);
            progress.add(batch.len());
        }
    }
    Ok((count, differences))
}

fn id_of<'a>(organizations: &'a [Organization], slug: &str) -> Option<&'a str> {
    organizations.iter().find(|held| held.slug == slug).map(|held| held.organization_id.as_str())
}

fn context(org: &str, failure: &Failure) -> Failure {
    format!("checking decisions in {org}: {failure}").into()
}
