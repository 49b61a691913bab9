//! What the contract says of its methods.

use std::{collections::BTreeMap, sync::OnceLock};

use prost_reflect::MethodDescriptor;
use roster::dynamic;

/// The services whose methods make a member's life.
const SERVICES: [&str; 5] =
    ["UserService", "MembershipService", "OrganizationService", "InvitationService", "DomainService"];

/// Methods that change something, and are not part of the histories; and why.
const LEFT_OUT: [(&str, &str); 4] = [
    ("DomainService/ConfirmDomain", "asks the domain name system: `domains` does, with a real one"),
    ("DomainService/JoinByEmail", "needs a verified domain: `domains` does, with a real name server"),
    ("OrganizationService/PlaceLegalHold", "is for whoever runs the platform: `retention` does"),
    ("OrganizationService/ReleaseLegalHold", "is for whoever runs the platform: `retention` does"),
];

/// Every method by its name: the permission that it needs, and whether users call it about themselves.
pub fn needed(method: &str) -> &'static (String, bool) {
    static NEEDED: OnceLock<BTreeMap<String, (String, bool)>> = OnceLock::new();
    let needed = NEEDED.get_or_init(|| {
        let pool = dynamic::contract().unwrap();
        let option = |name: &str| pool.get_extension_by_name(&format!("roster.v1.{name}")).unwrap();
        let (permission, self_service) = (option("required_permission"), option("self_service"));
        let read = |method: MethodDescriptor| {
            let options = method.options();
            let permission = options.get_extension(&permission).as_str().unwrap().to_owned();
            (name(&method), (permission, options.get_extension(&self_service).as_bool().unwrap()))
        };
        pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).map(read).collect()
    });
    &needed[method]
}

/// Every method that changes something of a member's life: what changes something takes a `request_id`.
pub fn changing() -> Vec<String> {
    let services: Vec<_> = dynamic::contract().unwrap().services().collect();
    let services = services.iter().filter(|service| SERVICES.contains(&service.name()));
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    let changing = methods.filter(|method| method.input().get_field_by_name("request_id").is_some());
    changing.map(|method| name(&method)).filter(|name| LEFT_OUT.iter().all(|(out, _)| out != name)).collect()
}

fn name(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().name(), method.name())
}
