//! Random histories: each call goes to the service and through the model, and both must agree.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use serde_json::{Value, json};
use tonic::Status;

use super::{
    contract::needed,
    house::House,
    log::{Left, Log},
    model::{Act, By, Id, Shown, State},
    names::Names,
};
use crate::support::{Caller, chance::Chance, reason, text};

/// What the service may do that has few scopes.
pub const FEW: [&str; 4] = ["members:read", "members:write", "invitations:write", "teams:write"];

/// Method, kind of caller, outcome: how often.
pub type Outcomes = BTreeMap<(&'static str, &'static str, String), usize>;

/// A call, and what the rules make of it.
#[derive(Clone)]
pub struct Call {
    pub method: &'static str,
    /// The organization that it is about, if it is about one.
    pub org: Option<Id>,
    pub request: Value,
    pub rule: Rc<dyn Fn(&mut Act)>,
}

/// A call that was made, to be made again.
struct Made {
    call: Call,
    by: By,
    /// With which it was made: an answer with a secret is sealed with that.
    credential: Caller,
    caller: Option<Id>,
    answer: Value,
}

pub struct History<'h> {
    pub house: &'h House,
    pub root: Caller,
    pub tenant_id: String,
    service: Caller,
    pub state: State,
    pub names: Names,
    pub log: Log,
    pub chance: Chance,
    /// The tokens of invitations: of which, and the how manieth.
    pub tokens: BTreeMap<(Id, usize), String>,
    /// Every team that ever was.
    pub teams: BTreeSet<Id>,
    /// What was done within the day, and may be asked for again.
    made: Vec<Made>,
    /// How often what came of which method, by whom: done, or the reason of its refusal.
    pub outcomes: Outcomes,
    /// What was done, and what came of it.
    pub story: Vec<String>,
    requests: usize,
}

impl<'h> History<'h> {
    pub async fn begin(house: &'h House, seed: u64) -> Self {
        let slug = format!("t{}", uuid::Uuid::now_v7().simple());
        let tenant =
            house.server.root.call("TenantService/CreateTenant", json!({"slug": slug})).await["tenant"].clone();
        let tenant_id = text(&tenant["tenantId"]);
        let mut root = house.server.root.clone();
        root.client.tenant = Some(tenant_id.clone());
        let key = root.call("ApiKeyService/CreateApiKey", json!({"name": "few", "scopes": FEW})).await;
        let mut service = root.clone();
        (service.client.key, service.client.tenant) = (Some(text(&key["secret"])), None);
        let mut state = State { default_role: text(&tenant["defaultRole"]), ..State::default() };
        for role in root.list("RoleService/ListRoles", json!({}), "roles").await {
            let permissions = role["permissions"].as_array().unwrap().iter().map(text).collect();
            state.tenant_roles.insert(text(&role["slug"]), permissions);
        }
        let log = Log::from_now(&root, &tenant_id).await;
        Self {
            house,
            root,
            tenant_id,
            service,
            state,
            names: Names::default(),
            log,
            chance: Chance(seed),
            tokens: BTreeMap::new(),
            teams: BTreeSet::new(),
            made: Vec::new(),
            outcomes: BTreeMap::new(),
            story: Vec::new(),
            requests: 0,
        }
    }

    /// Who this is, to the service.
    fn caller(&self, by: &By) -> Caller {
        match by {
            By::Platform => self.root.clone(),
            By::Service(_) => self.service.clone(),
            By::Account(account, verified) => {
                let email = self.state.user_of(*account).map(|user| self.state.user(user).email.clone());
                let token = self.house.token(&self.tenant_id, *account, &email.unwrap_or_default(), *verified);
                let mut caller = self.root.clone();
                (caller.client.key, caller.client.tenant) = (Some(token), None);
                caller
            }
            By::Itself => panic!("nobody calls"),
        }
    }

    /// Whether the caller may call the method at all.
    fn passing(&self, by: &By, call: &Call) -> Act {
        let mut act = Act::new(&self.state, by.clone());
        let (permission, self_service) = needed(call.method);
        act.pass(permission, *self_service, call.org);
        act
    }

    /// What the model makes of a call.
    fn act(&self, by: &By, call: &Call) -> Act {
        let mut act = self.passing(by, call);
        if !act.is_refused() {
            (call.rule)(&mut act);
        }
        act
    }

