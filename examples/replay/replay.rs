//! All changes: in order within an organization, the organizations at once.

use std::{cell::Cell, collections::BTreeMap, path::PathBuf, rc::Rc};

use indicatif::HumanCount;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    Failure,
    apply::apply,
    changes::Change,
    checkpoint::{AHEAD_MAX, Checkpoint},
    directory::Directory,
    doubt::Doubt,
    patience::{Patience, may_pass, tell},
    progress::{Progress, rate},
    service::Service,
    stop::Stop,
};

/// How to replay.
pub struct Settings {
    /// How many changes to have under way at once.
    pub concurrency: usize,
    /// Where to remember what was acknowledged.
    pub checkpoint: Option<PathBuf>,
}

/// Replays the changes to the end, to a failure or until it is asked to stop, and tells what it did.
pub async fn replay(
    service: &Rc<Service>,
    patience: &Rc<Patience>,
    stop: &Stop,
    changes: Vec<Change>,
    settings: Settings,
) -> Result<(), Failure> {
    let checkpoint = settings.checkpoint.as_deref().map(Checkpoint::open).transpose()?;
    let queues = queues(changes, checkpoint.as_ref());
    let run = Rc::new(Run {
        service: service.clone(),
        patience: patience.clone(),
        stop: stop.clone(),
        slots: Semaphore::new(settings.concurrency),
        progress: Progress::start(queues.iter().map(Queue::remaining).sum(), "changes")?,
        already_applied: Cell::new(0),
        checkpoint,
    });
    let outcome = run.all(queues).await;
    // Whatever ended the run: what was acknowledged is remembered.
    let saved = run.save().await;
    run.tell();
    outcome.and(saved)
}

/// The changes of one organization, in their order.
struct Queue {
    org: String,
    changes: Vec<Change>,
    /// How many of them the checkpoint has. Absent: it does not know the organization.
    acknowledged: Option<usize>,
}

impl Queue {
    fn remaining(&self) -> usize {
        self.changes.len() - self.acknowledged.unwrap_or(0)
    }

    /// How many changes from the first may have been made before. Those after the checkpoint are bounded by how far a run
    /// may be ahead of it; an organization that it does not know but the service does may have them all.
    fn in_doubt(&self, exists: bool) -> usize {
        match self.acknowledged {
            Some(acknowledged) => acknowledged + AHEAD_MAX + 1,
            None if exists => self.changes.len(),
            None => 0,
        }
    }
}

fn queues(changes: Vec<Change>, checkpoint: Option<&Checkpoint>) -> Vec<Queue> {
    let mut by_organization: BTreeMap<String, Vec<Change>> = BTreeMap::new();
    for change in changes {
        by_organization.entry(change.org.clone()).or_default().push(change);
    }
    let queue = |(org, changes): (String, Vec<Change>)| {
        let last = checkpoint.and_then(|checkpoint| checkpoint.last(&org));
        let acknowledged = last.map(|last| changes.partition_point(|change| change.n <= last));
        Queue { org, changes, acknowledged }
    };
    by_organization.into_iter().map(queue).collect()
}

/// What the organizations of one run share.
struct Run {
    service: Rc<Service>,
    patience: Rc<Patience>,
    stop: Stop,
    slots: Semaphore,
    checkpoint: Option<Checkpoint>,
    progress: Progress,
    already_applied: Cell<u64>,
}

impl Run {
    async fn all(self: &Rc<Self>, queues: Vec<Queue>) -> Result<(), Failure> {
        let mut organizations = JoinSet::new();
        for queue in queues {
            let run = self.clone();
            organizations.spawn_local(async move { run.organization(&queue).await });
        }
        let finish = async {
            while let Some(outcome) = organizations.join_next().await {
                outcome??;
            }
            Ok(())
        };
        tokio::select! {
            outcome = finish => outcome,
            failure = self.keep_saving() => Err(failure),
        }
    }

    async fn organization(&self, queue: &Queue) -> Result<(), Failure> {
        if queue.remaining() == 0 || self.stop.is_asked() {
            return Ok(());
        }
        let load = self.patience.persist(async || Directory::load(&self.service, &queue.org).await);
        let mut directory = tokio::select! {
            directory = load => directory?,
            () = self.stop.asked() => return Ok(()),
        };
        let in_doubt = queue.in_doubt(directory.exists());
        for (place, change) in queue.changes.iter().enumerate().skip(queue.acknowledged.unwrap_or(0)) {
            self.stay_near(queue, place).await;
            let doubt = if place < in_doubt { Doubt::Overtaken } else { Doubt::None };
            if !self.settle(&mut directory, change, doubt).await? {
                return Ok(());
            }
            self.acknowledge(change);
        }
        Ok(())
    }

    /// Waits until the checkpoint is near enough to send the change at a place.
    async fn stay_near(&self, queue: &Queue, place: usize) {
        let Some(checkpoint) = &self.checkpoint else { return };
        if let Some(behind) = place.checked_sub(AHEAD_MAX + 1) {
            checkpoint.has(&queue.org, queue.changes[behind].n).await;
        }
    }

    /// Sends a change until it is made. Answers whether it is: not where the run is to stop first.
    async fn settle(&self, directory: &mut Directory, change: &Change, mut doubt: Doubt) -> Result<bool, Failure> {
        let _slot = self.slots.acquire().await?;
        for attempt in 0.. {
            if self.stop.is_asked() {
                return Ok(false);
            }
            match apply(&self.service, directory, change).await {
                Ok(()) => break,
                Err(status) if doubt.explains(&change.op, &status) => {
                    self.already_applied.set(self.already_applied.get() + 1);
                    break;
                }
                Err(status) if may_pass(&status) => self.pause(attempt, &status).await?,
                Err(status) => return Err(format!("{change:?} was refused: {}", tell(&status)).into()),
            }
            doubt = doubt.max(Doubt::Sent);
        }
        self.patience.succeeded();
        Ok(true)
    }

    /// Waits before the next attempt, or until the run is to stop.
    async fn pause(&self, attempt: u32, status: &tonic::Status) -> Result<(), Failure> {
        tokio::select! {
            waited = self.patience.wait(attempt, status) => waited,
            () = self.stop.asked() => Ok(()),
        }
    }

    fn acknowledge(&self, change: &Change) {
        if let Some(checkpoint) = &self.checkpoint {
            checkpoint.acknowledge(&change.org, change.n);
        }
        self.progress.add(1);
    }

    async fn keep_saving(&self) -> Failure {
        match &self.checkpoint {
            Some(checkpoint) => checkpoint.keep_saving().await,
            None => std::future::pending().await,
        }
    }

    async fn save(&self) -> Result<(), Failure> {
        match &self.checkpoint {
            Some(checkpoint) => checkpoint.save().await,
            None => Ok(()),
        }
    }

    fn tell(&self) {
        let (count, elapsed) = (self.progress.count(), self.progress.elapsed());
        println!(
            "replayed: {} changes in {:.1} seconds, {:.1} changes per second, {} already applied, {} retries",
            HumanCount(count),
            elapsed.as_secs_f64(),
            rate(count, elapsed),
            HumanCount(self.already_applied.get()),
            HumanCount(self.patience.retries()),
        );
    }
}
