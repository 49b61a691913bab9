//! One domain is held by one.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{
    crowd::{AT_ONCE, Crowd, Outcome, Outcomes, Runner},
    organization, races, rounds,
};
use crate::support::{
    Engine,
    name_server::{At, NameServer},
    text,
};

/// How many domains an organization claims before others take their turn: it may claim 100.
const CLAIMS: usize = 90;

/// The records of a domain: of everybody who has claimed it so far.
#[derive(Clone)]
struct Zone {
    dns: NameServer,
    values: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Zone {
    fn publish(&self, domain: &Value) {
        let mut values = self.values.lock();
        values.push(vec![text(&domain["recordValue"])]);
        self.dns.say(&text(&domain["recordName"]), At::Txt(values.clone()));
    }
}

/// Claims a domain, publishes the proof, and has it looked at; answers the claim, and what that came to.
async fn claim(runner: Runner, organization: String, name: String, zone: Zone) -> (Value, Outcome) {
    let claim = json!({"organizationId": organization, "name": name});
    let domain = runner.call("DomainService/AddDomain", claim).await["domain"].clone();
    zone.publish(&domain);
    let outcome = runner.ask("DomainService/ConfirmDomain", which(&domain)).await;
    (domain, outcome)
}

fn which(domain: &Value) -> Value {
    json!({"organizationId": domain["organizationId"], "domainId": domain["domainId"]})
}

/// A claim as it stands, and the types of the events of its organization since then.
async fn look(runner: Runner, claim: Value, after: usize) -> (Value, Vec<String>) {
    let domain = runner.call("DomainService/GetDomain", which(&claim)).await["domain"].clone();
    let news = json!({"streamId": claim["organizationId"], "afterSequence": after.to_string()});
    let events = runner.call("EventService/ListEvents", news).await;
    (domain, events["events"].as_array().unwrap().iter().map(|event| text(&event["type"])).collect())
}

races! {
    async fn of_many_who_claim_and_prove_a_domain_one_holds_it(crowd) {
        let (mut organizations, mut logs) = (Vec::new(), [0; AT_ONCE]);
        for round in 0..rounds() {
            if round % CLAIMS == 0 {
                organizations.clear();
                for number in 0..AT_ONCE {
                    organizations.push(organization(crowd.root(), &format!("o{round}-{number}")).await);
                }
                logs = [1; AT_ONCE];
            }
            let name = format!("example{round}.com");
            let zone = Zone { dns: crowd.dns.clone(), values: Arc::default() };
            let (claims, outcomes): (Vec<_>, _) = crowd.at_once(|runner| {
                let organization = organizations[runner.number].clone();
                claim(runner, organization, name.clone(), zone.clone())
            }).await.into_iter().unzip();

            let outcomes = Outcomes(outcomes);
            let holder = &outcomes.one_wins("DOMAIN_TAKEN")["domain"];
            assert_eq!(holder["status"], "DOMAIN_STATUS_VERIFIED");
            let looks = crowd.at_once(|runner| {
                let (claim, after) = (claims[runner.number].clone(), logs[runner.number]);
                look(runner, claim, after)
            }).await;
            for ((domain, types), (claim, last)) in looks.iter().zip(claims.iter().zip(&mut logs)) {
                let is_holder = claim["domainId"] == holder["domainId"];
                assert_eq!(domain, if is_holder { holder } else { claim });
                let all = ["domain.added", "domain.verified"];
                assert_eq!(types, if is_holder { &all[..] } else { &all[..1] });
                *last += types.len();
            }
        }
    }
}
