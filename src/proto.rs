//! The contract: messages, clients and servers generated from `proto/roster/v1`.

/// Package `roster.v1`.
#[allow(clippy::all, clippy::pedantic, missing_docs, rustdoc::all)]
pub mod v1 {
    tonic::include_proto!("roster.v1");
}

/// The compiled contract, as an encoded `google.protobuf.FileDescriptorSet` with its comments.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
