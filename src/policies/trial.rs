//! What policies would say after a change that is not made.

use std::collections::BTreeSet;

use super::{POLICIES_MAX, invalid, limit_reached, not_found, put::ensure_valid};
use crate::{
    cedar::{self, Compiled, Source, Text},
    db::Tx,
    error::Result,
    ids::{OrganizationId, TenantId},
    organizations,
};

/// A change that is only tried: of the organization's own policies, or the tenant's.
#[derive(Debug, Clone)]
pub enum Change {
    /// This policy is put.
    Put {
        /// Whether it is the tenant's.
        of_tenant: bool,
        /// What it is called there.
        name: String,
        /// What it says.
        text: String,
    },
    /// This policy is deleted.
    Delete {
        /// Whether it is the tenant's.
        of_tenant: bool,
        /// What it is called there.
        name: String,
    },
}

/// The policies that count in an organization.
#[derive(Debug)]
pub struct Sets {
    /// The tenant's.
    pub tenant: Compiled,
    /// The organization's own.
    pub organization: Compiled,
}

/// The policies that count, and those that would.
#[derive(Debug)]
pub struct Trial {
    /// As they are.
    pub now: Sets,
    /// As they would be.
    pub then: Sets,
}

/// Holds changes against the model, in memory alone. Fails with `INVALID_POLICY`.
pub async fn ensure_triable(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId, changes: &[Change]) -> Result<()> {
    organizations::get(tx, tenant_id, id).await?;
    for (index, change) in changes.iter().enumerate() {
        if let Change::Put { text, .. } = change {
            let field = format!("changes[{index}].put.text");
            let text = Text::parse(text).map_err(|messages| invalid(&field, &messages))?;
            ensure_valid(tx, tenant_id, &field, &text).await?;
        }
    }
    Ok(())
}

impl Trial {
    /// What changes make of the policies that count in an organization. Fails with `POLICY_NOT_FOUND`, `LIMIT_REACHED`.
    pub fn new(now: Sets, id: OrganizationId, changes: &[Change]) -> Result<Self> {
        let tenant = changed(&now.tenant, None, changes.iter().filter(|change| change.is_of_tenant()))?;
        let own = changed(&now.organization, Some(id), changes.iter().filter(|change| !change.is_of_tenant()))?;
        Ok(Self { then: Sets { tenant, organization: own }, now })
    }

    /// How many policies a question about this permission is put to.
    pub fn policies_count(&self, permission: &str) -> usize {
        let sets = [self.now.both(), self.then.both()].into_iter().flatten().flatten();
        sets.filter(|set| set.concerns(permission)).map(Compiled::len).sum()
    }
}

fn changed<'c>(
    set: &Compiled,
    organization_id: Option<OrganizationId>,
    changes: impl Iterator<Item = &'c Change>,
) -> Result<Compiled> {
    let (mut put, mut all) = (BTreeSet::new(), Vec::new());
    for change in changes {
        all.push(match change {
            Change::Put { name, text, .. } => {
                put.insert(name);
                cedar::Change::Put(Source { name, text, effect: None })
            }
            Change::Delete { name, .. } if put.remove(name) || set.contains(name) => cedar::Change::Delete(name),
            Change::Delete { name, .. } => return Err(not_found().with("policy", name)),
        });
    }
    let set = set.with_changes(all);
    if set.len() > POLICIES_MAX { Err(limit_reached(organization_id)) } else { Ok(set) }
}

impl Change {
    fn is_of_tenant(&self) -> bool {
        match self {
            Self::Put { of_tenant, .. } | Self::Delete { of_tenant, .. } => *of_tenant,
        }
    }
}

impl Sets {
    /// A copy of the policies that count.
    pub fn of([tenant, own]: [Option<&Compiled>; 2]) -> Self {
        Self { tenant: tenant.cloned().unwrap_or_default(), organization: own.cloned().unwrap_or_default() }
    }

    /// The sets that a decision asks, each for itself.
    pub fn both(&self) -> [Option<&Compiled>; 2] {
        [Some(&self.tenant), Some(&self.organization)]
    }
}
