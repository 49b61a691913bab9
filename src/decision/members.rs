//! The members of one organization: rows of 40 bytes, found by user and by membership.
//!
//! This table is what a million memberships cost. A row has no pointer of its own: roles and teams are numbers of
//! shared [`Sets`](super::sets::Sets), and the two ways to find it are tables of row numbers. Few memberships have an end:
//! those are kept apart.

use std::sync::OnceLock;

use hashbrown::HashTable;
use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::sets::{EMPTY, SetId};
use crate::clock::Timestamp;

/// The place of a row. It stays the same for as long as the membership lasts.
pub type MemberRow = u32;

/// The bits of `roles` that say where the membership stands: none where it is active.
const SUSPENDED: u32 = 1 << 31;
const PENDING: u32 = 1 << 30;
/// The bit of `roles` that says that the membership has an end.
const ENDS: u32 = 1 << 29;
/// The bits of `roles` that are the number of a set.
const SET: u32 = ENDS - 1;
const _: () = assert!(EMPTY <= SET);

/// Where a membership stands, other than a removed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The person has not come yet: invited, or put here before.
    Pending,
    /// May act, until this time where there is one.
    Active(Option<Timestamp>),
    /// Denied.
    Suspended,
}

/// A membership, other than a removed one.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Who.
    pub user_id: Uuid,
    /// The membership's id.
    pub membership_id: Uuid,
    /// The set of its roles, and where it stands.
    roles: u32,
    /// The set of the teams that it is in.
    pub teams: SetId,
}

const _: () = assert!(size_of::<Member>() == 40);

impl Member {
    /// The set of the roles assigned to it.
    pub fn roles(&self) -> SetId {
        self.roles & SET
    }
}

/// The members of an organization.
#[derive(Debug, Default)]
pub struct Members {
    rows: Vec<Member>,
    /// Rows that nobody has.
    free: Vec<MemberRow>,
    by_user: HashTable<MemberRow>,
    by_membership: HashTable<MemberRow>,
    /// The ends of those that have one and are active.
    ends: FxHashMap<MemberRow, Timestamp>,
    /// Rows by user, made when somebody lists them.
    sorted: OnceLock<Box<[MemberRow]>>,
}

impl Members {
    /// Makes room for this many, and no more.
    pub fn with_capacity(count: usize) -> Self {
        Self {
            rows: Vec::with_capacity(count),
            by_user: HashTable::with_capacity(count),
            by_membership: HashTable::with_capacity(count),
            ..Self::default()
        }
    }

    /// The row of a user.
    pub fn find(&self, user_id: Uuid) -> Option<MemberRow> {
        self.by_user.find(hash(user_id), |row| self.rows[*row as usize].user_id == user_id).copied()
    }

    /// The row of a membership.
    pub fn find_membership(&self, id: Uuid) -> Option<MemberRow> {
        self.by_membership.find(hash(id), |row| self.rows[*row as usize].membership_id == id).copied()
    }

    /// The member in a row.
    pub fn get(&self, row: MemberRow) -> &Member {
        &self.rows[row as usize]
    }

    /// Where the membership in a row stands.
    pub fn standing(&self, row: MemberRow) -> Standing {
        match self.get(row).roles & !SET {
            0 => Standing::Active(None),
            ENDS => Standing::Active(self.ends.get(&row).copied()),
            PENDING => Standing::Pending,
            _ => Standing::Suspended,
        }
    }

    /// How many there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    /// Adds a member who is in no team yet.
    pub fn add(&mut self, user_id: Uuid, membership_id: Uuid, standing: Standing, roles: SetId) {
        let member = Member { user_id, membership_id, roles, teams: EMPTY };
        let row = if let Some(row) = self.free.pop() {
            self.rows[row as usize] = member;
            row
        } else {
            self.make_room();
            self.rows.push(member);
            u32::try_from(self.rows.len() - 1).unwrap_or(u32::MAX)
        };
        self.set_roles(row, standing, roles);
        let rows = &self.rows;
        self.by_user.insert_unique(hash(user_id), row, |row| hash(rows[*row as usize].user_id));
        self.by_membership.insert_unique(hash(membership_id), row, |row| hash(rows[*row as usize].membership_id));
        self.sorted.take();
    }

    /// Grows by an eighth rather than by doubling: rows are most of what an index takes.
    fn make_room(&mut self) {
        if self.rows.len() == self.rows.capacity() {
            self.rows.reserve_exact(self.rows.len() / 8 + 4);
        }
    }

    /// Where a member stands now, and with which roles; answers the set of roles from before.
    pub fn set_roles(&mut self, row: MemberRow, standing: Standing, roles: SetId) -> SetId {
        let bits = match standing {
            Standing::Active(None) => 0,
            Standing::Active(Some(_)) => ENDS,
            Standing::Pending => PENDING,
            Standing::Suspended => SUSPENDED,
        };
        let member = &mut self.rows[row as usize];
        let (before, had_end) = (member.roles(), member.roles & ENDS != 0);
        member.roles = roles | bits;
        if let Standing::Active(Some(ends_at)) = standing {
            self.ends.insert(row, ends_at);
        } else if had_end {
            self.ends.remove(&row);
        }
        before
    }

