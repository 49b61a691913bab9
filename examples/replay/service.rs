//! The service, as its public clients reach it.

use std::time::Duration;

use roster::proto::v1::{
    authorization_service_client::AuthorizationServiceClient, grant_service_client::GrantServiceClient,
    membership_service_client::MembershipServiceClient, organization_service_client::OrganizationServiceClient,
    role_service_client::RoleServiceClient, team_service_client::TeamServiceClient,
    user_service_client::UserServiceClient,
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::Failure;

/// How long to wait for one answer: a service that hangs is then tried again like one that is gone.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A channel that sends the key along.
pub type Transport = InterceptedService<Channel, Bearer>;

/// Adds the API key to every call.
#[derive(Clone)]
pub struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// Makes clients, which all share one connection.
pub struct Service {
    channel: Channel,
    bearer: Bearer,
}

impl Service {
    /// Connects with the first call, and again whenever the connection is lost.
    pub fn new(address: &str, key: &str) -> Result<Self, Failure> {
        let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|error| format!("{address}: {error}"))?;
        let channel = endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(CALL_TIMEOUT).connect_lazy();
        let bearer = Bearer(format!("Bearer {key}").parse().map_err(|_| "the key is not sendable as metadata")?);
        Ok(Self { channel, bearer })
    }

    pub fn authorization(&self) -> AuthorizationServiceClient<Transport> {
        AuthorizationServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub fn grants(&self) -> GrantServiceClient<Transport> {
        GrantServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub fn memberships(&self) -> MembershipServiceClient<Transport> {
        MembershipServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub fn organizations(&self) -> OrganizationServiceClient<Transport> {
        OrganizationServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub fn roles(&self) -> RoleServiceClient<Transport> {
        RoleServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub fn teams(&self) -> TeamServiceClient<Transport> {
        TeamServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub fn users(&self) -> UserServiceClient<Transport> {
        UserServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }
}
