//! The tree of teams of one organization.

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;
use std::hash::BuildHasher as _;
use uuid::Uuid;

use super::sets::{EMPTY, SetId};

/// The place of a team, which no other team ever gets.
pub type TeamRow = u32;

/// No team: above the highest ones.
const NONE: TeamRow = u32::MAX;

/// A team.
#[derive(Debug, Clone, Copy)]
pub struct Team {
    /// Its id.
    pub id: Uuid,
    parent: TeamRow,
    /// The set of the roles assigned to it.
    pub roles: SetId,
}

/// The teams of an organization.
#[derive(Debug, Default)]
pub struct Teams {
    rows: Vec<Team>,
    by_id: HashTable<TeamRow>,
}

/// Teams that a decision gathers: more than these are rare.
pub type Gathered = SmallVec<[TeamRow; 16]>;

impl Teams {
    /// The place of a team.
    pub fn find(&self, id: Uuid) -> Option<TeamRow> {
        self.by_id.find(hash(id), |row| self.rows[*row as usize].id == id).copied()
    }

    /// The team at a place.
    pub fn get(&self, row: TeamRow) -> &Team {
        &self.rows[row as usize]
    }

    /// The team above.
    pub fn parent(&self, row: TeamRow) -> Option<TeamRow> {
        Some(self.rows[row as usize].parent).filter(|parent| *parent != NONE)
    }

    /// The place of a team; a new one where it was not known.
    pub fn place(&mut self, id: Uuid) -> TeamRow {
        if let Some(row) = self.find(id) {
            return row;
        }
        self.rows.push(Team { id, parent: NONE, roles: EMPTY });
        let row = u32::try_from(self.rows.len() - 1).unwrap_or(NONE);
        let rows = &self.rows;
        self.by_id.insert_unique(hash(id), row, |row| hash(rows[*row as usize].id));
        row
    }

    /// Where a team hangs.
    pub fn set_parent(&mut self, row: TeamRow, parent: Option<TeamRow>) {
        self.rows[row as usize].parent = parent.unwrap_or(NONE);
    }

    /// Which roles it carries; answers the set from before.
    pub fn set_roles(&mut self, row: TeamRow, roles: SetId) -> SetId {
        std::mem::replace(&mut self.rows[row as usize].roles, roles)
    }

    /// Takes a team out; answers the set of its roles.
    pub fn remove(&mut self, id: Uuid) -> SetId {
        match self.by_id.find_entry(hash(id), |row| self.rows[*row as usize].id == id) {
            Ok(entry) => {
                let (row, _) = entry.remove();
                self.rows[row as usize].parent = NONE;
                self.set_roles(row, EMPTY)
            }
            Err(_) => EMPTY,
        }
    }

    /// These teams and all their ancestors, each once.
    pub fn with_ancestors(&self, teams: &[TeamRow]) -> Gathered {
        let mut gathered = Gathered::new();
        for team in teams {
            let mut next = Some(*team);
            while let Some(row) = next.filter(|row| !gathered.contains(row)) {
                gathered.push(row);
                next = self.parent(row);
            }
        }
        gathered
    }

    /// What they take, in bytes.
    pub fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Team>() + self.by_id.capacity() * 5
    }
}

fn hash(id: Uuid) -> u64 {
    FxBuildHasher.hash_one(id)
}
