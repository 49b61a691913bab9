//! Who calls, and what a method needs: enforced before any method runs, from the options in the proto.

pub mod keys;
mod layer;
mod methods;
pub mod scopes;

pub use layer::AuthLayer;
pub use methods::Methods;
use scopes::Scopes;

use crate::ids::{ApiKeyId, TenantId};

/// A caller whose credential was verified. The authentication layer puts it into the request's extensions.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant that the call is about.
    pub tenant_id: TenantId,
    /// The key that the caller holds.
    pub api_key_id: ApiKeyId,
    /// What the caller may do.
    pub scopes: Scopes,
}
