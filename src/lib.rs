//! **Roster**: organizations, members, roles, and the answer to "may this person do this here?".
//!
//! There is one way through the house, and the modules below stand in its order:
//!
//! ```text
//! proto ─▶ rpc ─▶ operation ─▶ store ─▶ event appended in the same transaction
//!                                           │
//!                     ┌─────────────────────┼──────────────────────┐
//!                     ▼                     ▼                      ▼
//!                decision index        relay ─▶ Kafka            Watch
//! ```
//!
//! Every change is one operation in one transaction that also appends its events; everything downstream is fed by that
//! log alone. With `default-features = false, features = ["client"]` only [`proto`] is built.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod proto;

#[cfg(feature = "server")]
pub mod bootstrap;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod dynamic;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod shutdown;
#[cfg(feature = "server")]
pub mod telemetry;

#[cfg(feature = "server")]
pub mod auth;
#[cfg(feature = "server")]
pub mod authority;
#[cfg(feature = "server")]
pub mod clock;
#[cfg(feature = "server")]
pub mod context;
#[cfg(feature = "server")]
pub mod dns;
#[cfg(feature = "server")]
pub mod egress;
#[cfg(feature = "server")]
pub mod error;
#[cfg(feature = "server")]
pub mod etag;
#[cfg(feature = "server")]
pub mod fields;
#[cfg(feature = "server")]
pub mod idempotency;
#[cfg(feature = "server")]
pub mod ids;
#[cfg(feature = "server")]
pub mod service;

#[cfg(feature = "server")]
pub mod api_keys;
#[cfg(feature = "server")]
pub mod audit;
#[cfg(feature = "server")]
pub mod domains;
#[cfg(feature = "server")]
pub mod grants;
#[cfg(feature = "server")]
pub mod invitations;
#[cfg(feature = "server")]
pub mod memberships;
#[cfg(feature = "server")]
pub mod organizations;
#[cfg(feature = "server")]
pub mod permissions;
#[cfg(feature = "server")]
pub mod policies;
#[cfg(feature = "server")]
pub mod resources;
#[cfg(feature = "server")]
pub mod roles;
#[cfg(feature = "server")]
pub mod teams;
#[cfg(feature = "server")]
pub mod tenants;
#[cfg(feature = "server")]
pub mod users;

#[cfg(feature = "server")]
pub mod cedar;
#[cfg(feature = "server")]
pub mod db;
#[cfg(feature = "server")]
pub mod events;
#[cfg(feature = "server")]
pub mod leader;
#[cfg(feature = "server")]
pub mod lease;
#[cfg(feature = "server")]
pub mod mail;
#[cfg(feature = "server")]
pub mod meter;
#[cfg(feature = "server")]
pub mod retention;
#[cfg(feature = "server")]
pub mod sequencer;
#[cfg(feature = "server")]
pub mod sweeper;
#[cfg(feature = "server")]
pub mod upgrade;

#[cfg(feature = "server")]
pub mod decision;
#[cfg(feature = "server")]
pub mod tail;

#[cfg(feature = "server")]
pub mod rebuild;

#[cfg(feature = "kafka")]
pub mod relay;
