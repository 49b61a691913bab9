//! Sets of numbers, each kept once: of roles, and of teams. A thousand members with the same roles share one.

use std::hash::{BuildHasher as _, BuildHasherDefault};

use hashbrown::HashTable;
use rustc_hash::FxHasher;

/// Which set. [`EMPTY`] is the empty one, which takes no room.
pub type SetId = u32;

/// The empty set.
pub const EMPTY: SetId = u32::MAX >> 3;

/// The sets of one organization.
#[derive(Debug, Default)]
pub struct Sets {
    rows: Vec<Row>,
    table: HashTable<SetId>,
    free: Vec<SetId>,
}

#[derive(Debug)]
struct Row {
    /// Ordered, each once.
    numbers: Box<[u32]>,
    uses: u32,
}

impl Sets {
    /// What is in a set, in order.
    pub fn get(&self, id: SetId) -> &[u32] {
        self.rows.get(id as usize).map_or(&[], |row| &row.numbers)
    }

    /// The set of these numbers, once more in use.
    pub fn take(&mut self, mut numbers: Vec<u32>) -> SetId {
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.is_empty() {
            return EMPTY;
        }
        let hash = hash(&numbers);
        let rows = &mut self.rows;
        if let Some(id) = self.table.find(hash, |id| *rows[*id as usize].numbers == *numbers) {
            rows[*id as usize].uses += 1;
            return *id;
        }
        let row = Row { numbers: numbers.into(), uses: 1 };
        let id = if let Some(id) = self.free.pop() {
            rows[id as usize] = row;
            id
        } else {
            rows.push(row);
            u32::try_from(rows.len() - 1).unwrap_or(EMPTY)
        };
        self.table.insert_unique(hash, id, |id| self::hash(&rows[*id as usize].numbers));
        id
    }

    /// A set is once less in use.
    pub fn release(&mut self, id: SetId) {
        let Some(row) = self.rows.get_mut(id as usize) else { return };
        row.uses -= 1;
        if row.uses == 0 {
            let numbers = std::mem::take(&mut row.numbers);
            if let Ok(entry) = self.table.find_entry(hash(&numbers), |found| *found == id) {
                entry.remove();
            }
            self.free.push(id);
        }
    }

    /// Another set in the place of this one: with a number more, or less.
    pub fn replace(&mut self, id: SetId, change: impl FnOnce(&mut Vec<u32>)) -> SetId {
        let mut numbers = self.get(id).to_vec();
        change(&mut numbers);
        let replaced = self.take(numbers);
        self.release(id);
        replaced
    }

    /// Gives back what growth left over.
    pub fn shrink(&mut self) {
        self.rows.shrink_to_fit();
        let rows = &self.rows;
        self.table.shrink_to_fit(|id| hash(&rows[*id as usize].numbers));
    }

    /// What they take, in bytes; a guess of 8 numbers for each.
    pub fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row>() + self.rows.len() * 32 + self.table.capacity() * 5
    }
}

fn hash(numbers: &[u32]) -> u64 {
    BuildHasherDefault::<FxHasher>::default().hash_one(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_are_one_and_unused_ones_make_room() {
        let mut sets = Sets::default();
        let (a, b, c) = (sets.take(vec![2, 1, 2]), sets.take(vec![1, 2]), sets.take(vec![3]));
        assert_eq!((a, sets.get(a)), (b, &[1, 2][..]));
        assert_ne!(a, c);
        sets.release(a);
        assert_eq!(sets.get(b), [1, 2]);
        sets.release(b);
        assert_eq!(sets.take(vec![9]), a, "the room of the set that nobody uses");
        assert_ne!(sets.take(vec![1, 2]), a);
        let grown = sets.replace(c, |numbers| numbers.push(4));
        assert_eq!(sets.get(grown), [3, 4]);
        assert_eq!(sets.take(Vec::new()), EMPTY);
        assert!(sets.get(EMPTY).is_empty());
    }
}
