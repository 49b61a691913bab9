//! What each method needs: the option `required_permission` of the contract.

use std::{collections::HashMap, sync::Arc};

use prost_reflect::{DescriptorPool, MethodDescriptor};

use crate::{
    error::{Error, Result},
    proto::DESCRIPTORS,
};

/// The extension that names what a method needs.
const OPTION: &str = "roster.v1.required_permission";

/// The permission that each method needs, by the path of the method: `/roster.v1.UserService/GetUser`.
#[derive(Debug)]
pub struct Methods(HashMap<String, Arc<str>>);

impl Methods {
    /// Reads the contract. Fails where a method does not say what it needs: then the service must not start.
    pub fn of_contract() -> Result<Self> {
        let pool = DescriptorPool::decode(DESCRIPTORS).map_err(Error::internal)?;
        let option = pool.get_extension_by_name(OPTION).ok_or_else(|| Error::internal("no option in the contract"))?;
        let needs = |method: MethodDescriptor| {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let options = method.options();
            let permission: Arc<str> = options.get_extension(&option).as_str().unwrap_or_default().into();
            if permission.is_empty() {
                return Err(Error::internal(format!("{path} has no {OPTION}")));
            }
            Ok((path, permission))
        };
        let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        Ok(Self(methods.map(needs).collect::<Result<_>>()?))
    }

    /// What the methods need, some more than once.
    pub fn permissions(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.values()
    }

    /// The paths of all methods.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What the method at this path needs; none for a path that the contract does not have.
    pub fn permission(&self, path: &str) -> Option<&Arc<str>> {
        self.0.get(path)
    }
}
