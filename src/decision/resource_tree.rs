//! The resources of one organization: their tree, and the grants on each.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::OnceLock,
};

use hashbrown::HashTable;
use uuid::Uuid;

use super::{members::MemberRow, symbols::PermissionId, symbols::RoleRef, team_tree::TeamRow};
use crate::clock::Timestamp;

/// The place of a resource, for as long as it is known.
pub type ResourceRow = u32;

/// No resource: above the highest ones.
const NONE: ResourceRow = u32::MAX;

/// Who holds a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// A membership.
    Member(MemberRow),
    /// A team, and the teams below it.
    Team(TeamRow),
    /// Everybody who holds the role.
    Role(RoleRef),
}

/// What a grant gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Everything that the role contains.
    Role(RoleRef),
    /// One permission.
    Permission(PermissionId),
}

/// A grant on a resource.
#[derive(Debug, Clone, Copy)]
pub struct Grant {
    /// Its id.
    pub id: Uuid,
    /// Who holds it.
    pub principal: Principal,
    /// What it gives.
    pub right: Right,
    /// When it ends; the end of time where it does not.
    ends_at: Timestamp,
}

impl Grant {
    /// A grant.
    pub fn new(id: Uuid, principal: Principal, right: Right, ends_at: Option<Timestamp>) -> Self {
        Self { id, principal, right, ends_at: ends_at.unwrap_or(Timestamp(i64::MAX)) }
    }

    /// Whether it has not ended.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        now < self.ends_at
    }
}

/// A resource that is registered, or that something is granted on.
#[derive(Debug)]
pub struct Resource {
    /// Its type, a NUL, its id: neither contains a NUL. Keys sort as (type, id).
    key: Box<str>,
    parent: ResourceRow,
    registered: bool,
    /// By principal.
    grants: Vec<Grant>,
}

impl Resource {
    /// Its type and id.
    pub fn name(&self) -> (&str, &str) {
        self.key.split_once('\0').unwrap_or((&self.key, ""))
    }

    /// The grants of a principal.
    pub fn grants_of(&self, principal: Principal) -> &[Grant] {
        let begin = self.grants.partition_point(|grant| grant.principal < principal);
        let of_it = self.grants[begin..].partition_point(|grant| grant.principal == principal);
        &self.grants[begin..begin + of_it]
    }

    /// Whether anything is granted on it.
    pub fn has_grants(&self) -> bool {
        !self.grants.is_empty()
    }
}

/// The resources of an organization.
#[derive(Debug, Default)]
pub struct Resources {
    rows: Vec<Resource>,
    free: Vec<ResourceRow>,
    by_key: HashTable<ResourceRow>,
    /// Callers choose the keys: the hash must not be foreseeable.
    hasher: Option<RandomState>,
    /// Rows by key, made when somebody lists them.
    sorted: OnceLock<Box<[ResourceRow]>>,
    /// What keys and grants take, about.
    bytes: usize,
}

impl Resources {
    /// The place of a resource.
    pub fn find(&self, kind: &str, id: &str) -> Option<ResourceRow> {
        let hash = self.hash(kind, id)?;
        self.by_key.find(hash, |row| self.rows[*row as usize].name() == (kind, id)).copied()
    }

    /// The resource at a place.
    pub fn get(&self, row: ResourceRow) -> &Resource {
        &self.rows[row as usize]
    }

    /// A resource, its parent, and so on: the nearest first.
    pub fn with_ancestors(&self, row: ResourceRow) -> impl Iterator<Item = ResourceRow> {
        let above = |row: &ResourceRow| Some(self.rows[*row as usize].parent).filter(|parent| *parent != NONE);
        // A tree is 16 deep at most; a state that says otherwise must not hold a decision up.
        std::iter::successors(Some(row), above).take(64)
    }

    /// Registers a resource, or moves it: below its parent, or to the top.
    pub fn put(&mut self, kind: &str, id: &str, parent: Option<(&str, &str)>) {
        let parent = parent.map_or(NONE, |(kind, id)| self.place(kind, id));
        let row = self.place(kind, id);
        let resource = &mut self.rows[row as usize];
        resource.registered = true;
        resource.parent = parent;
    }

    /// Takes a resource out of the tree. What is granted on it is taken back by itself.
    pub fn remove(&mut self, kind: &str, id: &str) {
        if let Some(row) = self.find(kind, id) {
            let resource = &mut self.rows[row as usize];
            resource.registered = false;
            resource.parent = NONE;
            self.forget_if_unused(row);
        }
    }

    /// Sets a grant, in the place of what had its id.
    pub fn grant(&mut self, kind: &str, id: &str, grant: Grant) {
        let row = self.place(kind, id);
        let grants = &mut self.rows[row as usize].grants;
        grants.retain(|present| present.id != grant.id);
        let place = grants.partition_point(|present| present.principal <= grant.principal);
        grants.insert(place, grant);
        self.bytes += size_of::<Grant>();
    }

    /// Ends a grant.
    pub fn revoke(&mut self, kind: &str, id: &str, grant_id: Uuid) {
        if let Some(row) = self.find(kind, id) {
            self.rows[row as usize].grants.retain(|grant| grant.id != grant_id);
            self.bytes = self.bytes.saturating_sub(size_of::<Grant>());
            self.forget_if_unused(row);
        }
    }

