//! What a change of a role would mean for those who hold it. Grants are not looked at.

use std::{
    collections::{BTreeSet, HashMap},
    str::FromStr,
};

use uuid::Uuid;

use super::{
    OWNER, Ranking, Role,
    delete::{Defaults, Instead, ensure_replaceable},
    ensure_known, get, scope, store,
};
use crate::{
    db::{
        Tx,
        page::{Page, Paged},
    },
    error::{Error, Reason, Result},
    ids::{MembershipId, OrganizationId, TenantId},
    memberships::{self, Membership},
    organizations::{self, Organization},
    permissions,
    teams::TeamRoles,
    tenants::{self, RoleMode, Tenant},
};

/// How many organizations are looked into for one page.
const ORGANIZATIONS_MAX: usize = 100;
/// How many bytes of slugs a page holds, up to one membership's more.
const BYTES_MAX: usize = 1 << 20;

/// A change that may come.
#[derive(Debug, Clone)]
pub struct Preview {
    /// The organization whose own role it is.
    pub organization_id: Option<OrganizationId>,
    /// Which.
    pub slug: String,
    /// What would be done to it.
    pub change: Planned,
}

/// What would be done to a role.
#[derive(Debug, Clone)]
pub enum Planned {
    /// It would have these permissions and patterns.
    Permissions(Vec<String>),
    /// It would be deleted.
    Deletion(Instead),
}

/// What would become of one membership.
#[derive(Debug)]
pub struct Effect {
    /// Whose it is.
    pub membership: Membership,
    /// What it would have and has not.
    pub gained: Vec<String>,
    /// What it has and would not have.
    pub lost: Vec<String>,
}

/// Where a page ended: in an organization, or behind it.
#[derive(Debug, Clone, Copy)]
struct Place {
    organization_id: OrganizationId,
    membership_id: Option<MembershipId>,
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (organization, membership) = text.split_once('/').ok_or(())?;
        let membership_id = if membership.is_empty() { None } else { Some(membership.parse()?) };
        Ok(Self { organization_id: organization.parse()?, membership_id })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let membership = self.membership_id.map(|id| id.to_string()).unwrap_or_default();
        write!(f, "{}/{membership}", self.organization_id)
    }
}

/// Who would gain and lose what; by organization and membership. A page is bounded by how many holders are looked at, by
/// how many organizations, and by its size, so it may be short, or empty, and have a next one.
pub async fn preview(tx: &mut Tx, tenant_id: TenantId, input: &Preview, page: &Page) -> Result<Paged<Effect>> {
    let mut plan = Plan::new(tx, tenant_id, input).await?;
    let (mut cursor, mut left) = (page.after::<Place>()?, i64::try_from(page.size()).unwrap_or(i64::MAX));
    let (mut effects, mut bytes) = (Vec::new(), 0);
    for _ in 0..ORGANIZATIONS_MAX {
        let Some((id, after)) = next(tx, &plan.role, cursor).await? else {
            return Ok(Paged { items: effects, next_page_token: String::new() });
        };
        let holders = memberships::holders_of_role(tx, &plan.role, id, after, left).await?;
        let mut house = House::open(tx, &plan, id, &holders).await?;
        cursor = Some(Place { organization_id: id, membership_id: None });
        for membership in holders {
            left -= 1;
            let place = Place { organization_id: id, membership_id: Some(membership.id) };
            if let Some(effect) = house.effect(tx, &mut plan, membership).await? {
                bytes += effect.gained.iter().chain(&effect.lost).map(String::len).sum::<usize>();
                effects.push(effect);
            }
            if left == 0 || bytes > BYTES_MAX {
                return Ok(Paged { items: effects, next_page_token: page.token(&place.to_string()) });
            }
        }
    }
    let next_page_token = cursor.map(|place| page.token(&place.to_string())).unwrap_or_default();
    Ok(Paged { items: effects, next_page_token })
}

/// The organization to look into, and behind which membership.
async fn next(
    tx: &mut Tx,
    role: &Role,
    cursor: Option<Place>,
) -> Result<Option<(OrganizationId, Option<MembershipId>)>> {
    match cursor {
        Some(Place { organization_id, membership_id: Some(id) }) => Ok(Some((organization_id, Some(id)))),
        cursor => {
            let after = cursor.map(|place| place.organization_id);
            Ok(store::next_organization(tx, role, after).await?.map(|id| (id, None)))
        }
    }
}

/// What would be done, and what is known of roles so far.
struct Plan {
    role: Role,
    change: Planned,
    tenant: Tenant,
    catalogue: Vec<String>,
    /// What the role would contain: places in the catalogue.
    planned: BTreeSet<usize>,
    /// What roles contain, by where they live and their slugs.
    contents: HashMap<(Uuid, String), BTreeSet<usize>>,
}