    /// A call by somebody: the service and the model agree on what comes of it.
    pub async fn make(&mut self, by: By, mut call: Call) {
        self.requests += 1;
        call.request["requestId"] = json!(format!("r{}", self.requests));
        let act = self.act(&by, &call);
        self.story.push(format!("day {}, {by:?}: {} {}", self.state.today, call.method, call.request));
        let credential = self.caller(&by);
        let answer = credential.try_call(call.method, call.request.clone()).await;
        let outcome = self.agree(&act, &answer);
        self.story.push(format!("    {outcome}"));
        *self.outcomes.entry((call.method, by.kind(), outcome)).or_default() += 1;
        let Ok(answer) = answer else { return };
        self.names.learn_organization(&act, &answer);
        let left = self.hear(&act, call.org).await;
        self.compare_answer(&act, &left, &answer);
        self.keep_tokens(&act, &answer);
        let erased = act.told.iter().any(|told| told.event == "user.erased");
        if erased {
            self.made.clear(); // answers with somebody's data are gone
        }
        let caller = act.caller;
        self.state = act.state;
        self.teams.extend(self.state.teams().map(|(id, _)| id));
        self.made.push(Made { call, by, credential, caller, answer });
        self.settle().await;
    }

    /// Whether it is refused, and why: as the model says.
    fn agree(&self, act: &Act, answer: &Result<Value, Status>) -> String {
        let expected: Vec<_> = act.denied.into_iter().chain(act.against.iter().copied()).collect();
        match answer {
            Ok(answer) => assert!(!act.is_refused(), "{expected:?} by the model, but it was done: {answer}"),
            Err(status) => {
                let reason = reason(status);
                let agrees = match act.denied {
                    Some(denied) => reason == denied,
                    None => act.against.contains(reason.as_str()),
                };
                assert!(agrees, "{expected:?} by the model, but {reason}: {}", status.message());
                return reason;
            }
        }
        "done".to_owned()
    }

    /// The log has what the model says that it must have.
    async fn hear(&mut self, act: &Act, org: Option<Id>) -> Left {
        if let Some(erased) = act.told.iter().find(|told| told.event == "user.erased") {
            self.log.forget(&self.names.of(erased.id));
        }
        let mut streams: BTreeSet<Option<Id>> = act.told.iter().map(|told| told.stream).collect();
        streams.extend([None, org]);
        let mut news = BTreeMap::new();
        for stream in streams {
            news.insert(stream, self.log.news(stream, &self.names).await);
        }
        Log::take(act, &mut self.names, news)
    }

    /// The answer shows things as the call left them.
    fn compare_answer(&self, act: &Act, left: &Left, answer: &Value) {
        for (place, shown) in &act.shown {
            let seen = answer.pointer(&format!("/{place}")).unwrap_or_else(|| panic!("no {place} in {answer}"));
            match shown {
                Shown::Error(reasons) => assert!(reasons.contains(seen.as_str().unwrap()), "{reasons:?}, not {seen}"),
                Shown::Thing(id) => {
                    let thing = &act.state.things[id];
                    let subject = self.names.subject(*id, thing);
                    let expected = left.get(*id).unwrap_or_else(|| self.log.last(thing.kind(), &subject));
                    assert_eq!(seen, expected, "{place}, beside the log");
                }
            }
        }
    }

    fn keep_tokens(&mut self, act: &Act, answer: &Value) {
        for (place, shown) in &act.shown {
            let Shown::Thing(id) = shown else { continue };
            let Some(parent) = place.strip_suffix("invitation") else { continue };
            if let Some(token) = answer.pointer(&format!("/{parent}token")).and_then(Value::as_str) {
                self.tokens.insert((*id, act.state.invitation(*id).sent), token.to_owned());
            }
        }
    }

    /// SPEC: "the same id and body within 24 h returns the first answer; the same id with another body is refused".
    pub async fn repeat(&mut self) {
        if self.made.is_empty() {
            return;
        }
        let index = usize::try_from(self.chance.below(self.made.len() as u64)).unwrap();
        let Made { call, by, credential, caller, answer } = &self.made[index];
        let passing = self.passing(by, call);
        if passing.caller != *caller {
            return; // the account is somebody else's by now: another caller, and another request
        }
        self.story.push(format!("again, {by:?}: {} {}", call.method, call.request));
        let again = credential.try_call(call.method, call.request.clone()).await;
        match (passing.denied, again) {
            (None, Ok(again)) => assert_eq!(&again, answer, "another answer"),
            (Some(denied), Err(status)) => assert_eq!(reason(&status), denied, "{}", status.message()),
            (denied, again) => panic!("{denied:?} by the model, but {again:?}"),
        }
        if *by == By::Platform {
            let other = json!({"email": "other@people.example", "requestId": call.request["requestId"]});
            self.root.refused("UserService/CreateUser", other, "IDEMPOTENCY_KEY_REUSED").await;
        }
        self.quiet().await;
    }

    /// What was done longer than a day ago may be done again.
    pub fn forget_made(&mut self) {
        self.made.clear();
    }

    /// No stream has anything that was not expected.
    pub async fn quiet(&mut self) {
        let orgs: Vec<Id> = self.state.orgs().map(|(id, _)| id).collect();
        for stream in orgs.into_iter().map(Some).chain([None]) {
            let news = self.log.news(stream, &self.names).await;
            assert!(news.is_empty(), "nobody expected {news:?}");
        }
    }
}
