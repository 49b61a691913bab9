//! The suite: every noun, over gRPC, on both engines.

#[path = "../support/mod.rs"]
mod support;

mod authentication;
mod authorization;
mod bad_input;
mod events;
mod grants;
mod memberships;
mod organizations;
mod roles;
mod teams;
mod tenants;
mod users;
