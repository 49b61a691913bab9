//! Numbers in the place of slugs: what a tenant's states share, so that a decision compares integers.
//!
//! A slug keeps its number for as long as the tenant is in the index, whatever becomes of the permission or the role.

use std::collections::HashMap;

use parking_lot::RwLock;

/// The number of a permission's slug.
pub type PermissionId = u32;

/// A role in an organization: the number of a tenant role's slug, or the place of one of the organization's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleRef(pub u32);

/// The bit that tells an organization's own roles from the tenant's.
const OWN: u32 = 1 << 31;

impl RoleRef {
    /// One of the organization's own, by its place there.
    pub fn own(place: usize) -> Self {
        Self(u32::try_from(place).unwrap_or(u32::MAX) | OWN)
    }

    /// Which of the organization's own it is, if it is one.
    pub fn own_place(self) -> Option<usize> {
        (self.0 & OWN != 0).then_some((self.0 & !OWN) as usize)
    }
}

/// The numbers of a tenant's slugs.
#[derive(Debug, Default)]
pub struct Symbols {
    permissions: RwLock<Names>,
    roles: RwLock<Names>,
}

impl Symbols {
    /// The number of a permission.
    pub fn permission(&self, slug: &str) -> PermissionId {
        number(&self.permissions, slug)
    }

    /// How many permissions have numbers: those with a higher one came later.
    pub fn permissions_len(&self) -> u32 {
        self.permissions.read().len()
    }

    /// Every permission that ever had a number.
    pub fn for_each_permission(&self, mut each: impl FnMut(PermissionId, &str)) {
        for (id, slug) in self.permissions.read().slugs.iter().enumerate() {
            each(u32::try_from(id).unwrap_or(u32::MAX), slug);
        }
    }

    /// A tenant's role.
    pub fn role(&self, slug: &str) -> RoleRef {
        RoleRef(number(&self.roles, slug))
    }

    /// The slug of a tenant's role.
    pub fn role_slug(&self, role: RoleRef) -> Box<str> {
        self.roles.read().slug(role.0)
    }
}

#[derive(Debug, Default)]
struct Names {
    numbers: HashMap<Box<str>, u32>,
    slugs: Vec<Box<str>>,
}

impl Names {
    fn len(&self) -> u32 {
        u32::try_from(self.slugs.len()).unwrap_or(u32::MAX)
    }

    fn slug(&self, number: u32) -> Box<str> {
        self.slugs.get(number as usize).cloned().unwrap_or_default()
    }
}

fn number(names: &RwLock<Names>, slug: &str) -> u32 {
    if let Some(number) = names.read().numbers.get(slug) {
        return *number;
    }
    let mut names = names.write();
    if let Some(number) = names.numbers.get(slug) {
        return *number;
    }
    let number = names.len();
    names.numbers.insert(slug.into(), number);
    names.slugs.push(slug.into());
    number
}
