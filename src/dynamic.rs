//! A client of any method, by descriptor and in JSON: what `roster call` and the tests speak.

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};
use serde_json::Value;
use tonic::{
    Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming},
    codegen::http::uri::PathAndQuery,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use crate::proto::DESCRIPTORS;

/// A caller of any method.
#[derive(Debug, Clone)]
pub struct Client {
    /// Where the service is.
    pub channel: Channel,
    /// The API key, if there is one.
    pub key: Option<String>,
    /// The tenant that calls are about, for a key with the platform scope.
    pub tenant: Option<String>,
}

/// The contract, read.
pub fn contract() -> Result<DescriptorPool, prost_reflect::DescriptorError> {
    DescriptorPool::decode(DESCRIPTORS)
}

/// The method that somebody calls `Service/Method`.
pub fn find(pool: &DescriptorPool, name: &str) -> Option<MethodDescriptor> {
    let (service, method) = name.rsplit_once(['/', '.'])?;
    let service = service.strip_prefix("roster.v1.").unwrap_or(service);
    pool.services().find(|found| found.name() == service)?.methods().find(|found| found.name() == method)
}

/// A request from JSON.
pub fn parse(method: &MethodDescriptor, json: &str) -> Result<DynamicMessage, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let message = DynamicMessage::deserialize(method.input(), &mut deserializer)?;
    deserializer.end().map(|()| message)
}

/// An answer as JSON, with every field.
pub fn to_json(message: &DynamicMessage) -> Result<Value, serde_json::Error> {
    let options = SerializeOptions::new().skip_default_fields(false);
    message.serialize_with_options(serde_json::value::Serializer, &options)
}

impl Client {
    /// Calls a method that answers once.
    pub async fn unary(&self, method: &MethodDescriptor, message: DynamicMessage) -> Result<DynamicMessage, Status> {
        let (mut client, path) = self.ready(method).await?;
        let answer = client.unary(self.request(message)?, path, JsonCodec(method.output())).await?;
        Ok(answer.into_inner())
    }

    /// Calls a method that answers with a stream.
    pub async fn stream(
        &self,
        method: &MethodDescriptor,
        message: DynamicMessage,
    ) -> Result<Streaming<DynamicMessage>, Status> {
        let (mut client, path) = self.ready(method).await?;
        let answers = client.server_streaming(self.request(message)?, path, JsonCodec(method.output())).await?;
        Ok(answers.into_inner())
    }

    async fn ready(&self, method: &MethodDescriptor) -> Result<(tonic::client::Grpc<Channel>, PathAndQuery), Status> {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let path = path.parse().map_err(|_| Status::internal("not a path"))?;
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok((client, path))
    }

    fn request(&self, message: DynamicMessage) -> Result<Request<DynamicMessage>, Status> {
        let mut request = Request::new(message);
        let header = |text: String| {
            text.parse::<MetadataValue<Ascii>>().map_err(|_| Status::invalid_argument("not sendable as metadata"))
        };
        if let Some(key) = &self.key {
            request.metadata_mut().insert("authorization", header(format!("Bearer {key}"))?);
        }
        if let Some(tenant) = &self.tenant {
            request.metadata_mut().insert("roster-tenant", header(tenant.clone())?);
        }
        Ok(request)
    }
}

/// Messages by descriptor, in place of generated types.
struct JsonCodec(MessageDescriptor);

impl Codec for JsonCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Encode;
    type Decoder = Decode;

    fn encoder(&mut self) -> Encode {
        Encode
    }

    fn decoder(&mut self) -> Decode {
        Decode(self.0.clone())
    }
}

struct Encode;

impl Encoder for Encode {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

struct Decode(MessageDescriptor);

impl Decoder for Decode {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.clone(), buffer);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