    /// All rows, by type and id.
    fn sorted(&self) -> &[ResourceRow] {
        self.sorted.get_or_init(|| {
            let mut rows: Box<[ResourceRow]> = self.by_key.iter().copied().collect();
            rows.sort_unstable_by(|a, b| self.rows[*a as usize].key.cmp(&self.rows[*b as usize].key));
            rows
        })
    }

    /// The rows behind a type and id, by type and id; all of them without one.
    pub fn sorted_after(&self, name: Option<(&str, &str)>) -> &[ResourceRow] {
        let rows = self.sorted();
        let behind = name.map_or(0, |name| rows.partition_point(|row| self.rows[*row as usize].name() <= name));
        &rows[behind..]
    }

    /// What they take, in bytes.
    pub fn bytes(&self) -> usize {
        let sorted = self.sorted.get().map_or(0, |rows| rows.len());
        let rows = self.rows.capacity() * size_of::<Resource>();
        rows + self.by_key.capacity() * 8 / 7 * 5 + (self.free.capacity() + sorted) * 4 + self.bytes
    }

    fn place(&mut self, kind: &str, id: &str) -> ResourceRow {
        if let Some(row) = self.find(kind, id) {
            return row;
        }
        let resource =
            Resource { key: [kind, "\0", id].concat().into(), parent: NONE, registered: false, grants: Vec::new() };
        self.bytes += resource.key.len() + 16;
        let row = if let Some(row) = self.free.pop() {
            self.rows[row as usize] = resource;
            row
        } else {
            self.rows.push(resource);
            u32::try_from(self.rows.len() - 1).unwrap_or(NONE)
        };
        let hasher = self.hasher.get_or_insert_with(RandomState::new);
        let rows = &self.rows;
        let rehash = |row: &ResourceRow| {
            let (kind, id) = rows[*row as usize].name();
            hash_of(hasher, kind, id)
        };
        self.by_key.insert_unique(hash_of(hasher, kind, id), row, rehash);
        self.sorted.take();
        row
    }

    /// A resource that is neither registered nor has grants is not known. (Nothing hangs below one that is not
    /// registered.)
    fn forget_if_unused(&mut self, row: ResourceRow) {
        let resource = &self.rows[row as usize];
        if resource.registered || resource.has_grants() {
            return;
        }
        let (kind, id) = resource.name();
        if let Some(hash) = self.hash(kind, id)
            && let Ok(entry) = self.by_key.find_entry(hash, |found| *found == row)
        {
            entry.remove();
        }
        self.bytes = self.bytes.saturating_sub(self.rows[row as usize].key.len() + 16);
        self.rows[row as usize].key = Box::default();
        self.free.push(row);
        self.sorted.take();
    }

    fn hash(&self, kind: &str, id: &str) -> Option<u64> {
        self.hasher.as_ref().map(|hasher| hash_of(hasher, kind, id))
    }
}

fn hash_of(hasher: &RandomState, kind: &str, id: &str) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(kind.as_bytes());
    hasher.write_u8(0);
    hasher.write(id.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(principal: Principal) -> Grant {
        Grant::new(Uuid::now_v7(), principal, Right::Permission(1), None)
    }

    #[test]
    fn grants_are_found_by_principal_and_resources_go_with_their_last_use() {
        let mut resources = Resources::default();
        assert_eq!(resources.find("repo", "a"), None);
        let grants: Vec<Grant> = (0..9).map(|row| grant(Principal::Member(row % 3))).collect();
        grants.iter().for_each(|grant| resources.grant("repo", "a", *grant));
        resources.grant("repo", "a", grant(Principal::Team(1)));
        let row = resources.find("repo", "a").unwrap();
        assert_eq!(resources.get(row).grants_of(Principal::Member(1)).len(), 3);
        assert_eq!(resources.get(row).grants_of(Principal::Team(1)).len(), 1);
        assert!(resources.get(row).grants_of(Principal::Team(0)).is_empty());
        grants.iter().for_each(|grant| resources.revoke("repo", "a", grant.id));
        let last = resources.get(row).grants_of(Principal::Team(1))[0].id;
        resources.revoke("repo", "a", last);
        assert_eq!(resources.find("repo", "a"), None);
    }

    #[test]
    fn a_tree_is_walked_upwards_and_listed_in_order() {
        let mut resources = Resources::default();
        resources.put("org", "k", None);
        resources.put("repo", "k/k", Some(("org", "k")));
        resources.put("path", "k/k/docs", Some(("repo", "k/k")));
        let names = |resources: &Resources| -> Vec<String> {
            let row = resources.find("path", "k/k/docs").unwrap();
            resources.with_ancestors(row).map(|row| resources.get(row).name().1.to_owned()).collect()
        };
        assert_eq!(names(&resources), ["k/k/docs", "k/k", "k"]);
        resources.put("path", "k/k/docs", Some(("org", "k")));
        assert_eq!(names(&resources), ["k/k/docs", "k"]);
        resources.remove("path", "k/k/docs");
        let listed: Vec<_> = resources.sorted().iter().map(|row| resources.get(*row).name()).collect();
        assert_eq!(listed, [("org", "k"), ("repo", "k/k")]);
    }
}
