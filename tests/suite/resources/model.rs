//! Random histories of a few resources, against a model that is as naive as can be: a map from child to parent.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Acme, below, doc};
use crate::{
    on_both_engines,
    support::{Engine, TestServer, chance::Chance, reason, text},
};

const OPERATIONS: usize = 200;
/// Enough for chains that are too deep.
const RESOURCES: u64 = 24;
/// The levels that a tree may have.
const LEVELS: usize = 16;

/// The parent of each resource; none for one at the top.
#[derive(Default, Clone, PartialEq, Debug)]
struct Model(BTreeMap<String, Option<String>>);

enum Operation {
    Put(String, Option<String>),
    Delete(String, bool),
}

impl Model {
    /// A resource and everything above it.
    fn path(&self, id: &str) -> Vec<String> {
        let mut path = vec![id.to_owned()];
        while let Some(Some(parent)) = self.0.get(path.last().unwrap()) {
            path.push(parent.clone());
        }
        path
    }

    /// What the service must say: what changed, or why nothing did.
    fn apply(&mut self, operation: &Operation) -> Result<Vec<&'static str>, &'static str> {
        match operation {
            Operation::Put(id, parent) => self.put(id, parent.as_deref()),
            Operation::Delete(id, cascade) => self.delete(id, *cascade),
        }
    }

    fn put(&mut self, id: &str, parent: Option<&str>) -> Result<Vec<&'static str>, &'static str> {
        if parent == Some(id) {
            return Err("RESOURCE_CYCLE");
        }
        if parent.is_some_and(|parent| !self.0.contains_key(parent)) {
            return Err("RESOURCE_NOT_FOUND");
        }
        if parent.is_some_and(|parent| self.path(parent).iter().any(|above| above == id)) {
            return Err("RESOURCE_CYCLE");
        }
        let mut next = self.clone();
        let before = next.0.insert(id.to_owned(), parent.map(str::to_owned));
        if next.0.keys().any(|id| next.path(id).len() > LEVELS) {
            return Err("RESOURCE_TOO_DEEP");
        }
        let events = match before {
            None => vec!["resource.created"],
            Some(_) if next == *self => vec![],
            Some(_) => vec!["resource.moved"],
        };
        *self = next;
        Ok(events)
    }

    fn delete(&mut self, id: &str, cascade: bool) -> Result<Vec<&'static str>, &'static str> {
        if !self.0.contains_key(id) {
            return Err("RESOURCE_NOT_FOUND");
        }
        let mut next = self.clone();
        next.0.retain(|other, _| !self.path(other).iter().any(|above| above == id));
        let gone = self.0.len() - next.0.len();
        if gone > 1 && !cascade {
            return Err("RESOURCE_HAS_CHILDREN");
        }
        *self = next;
        Ok(vec!["resource.deleted"; gone])
    }
}

/// A random resource.
fn resource(chance: &mut Chance) -> String {
    format!("r {}", chance.below(RESOURCES))
}

/// Mostly moves, and mostly to the lower end of the longest chain: or the tree stays flat.
fn operation(chance: &mut Chance, model: &Model) -> Operation {
    let deepest = || model.0.keys().max_by_key(|id| model.path(id).len()).cloned();
    match chance.below(20) {
        0 => Operation::Delete(resource(chance), true),
        1 | 2 => Operation::Delete(resource(chance), false),
        3 => Operation::Put(resource(chance), None),
        4..=9 => Operation::Put(resource(chance), Some(resource(chance))),
        _ => Operation::Put(resource(chance), deepest()),
    }
}

async fn attempt(acme: &Acme, operation: &Operation) -> Result<Value, tonic::Status> {
    let (method, request) = match operation {
        Operation::Put(id, None) => ("PutResource", json!({"resource": doc(id)})),
        Operation::Put(id, Some(parent)) => ("PutResource", below(id, parent)),
        Operation::Delete(id, cascade) => ("DeleteResource", json!({"resource": doc(id), "cascade": cascade})),
    };
    acme.caller.try_call(&format!("GrantService/{method}"), acme.here(request)).await
}

/// What a list of resources says of their parents.
fn parents(resources: &[Value]) -> Model {
    let id = |resource: &Value| resource["id"].as_str().map(str::to_owned);
    Model(resources.iter().map(|entry| (id(&entry["resource"]).unwrap(), id(&entry["parent"]))).collect())
}

/// The state that events amount to.
fn folded(events: &[Value]) -> Vec<Value> {
    let mut state = BTreeMap::new();
    for event in events.iter().filter(|event| event["subject"]["kind"] == "resource") {
        let data = ["resourceCreated", "resourceMoved", "resourceDeleted"].map(|data| &event[data]);
        let data = data.into_iter().find(|data| data.is_object()).unwrap();
        let id = text(&event["subject"]["id"]);
        assert_eq!(state.get(&id).unwrap_or(&Value::Null), &data["before"], "the state before is the last one");
        match &data["after"] {
            Value::Null => state.remove(&id),
            after => state.insert(id, after.clone()),
        };
    }
    state.into_values().collect()
}

on_both_engines! {
    async fn random_histories_go_as_the_model_says(server) {
        let acme = Acme::new(&server).await;
        let (mut model, mut chance) = (Model::default(), Chance(0x2026));
        let mut outcomes = BTreeMap::<&str, usize>::new();
        let mut seen = acme.events().await.len();
        for _ in 0..OPERATIONS {
            let operation = operation(&mut chance, &model);
            let (expected, answer) = (model.apply(&operation), attempt(&acme, &operation).await);
            let events = acme.events().await;
            let types: Vec<_> = events[seen..].iter().map(|event| text(&event["type"])).collect();
            assert_eq!(answer.map(|_| types.iter().map(String::as_str).collect()).map_err(|status| reason(&status)),
                expected.clone().map_err(str::to_owned));
            let listed = acme.list(json!({"pageSize": 5})).await;
            assert_eq!(parents(&listed), model);
            assert_eq!(folded(&events), listed, "the log says what the list says");
            *outcomes.entry(expected.err().unwrap_or("OK")).or_default() += 1;
            seen = events.len();
        }
        let all = ["OK", "RESOURCE_CYCLE", "RESOURCE_HAS_CHILDREN", "RESOURCE_NOT_FOUND", "RESOURCE_TOO_DEEP"];
        assert_eq!(outcomes.keys().copied().collect::<Vec<_>>(), all, "a history that meets every rule: {outcomes:?}");
    }
}