    /// The teams that a member is in now.
    pub fn set_teams(&mut self, row: MemberRow, teams: SetId) {
        self.rows[row as usize].teams = teams;
    }

    /// Takes a member out.
    pub fn remove(&mut self, row: MemberRow) -> Member {
        let member = self.rows[row as usize];
        self.set_roles(row, Standing::Suspended, EMPTY);
        if let Ok(entry) = self.by_user.find_entry(hash(member.user_id), |found| *found == row) {
            entry.remove();
        }
        if let Ok(entry) = self.by_membership.find_entry(hash(member.membership_id), |found| *found == row) {
            entry.remove();
        }
        self.free.push(row);
        self.sorted.take();
        member
    }

    /// All rows, by user.
    fn sorted(&self) -> &[MemberRow] {
        self.sorted.get_or_init(|| {
            let mut rows: Box<[MemberRow]> = self.by_user.iter().copied().collect();
            rows.sort_unstable_by_key(|row| self.rows[*row as usize].user_id);
            rows
        })
    }

    /// The rows behind a user, by user; all of them without one.
    pub fn sorted_after(&self, user_id: Option<Uuid>) -> &[MemberRow] {
        let rows = self.sorted();
        let behind = user_id.map_or(0, |id| rows.partition_point(|row| self.rows[*row as usize].user_id <= id));
        &rows[behind..]
    }

    /// What they take, in bytes.
    pub fn bytes(&self) -> usize {
        let tables = self.by_user.capacity() + self.by_membership.capacity();
        let sorted = self.sorted.get().map_or(0, |rows| rows.len());
        let ends = self.ends.capacity() * (size_of::<(MemberRow, Timestamp)>() + 1) * 8 / 7;
        // A table has eight buckets for seven entries, and a byte beside each.
        self.rows.capacity() * size_of::<Member>() + tables * 8 / 7 * 5 + (self.free.capacity() + sorted) * 4 + ends
    }
}

/// Ids are made by this service: nobody chooses what they hash to. Their last bytes are random (RFC 9562, section 5.7).
fn hash(id: Uuid) -> u64 {
    let (_, random) = id.as_u64_pair();
    random.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(place: usize) -> Standing {
        let ends_at = Timestamp(i64::try_from(place).unwrap());
        [Standing::Pending, Standing::Active(None), Standing::Active(Some(ends_at)), Standing::Suspended][place % 4]
    }

    #[test]
    fn an_end_is_kept_for_as_long_as_it_counts() {
        let (mut members, user) = (Members::with_capacity(1), Uuid::now_v7());
        let ends = Standing::Active(Some(Timestamp(7)));
        members.add(user, Uuid::now_v7(), ends, EMPTY);
        let row = members.find(user).unwrap();
        for (standing, kept) in [(ends, 1), (Standing::Suspended, 0), (ends, 1), (Standing::Active(None), 0), (ends, 1)]
        {
            assert_eq!(members.set_roles(row, standing, EMPTY), EMPTY);
            assert_eq!((members.standing(row), members.ends.len()), (standing, kept));
        }
        members.remove(row);
        assert!(members.ends.is_empty(), "whoever has the row next has no end");
    }

    #[test]
    fn members_are_found_by_both_ids_until_they_leave() {
        let mut members = Members::with_capacity(2);
        let ids: Vec<(Uuid, Uuid)> = (0..500).map(|_| (Uuid::now_v7(), Uuid::now_v7())).collect();
        for (place, (user, membership)) in ids.iter().enumerate() {
            members.add(*user, *membership, standing(place), 7);
        }
        for (user, membership) in ids.iter().step_by(3) {
            let row = members.find(*user).unwrap();
            assert_eq!(members.remove(row).membership_id, *membership);
        }
        let (late, later) = (Uuid::now_v7(), Uuid::now_v7());
        members.add(late, later, Standing::Active(None), EMPTY);
        for (place, (user, membership)) in ids.iter().enumerate() {
            let row = members.find(*user);
            assert_eq!(row, members.find_membership(*membership));
            assert_eq!(row.is_some(), place % 3 != 0);
            if let Some(row) = row {
                let member = members.get(row);
                assert_eq!((member.user_id, member.roles()), (*user, 7));
                assert_eq!(members.standing(row), standing(place));
            }
        }
        assert_eq!(members.find_membership(later), members.find(late));
        assert_eq!(members.sorted().len(), members.len());
        assert!(members.sorted_after(Some(late)).is_empty(), "the newest id sorts last");
        assert!(members.sorted().is_sorted_by_key(|row| members.get(*row).user_id));
    }
}