impl Plan {
    async fn new(tx: &mut Tx, tenant_id: TenantId, input: &Preview) -> Result<Self> {
        let role = get(tx, tenant_id, input.organization_id, &input.slug).await?;
        let tenant = tenants::get(tx, tenant_id).await?;
        let catalogue = permissions::slugs(tx, tenant_id).await?;
        let mut planned = BTreeSet::new();
        match &input.change {
            Planned::Permissions(_) if role.slug == OWNER => {
                return Err(Error::new(Reason::RoleNotEditable, "the role owner cannot be changed"));
            }
            Planned::Permissions(entries) => {
                ensure_known(tx, tenant_id, entries).await?;
                planned = contained(&catalogue, entries);
            }
            Planned::Deletion(instead) => {
                ensure_replaceable(tx, &role, instead).await?;
                Defaults::without(&role, instead, &tenant)?;
            }
        }
        let (change, contents) = (input.change.clone(), HashMap::new());
        Ok(Self { role, change, tenant, catalogue, planned, contents })
    }

    /// What some roles contain together in an organization; `planned` as if the change was made.
    async fn contents(
        &mut self,
        tx: &mut Tx,
        id: OrganizationId,
        roles: &BTreeSet<String>,
        planned: bool,
    ) -> Result<BTreeSet<usize>> {
        let mut together = BTreeSet::new();
        for slug in roles {
            if planned && *slug == self.role.slug {
                together.extend(&self.planned);
                continue;
            }
            let key = (scope(self.role.tenant_id, id, slug), slug.clone());
            if !self.contents.contains_key(&key) {
                let role = store::get(tx, self.role.tenant_id, key.0, slug).await?;
                let entries = role.map(|role| role.permissions.0).unwrap_or_default();
                self.contents.insert(key.clone(), contained(&self.catalogue, &entries));
            }
            together.extend(&self.contents[&key]);
        }
        Ok(together)
    }

    fn slugs(&self, places: impl Iterator<Item = usize>) -> Vec<String> {
        places.map(|place| self.catalogue[place].clone()).collect()
    }
}

/// The places of the catalogue that the entries of a role contain.
fn contained(catalogue: &[String], entries: &[String]) -> BTreeSet<usize> {
    let covered = |slug: &str| entries.iter().any(|entry| permissions::covers(entry, slug));
    catalogue.iter().enumerate().filter(|(_, slug)| covered(slug)).map(|(place, _)| place).collect()
}

/// One organization, as far as its holders of the role need it.
struct House {
    organization: Organization,
    ranking: Ranking,
    teams: Option<TeamRoles>,
}

impl House {
    async fn open(tx: &mut Tx, plan: &Plan, id: OrganizationId, holders: &[Membership]) -> Result<Self> {
        let tenant_id = plan.role.tenant_id;
        let organization = organizations::get(tx, tenant_id, id).await?;
        let ranking = Ranking::new(&organization, &plan.tenant);
        let teams = match (holders.first(), holders.last()) {
            (Some(first), Some(last)) => Some(TeamRoles::load(tx, tenant_id, id, first.id, last.id).await?),
            _ => None,
        };
        Ok(Self { organization, ranking, teams })
    }

    async fn effect(&mut self, tx: &mut Tx, plan: &mut Plan, membership: Membership) -> Result<Option<Effect>> {
        let direct: BTreeSet<String> = membership.roles.0.iter().map(|assignment| assignment.role.clone()).collect();
        let through = self.teams.as_ref().map(|teams| teams.of(membership.id)).unwrap_or_default();
        let before = self.counting(plan.tenant.role_mode, &direct | &through);
        let after = self.counting(plan.tenant.role_mode, self.afterwards(plan, direct, through)?);
        let had = plan.contents(tx, self.organization.id, &before, false).await?;
        let has = plan.contents(tx, self.organization.id, &after, true).await?;
        let (gained, lost) = (has.difference(&had).copied(), had.difference(&has).copied());
        let (gained, lost) = (plan.slugs(gained), plan.slugs(lost));
        Ok((!gained.is_empty() || !lost.is_empty()).then_some(Effect { membership, gained, lost }))
    }

    /// The roles that a membership would hold.
    fn afterwards(
        &self,
        plan: &Plan,
        mut direct: BTreeSet<String>,
        mut through: BTreeSet<String>,
    ) -> Result<BTreeSet<String>> {
        if let Planned::Deletion(instead) = &plan.change {
            if direct.remove(&plan.role.slug) {
                let defaults = Defaults::without(&plan.role, instead, &plan.tenant)?;
                direct.insert(instead.role().map_or_else(|| defaults.of(&self.organization), str::to_owned));
            }
            if through.remove(&plan.role.slug) {
                through.extend(instead.role().map(str::to_owned));
            }
        }
        Ok(&direct | &through)
    }

    /// Those of some roles that count.
    fn counting(&self, mode: RoleMode, roles: BTreeSet<String>) -> BTreeSet<String> {
        match mode {
            RoleMode::Union => roles,
            RoleMode::HighestPriority => self.ranking.highest(roles.iter()).cloned().into_iter().collect(),
        }
    }
}
