//! What the service acknowledged, kept in a file.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{fs, io::AsyncWriteExt as _, sync::watch};

use crate::Failure;

/// How far an organization may run ahead of the file: this many changes are in doubt after a crash, and no more.
pub const AHEAD_MAX: usize = 256;

const INTERVAL: Duration = Duration::from_millis(100);

/// The number of the last acknowledged change of every organization.
type Numbers = BTreeMap<String, u64>;

/// The numbers, and those of them that are in the file.
pub struct Checkpoint {
    path: PathBuf,
    acknowledged: RefCell<Numbers>,
    saved: watch::Sender<Numbers>,
}

impl Checkpoint {
    /// Reads the file; a missing one is an empty one.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let numbers = match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => Numbers::new(),
            Err(error) => return Err(format!("{}: {error}", path.display()).into()),
        };
        Ok(Self {
            path: path.to_owned(),
            acknowledged: RefCell::new(numbers.clone()),
            saved: watch::Sender::new(numbers),
        })
    }

    /// The last change of an organization that the file has.
    pub fn last(&self, org: &str) -> Option<u64> {
        self.saved.borrow().get(org).copied()
    }

    /// Takes note of a change that the service answered.
    pub fn acknowledge(&self, org: &str, n: u64) {
        self.acknowledged.borrow_mut().insert(org.to_owned(), n);
    }

    /// Waits until the file has a change, or a later one, of an organization.
    pub async fn has(&self, org: &str, n: u64) {
        let reached = |numbers: &Numbers| numbers.get(org).is_some_and(|last| *last >= n);
        // It cannot fail: the sender is this.
        let _ = self.saved.subscribe().wait_for(reached).await;
    }

    /// Saves the numbers again and again. Ends only by failing.
    pub async fn keep_saving(&self) -> Failure {
        loop {
            tokio::time::sleep(INTERVAL).await;
            if let Err(failure) = self.save().await {
                return failure;
            }
        }
    }

    /// Puts the numbers into the file: all of them or, where this fails or dies, none.
    pub async fn save(&self) -> Result<(), Failure> {
        let numbers = self.acknowledged.borrow().clone();
        if *self.saved.borrow() == numbers {
            return Ok(());
        }
        let written = write(&self.path, &serde_json::to_vec_pretty(&numbers)?).await;
        written.map_err(|error| format!("{}: {error}", self.path.display()))?;
        self.saved.send_replace(numbers);
        Ok(())
    }
}

async fn write(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = fs::File::create(&beside).await?;
    file.write_all(text).await?;
    file.sync_all().await?;
    fs::rename(&beside, path).await
}
