//! Time, and what happens by itself when it goes by.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    history::History,
    log::Log,
    model::{Act, Id},
    names::Names,
};

const DAY: Duration = Duration::from_hours(24);
/// How long what happens by itself may take.
const PATIENCE: Duration = Duration::from_secs(60);

impl History<'_> {
    /// Days go by.
    pub async fn days(&mut self, days: u64) {
        self.house.server.clock.advance(DAY * u32::try_from(days).unwrap());
        self.state.today += days;
        self.story.push(format!("it is day {}", self.state.today));
        self.forget_made();
        self.settle().await;
    }

    /// Waits for what is due by now, and holds it against the model.
    pub async fn settle(&mut self) {
        let mut waiting: Vec<Act> = Vec::new();
        for id in self.state.due() {
            let act = self.state.happen(id);
            self.state = act.state.clone();
            waiting.push(act);
        }
        let orgs: BTreeSet<Option<Id>> = waiting.iter().map(|act| act.told[0].stream).collect();
        let begin = Instant::now();
        while !waiting.is_empty() {
            assert!(begin.elapsed() < PATIENCE, "still waiting for {:?}", waiting[0].told);
            for org in &orgs {
                let news = self.log.news(*org, &self.names).await;
                for group in news.chunk_by(|one, next| one["correlationId"] == next["correlationId"]) {
                    self.story.push(format!("    by itself: {} of {}", group[0]["type"], group[0]["subject"]["id"]));
                    let act = take_out(&mut waiting, &group[0], &self.names);
                    let act = act.unwrap_or_else(|| panic!("nobody expected {group:?}"));
                    Log::take(&act, &mut self.names, BTreeMap::from([(*org, group.to_vec())]));
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for org in orgs.into_iter().flatten() {
            self.caught_up(org).await;
        }
    }

    /// What happened by itself is also what the service decides by: it has read its log so far.
    async fn caught_up(&self, org: Id) {
        let check = json!({"organizationId": self.names.of(org), "userId": "user_01h455vb4pex5vsknk084sn02q",
            "permission": "members:read", "consistency": {"fullyConsistent": true}});
        self.root.call("AuthorizationService/Check", check).await;
    }
}

/// What begins with this event.
fn take_out(waiting: &mut Vec<Act>, event: &Value, names: &Names) -> Option<Act> {
    let is_it = |act: &Act| {
        let told = &act.told[0];
        told.event == event["type"] && event["subject"]["id"] == names.of(told.id).as_str()
    };
    waiting.iter().position(is_it).map(|index| waiting.remove(index))
}
