//! The suite: every noun, over gRPC, on both engines.

#[path = "../support/mod.rs"]
mod support;

mod audit;
mod authentication;
mod authorization;
mod bad_input;
mod callers;
mod catalogue;
mod decisions;
mod domains;
mod events;
mod evolution;
mod grants;
mod idempotency;
mod invitations;
mod lifecycles;
mod lost_replies;
mod memberships;
mod organizations;
mod policies;
mod races;
mod resources;
mod retention;
mod roles;
mod secrets;
mod statistics;
mod teams;
mod tenants;
mod tokens;
mod upgrade;
mod users;
