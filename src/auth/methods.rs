//! What each method needs: the options `required_permission` and `self_service` of the contract.

use std::{collections::HashMap, sync::Arc};

use prost_reflect::{DescriptorPool, MethodDescriptor};

use crate::{
    error::{Error, Result},
    proto::DESCRIPTORS,
};

/// The extension that names what a method needs.
const PERMISSION: &str = "roster.v1.required_permission";
/// The extension that says that users call a method about themselves.
const SELF_SERVICE: &str = "roster.v1.self_service";

/// What a method needs.
#[derive(Debug, Clone)]
pub struct Needed {
    /// A permission.
    pub permission: Arc<str>,
    /// Of users nothing: they call it about themselves.
    pub self_service: bool,
}

/// What each method needs, by the path of the method: `/roster.v1.UserService/GetUser`.
#[derive(Debug)]
pub struct Methods(HashMap<String, Needed>);

impl Methods {
    /// Reads the contract. Fails where a method does not say what it needs: then the service must not start.
    pub fn of_contract() -> Result<Self> {
        let pool = DescriptorPool::decode(DESCRIPTORS).map_err(Error::internal)?;
        let option =
            |name| pool.get_extension_by_name(name).ok_or_else(|| Error::internal("no option in the contract"));
        let (permission_option, self_service_option) = (option(PERMISSION)?, option(SELF_SERVICE)?);
        let needs = |method: MethodDescriptor| {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let options = method.options();
            let permission: Arc<str> = options.get_extension(&permission_option).as_str().unwrap_or_default().into();
            if permission.is_empty() {
                return Err(Error::internal(format!("{path} has no {PERMISSION}")));
            }
            let self_service = options.get_extension(&self_service_option).as_bool().unwrap_or_default();
            Ok((path, Needed { permission, self_service }))
        };
        let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        Ok(Self(methods.map(needs).collect::<Result<_>>()?))
    }

    /// What the methods need, some more than once.
    pub fn permissions(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.values().map(|needed| &needed.permission)
    }

    /// The paths of all methods.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What the method at this path needs; none for a path that the contract does not have.
    pub fn needed(&self, path: &str) -> Option<&Needed> {
        self.0.get(path)
    }
}
