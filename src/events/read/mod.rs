//! What a reader wants of the log: which events, and from where on.

mod filter;
mod start;
pub mod store;

pub use filter::Filter;
pub use start::{Place, Start, ensure_kept, place, sequence_before, skip_dropped};
