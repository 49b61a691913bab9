//! Many who write at once, through every replica, and remember what they were told.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{Caller, chance::Chance, reason, text};

/// How long a call is waited for: a replica may be frozen.
const CALL_MAX: Duration = Duration::from_secs(3);
/// How long to wait before the same request is sent again.
const AGAIN: Duration = Duration::from_millis(50);
/// Why a call may be refused while there are faults. (A connection that breaks gives no reason.)
const MAY_BE: [&str; 4] = ["", "STORAGE_UNAVAILABLE", "OUTCOME_UNKNOWN", "SHUTTING_DOWN"];

/// A change that was asked for.
#[derive(Debug, Clone)]
pub struct Change {
    pub request_id: String,
    /// When it was acknowledged, and its revision: nothing where it never was.
    pub acknowledged: Option<(Instant, String)>,
    /// How often it was refused, or its connection broke.
    pub refused: u32,
}

/// Who writes, and what they know.
pub struct Writers {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    changes: Arc<Mutex<Vec<Change>>>,
    surprises: Arc<Mutex<Vec<String>>>,
}

/// How many write, how often each.
#[derive(Clone, Copy)]
pub struct Pace {
    pub writers: u64,
    pub organizations: u64,
    /// Between two changes of one of them.
    pub pause: Duration,
}

impl Writers {
    /// Makes the organizations, then begins.
    pub async fn begin(addresses: &[String], key: &str, pace: Pace) -> Self {
        let root = Caller::connect(&addresses[0], Some(key.to_owned())).await;
        let mut organizations = Vec::new();
        for number in 0..pace.organizations {
            let slug = format!("org-{number}-{}", uuid::Uuid::now_v7().simple());
            let made = root.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
            organizations.push(text(&made["organization"]["organizationId"]));
        }
        let stop = CancellationToken::new();
        let (changes, surprises) = (Arc::default(), Arc::default());
        let mut tasks = Vec::new();
        for number in 0..pace.writers {
            let mut replicas = Vec::new();
            for address in addresses {
                replicas.push(Caller::connect(address, Some(key.to_owned())).await);
            }
            let writer = Writer {
                number,
                replicas,
                organizations: organizations.clone(),
                stop: stop.clone(),
                changes: Arc::clone(&changes),
                surprises: Arc::clone(&surprises),
            };
            tasks.push(tokio::spawn(writer.write(pace.pause)));
        }
        Self { stop, tasks, changes, surprises }
    }

    /// When the first change that was acknowledged after this was.
    pub fn first_after(&self, instant: Instant) -> Option<Instant> {
        let changes = self.changes.lock();
        let times = changes.iter().rev().filter_map(|change| change.acknowledged.as_ref()).map(|(at, _)| *at);
        times.take_while(|at| *at > instant).min()
    }

    /// Ends them. No call was refused for another reason than that the service or its database was away.
    pub async fn end(self) -> Vec<Change> {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
        assert_eq!(*self.surprises.lock(), [""; 0], "refused, and not for want of the service or its database");
        self.changes.lock().clone()
    }
}

struct Writer {
    number: u64,
    replicas: Vec<Caller>,
    organizations: Vec<String>,
    stop: CancellationToken,
    changes: Arc<Mutex<Vec<Change>>>,
    surprises: Arc<Mutex<Vec<String>>>,
}

impl Writer {
    async fn write(self, pause: Duration) {
        let mut chance = Chance(self.number);
        while !self.stop.is_cancelled() {
            let request_id = uuid::Uuid::now_v7().to_string();
            let (method, request) = self.request(&mut chance, &request_id);
            let change = Change { request_id, acknowledged: None, refused: 0 };
            let change = self.ask(&mut chance, method, &request, change).await;
            self.changes.lock().push(change);
            tokio::time::sleep(pause.mul_f64(chance.below(200) as f64 / 100.0)).await;
        }
    }

    /// One event in one stream, two events in two, or several at once.
    fn request(&self, chance: &mut Chance, request_id: &str) -> (&'static str, Value) {
        let organization = chance.one_of(&self.organizations);
        let member = |number: u64| json!({"email": format!("{request_id}-{number}@example.com")});
        let (method, mut request) = match chance.below(10) {
            0..6 => ("GrantService/PutResource", json!({"resource": {"type": "doc", "id": request_id}})),
            6..9 => ("MembershipService/AddMember", json!({"member": member(0)})),
            _ => {
                let members: Vec<_> = (0..chance.below(5) + 2).map(member).collect();
                ("MembershipService/BatchAddMembers", json!({"members": members}))
            }
        };
        request["organizationId"] = json!(organization);
        request["requestId"] = json!(request_id);
        (method, request)
    }

    /// Asks until there is an answer, of whichever replica; or, now and then, gives up.
    async fn ask(&self, chance: &mut Chance, method: &str, request: &Value, mut change: Change) -> Change {
        let mut replica = usize::try_from(chance.below(self.replicas.len() as u64)).unwrap();
        loop {
            let call = self.replicas[replica].try_call(method, request.clone());
            match tokio::time::timeout(CALL_MAX, call).await {
                Ok(Ok(answer)) => {
                    change.acknowledged = Some((Instant::now(), text(&answer["revision"])));
                    return change;
                }
                Ok(Err(status)) => {
                    change.refused += 1;
                    if !MAY_BE.contains(&&*reason(&status)) {
                        self.surprises.lock().push(format!("{method}: {status:?}"));
                        return change;
                    }
                }
                Err(_) => {}
            }
            if self.stop.is_cancelled() || chance.once_in(4) {
                return change;
            }
            replica = (replica + 1) % self.replicas.len();
            tokio::time::sleep(AGAIN).await;
        }
    }
}
