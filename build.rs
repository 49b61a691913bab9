//! Compiles the contract in `proto/` without protoc, and keeps its descriptors for reflection, method options and
//! `roster call`.

#[path = "build/personal.rs"]
mod personal;
#[path = "build/state.rs"]
mod state;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    error::Error,
    fs,
    path::PathBuf,
};

use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};
use protox::prost_reflect::{DescriptorPool, MessageDescriptor};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=migrations");
    let mut files: Vec<PathBuf> =
        fs::read_dir("proto/roster/v1")?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_files(&files)?;
    // Encoded by the compiler itself: prost's types would lose the methods' own options.
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;

    fs::write(out.join("scoped.rs"), scoped(&compiler.file_descriptor_set(), &compiler.descriptor_pool())?)?;
    fs::write(out.join("personal.rs"), personal::code(&compiler.descriptor_pool())?)?;
    fs::write(out.join("state.rs"), state::code(&compiler.descriptor_pool())?)?;

    let server = env::var_os("CARGO_FEATURE_SERVER").is_some();
    let mut prost = tonic_prost_build::Config::new();
    prost.btree_map(["."]); // one order of map entries: the same state always has the same bytes
    tonic_prost_build::configure()
        .build_server(server)
        .compile_fds_with_config(compiler.file_descriptor_set(), prost)?;
    Ok(())
}

/// Says for every request of the contract which organization it is about, and which request it is where it may come
/// again; for every answer of those, whether it holds a secret. The organization: by its own `organization_id`, by the one of
/// the record that it carries, or by the stream that it asks for. Where that is not clear, there is no build.
fn scoped(files: &FileDescriptorSet, pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    const PACKAGE: &str = "roster.v1";
    let files: Vec<_> = files.file.iter().filter(|file| file.package() == PACKAGE).collect();
    let messages = files.iter().flat_map(|file| &file.message_type);
    let messages: BTreeMap<_, _> =
        messages.map(|message| (format!(".{PACKAGE}.{}", message.name()), message)).collect();
    let methods = files.iter().flat_map(|file| &file.service).flat_map(|service| &service.method);
    let mut code = String::new();
    let (mut requests, mut answers) = (BTreeSet::new(), BTreeSet::new());
    for method in methods {
        requests.insert(method.input_type());
        if text(messages[method.input_type()], "request_id").is_some() {
            answers.insert(method.output_type());
        }
    }
    for request in requests {
        let message = messages[request];
        let name = message.name();
        let organization = organization_of(message, &messages)?;
        let repeatable = match text(message, "request_id") {
            Some(_) => format!(
                "(!self.request_id.is_empty()).then(|| \
                 Repeatable::new(tenant_id, {name:?}, &self.request_id, self, credential))"
            ),
            None => "None".to_owned(),
        };
        code += &format!(
            "impl Scoped for crate::proto::v1::{name} {{
                fn organization_id(&self) -> Option<&str> {{ {organization} }}
                fn repeatable(&self, tenant_id: TenantId, credential: &[u8]) -> Option<Repeatable> {{
                    let _ = (tenant_id, credential);
                    {repeatable}
                }}
            }}\n"
        );
    }
    for answer in answers {
        let (name, descriptor) = (messages[answer].name(), pool.get_message_by_name(answer.trim_start_matches('.')));
        text(messages[answer], "revision").ok_or_else(|| format!("{name}: an answer of a write has a revision"))?;
        let secret = holds_secret(&descriptor.ok_or("no such message")?);
        code += &format!(
            "impl Answer for crate::proto::v1::{name} {{
                const SECRET: bool = {secret};
                fn revision(&self) -> &str {{ &self.revision }}
            }}\n"
        );
    }
    Ok(code)
}

/// Whether a message, or one within it, has a field that is not to be shown (`debug_redact`). No answer is recursive.
fn holds_secret(message: &MessageDescriptor) -> bool {
    message.fields().any(|field| {
        let redacted =
            field.options().get_field_by_name("debug_redact").is_some_and(|value| value.as_bool() == Some(true));
        redacted || field.kind().as_message().is_some_and(holds_secret)
    })
}

fn organization_of(
    message: &DescriptorProto,
    messages: &BTreeMap<String, &DescriptorProto>,
) -> Result<String, Box<dyn Error>> {
    if let Some(field) = text(message, "organization_id") {
        return Ok(if field.proto3_optional() {
            "self.organization_id.as_deref()"
        } else {
            "Some(&self.organization_id)"
        }
        .to_owned());
    }
    let carries = |field: &&FieldDescriptorProto| {
        let record = (field.r#type() == Type::Message).then(|| messages.get(field.type_name())).flatten();
        record.is_some_and(|record| text(record, "organization_id").is_some())
    };
    let carried: Vec<_> = message.field.iter().filter(carries).collect();
    match carried[..] {
        [] if text(message, "stream_id").is_some() => Ok("Some(&self.stream_id)".to_owned()),
        [] => Ok("None".to_owned()),
        [record] if record.label() != Label::Repeated && record.oneof_index.is_none() => {
            Ok(format!("self.{}.as_ref().map(|record| record.organization_id.as_str())", record.name()))
        }
        _ => Err(format!("{}: which organization is it about?", message.name()).into()),
    }
}

/// `user_created` as prost names its variant: `UserCreated`.
fn camel(name: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(word).collect()
}

/// A field of one text.
fn text<'m>(message: &'m DescriptorProto, name: &str) -> Option<&'m FieldDescriptorProto> {
    let fits = |field: &&FieldDescriptorProto| {
        field.name() == name
            && field.r#type() == Type::String
            && field.label() != Label::Repeated
            && (field.oneof_index.is_none() || field.proto3_optional())
    };
    message.field.iter().find(fits)
}
