//! One call, as it is acted out on the model: what stands against it, what it changes, what the log hears.

use std::collections::BTreeSet;

use super::{By, Id, Kind, State, Thing};

/// An event that the log must have.
#[derive(Clone, Debug)]
pub struct Told {
    pub event: &'static str,
    /// What it is about.
    pub id: Id,
    pub kind: &'static str,
    /// The organization whose stream it is in; none: the tenant's own.
    pub stream: Option<Id>,
    pub before: Option<Thing>,
    pub after: Option<Thing>,
    /// Whether it only follows from the first event of the call.
    pub cascaded: bool,
}

/// What the answer must show at a place in it.
#[derive(Clone, Debug)]
pub enum Shown {
    Thing(Id),
    /// One of these reasons, of one entry of several.
    Error(BTreeSet<&'static str>),
}

/// A call on its way through the model.
pub struct Act {
    pub state: State,
    pub by: By,
    /// The user who calls, by whatever the call changes.
    pub caller: Option<Id>,
    /// The one reason that a caller hears who may not even know more.
    pub denied: Option<&'static str>,
    /// Every reason that stands against the call.
    pub against: BTreeSet<&'static str>,
    pub told: Vec<Told>,
    pub shown: Vec<(String, Shown)>,
    /// Whether what is told only follows from what was told first.
    pub cascading: bool,
}

impl Act {
    pub fn new(state: &State, by: By) -> Self {
        let caller = match by {
            By::Account(account, _) => state.user_of(account),
            _ => None,
        };
        Self {
            state: state.clone(),
            by,
            caller,
            denied: None,
            against: BTreeSet::new(),
            told: Vec::new(),
            shown: Vec::new(),
            cascading: false,
        }
    }

    pub fn refuse_if(&mut self, stands_against: bool, reason: &'static str) {
        if stands_against {
            self.against.insert(reason);
        }
    }

    /// Whether something stands against it so far.
    pub fn is_refused(&self) -> bool {
        self.denied.is_some() || !self.against.is_empty()
    }

    /// SPEC: "Another tenant's id, or an organization the caller may not know of, is NOT_FOUND; a known one without the
    /// right is PERMISSION_DENIED". Such a caller hears this and nothing else.
    pub fn deny_if(&mut self, stands_against: bool, reason: &'static str) {
        if stands_against && self.denied.is_none() {
            self.denied = Some(reason);
        }
    }

    pub fn show(&mut self, place: impl Into<String>, id: Id) {
        self.shown.push((place.into(), Shown::Thing(id)));
    }

    /// The same, of which everything that is told from now on follows from what was told first.
    pub fn cascade<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.cascading, true);
        let outcome = act(self);
        self.cascading = before;
        outcome
    }

    /// A new thing.
    pub fn create(&mut self, event: &'static str, thing: impl Into<Thing>) -> Id {
        let thing = thing.into();
        let id = self.reserve();
        self.state.things.insert(id, thing.clone());
        self.tell(event, id, None, Some(thing));
        id
    }

    /// The number of a thing that comes to be later.
    pub fn reserve(&mut self) -> Id {
        self.state.next += 1;
        self.state.next
    }

    /// A new thing with a number that was reserved, told before what was told since the mark.
    pub fn create_reserved(&mut self, mark: usize, event: &'static str, id: Id, thing: impl Into<Thing>) {
        let thing = thing.into();
        self.state.things.insert(id, thing.clone());
        self.tell_before(mark, event, id, None, Some(thing));
    }

    /// A thing becomes different, which is told before what was told since the mark; it follows from nothing.
    pub fn change_before<T: Kind>(&mut self, mark: usize, event: &'static str, id: Id, change: impl FnOnce(&mut T)) {
        let before = self.state.things[&id].clone();
        let mut after = before.clone();
        change(T::of(&mut after));
        self.state.things.insert(id, after.clone());
        self.tell_before(mark, event, id, Some(before), Some(after));
    }

    fn tell_before(&mut self, mark: usize, event: &'static str, id: Id, before: Option<Thing>, after: Option<Thing>) {
        self.tell(event, id, before, after);
        let told = self.told.pop().expect("just told");
        self.told.insert(mark, told);
    }

    /// A thing becomes different.
    pub fn change<T: Kind>(&mut self, event: &'static str, id: Id, change: impl FnOnce(&mut T)) {
        let before = self.state.things[&id].clone();
        let mut after = before.clone();
        change(T::of(&mut after));
        self.state.things.insert(id, after.clone());
        self.tell(event, id, Some(before), Some(after));
    }

    /// A change that the log does not hear of by itself.
    pub fn quietly<T: Kind>(&mut self, id: Id, change: impl FnOnce(&mut T)) {
        change(T::of(self.state.things.get_mut(&id).expect("there")));
    }

    /// A thing is no more.
    pub fn end(&mut self, event: &'static str, id: Id) {
        let before = self.state.things[&id].clone();
        self.tell(event, id, Some(before), None);
        self.state.things.remove(&id);
    }

    fn tell(&mut self, event: &'static str, id: Id, before: Option<Thing>, after: Option<Thing>) {
        let thing = after.as_ref().or(before.as_ref()).expect("one of them");
        let (kind, stream) = (thing.kind(), self.state.stream(id, thing));
        self.told.push(Told { event, id, kind, stream, before, after, cascaded: self.cascading });
    }

    /// An event that shows a thing as it now is, and nothing of before.
    pub fn announce(&mut self, event: &'static str, id: Id) {
        let after = self.state.things[&id].clone();
        self.tell(event, id, None, Some(after));
    }

    /// An event about a thing that stays as it is.
    pub fn announce_change(&mut self, event: &'static str, id: Id) {
        let as_it_is = self.state.things[&id].clone();
        self.tell(event, id, Some(as_it_is.clone()), Some(as_it_is));
    }

    /// One entry of several that each succeed or fail by themselves, shown at its place.
    pub fn entry(&mut self, place: &str, shows: &str, entry: impl FnOnce(&mut Self) -> Option<Id>) {
        let mut alone = Self::new(&self.state, self.by.clone());
        let made = entry(&mut alone);
        if alone.is_refused() {
            self.shown.push((format!("{place}/error/reason"), Shown::Error(alone.against)));
            return;
        }
        self.state = alone.state;
        self.told.extend(alone.told);
        self.show(format!("{place}/{shows}"), made.expect("what was not refused was done"));
    }
}
