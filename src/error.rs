//! One error for the whole service, and how a caller sees it: a gRPC code, always with `google.rpc.ErrorInfo` (domain
//! `roster`), and `BadRequest` or `RetryInfo` where they fit. What an internal error says stays inside.

use std::{borrow::Cow, collections::HashMap, fmt, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

pub use crate::proto::v1::ErrorReason as Reason;

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "roster";

/// Errors travel in headers, which clients and proxies limit to 8 KiB: how many fields are named, in the message too,
/// and how many bytes of each text.
const VIOLATIONS_MAX: usize = 16;
const FIELDS_IN_MESSAGE_MAX: usize = 8;
const TEXT_MAX: usize = 96;
const MESSAGE_MAX: usize = 1_000;

/// Cuts a text that may hold what a caller sent.
fn shorten(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
}

/// What the operations of Roster answer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something failed.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    reason: Reason,
    message: Cow<'static, str>,
    metadata: Vec<(&'static str, String)>,
    violations: Vec<Violation>,
    /// For the log only.
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A field that is wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field in the request.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

impl Error {
    /// An error with this reason and a sentence for people.
    pub fn new(reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        let mut message = message.into();
        if message.len() > MESSAGE_MAX {
            shorten(message.to_mut(), MESSAGE_MAX);
        }
        Self(Box::new(Inner { reason, message, metadata: Vec::new(), violations: Vec::new(), source: None }))
    }

    /// Fields of the request are wrong: all of them, as far as an answer's headers hold them.
    pub fn invalid(mut violations: Vec<Violation>) -> Self {
        let more = violations.len().saturating_sub(VIOLATIONS_MAX);
        violations.truncate(VIOLATIONS_MAX);
        for violation in &mut violations {
            shorten(&mut violation.field, TEXT_MAX);
            shorten(&mut violation.description, TEXT_MAX);
        }
        let fields: Vec<_> = violations.iter().take(FIELDS_IN_MESSAGE_MAX).map(|v| v.field.as_str()).collect();
        let unnamed = violations.len() - fields.len() + more;
        let mut message = format!("invalid request: {}", fields.join(", "));
        if unnamed > 0 {
            message.push_str(&format!(" and {unnamed} more"));
        }
        if more > 0 {
            let description = format!("{more} more fields are wrong");
            violations.push(Violation { field: "…".to_owned(), description });
        }
        Self::new(Reason::InvalidRequest, message).violations(violations)
    }

    /// One field of the request is wrong.
    pub fn invalid_field(field: &str, description: impl Into<String>) -> Self {
        Self::invalid(vec![Violation { field: field.to_owned(), description: description.into() }])
    }

    /// Retention has dropped events up to here of what a field asks for.
    pub fn range_dropped(field: &str, dropped: i64) -> Self {
        Self::dropped(field, format!("retention has dropped events up to {dropped}: begin behind that"))
    }

    /// Retention has dropped what a field asks for.
    pub fn dropped(field: &str, description: impl Into<String>) -> Self {
        let description = description.into();
        let violation = Violation { field: field.to_owned(), description: description.clone() };
        Self::new(Reason::RangeDropped, description).violations(vec![violation])
    }

    /// A move between two states that the rules do not have.
    pub fn illegal_transition(what: &str, from: impl fmt::Display, to: impl fmt::Display) -> Self {
        Self::new(Reason::IllegalTransition, format!("{what} cannot go from {from} to {to}"))
            .with("from", from)
            .with("to", to)
    }

    /// The caller lacks a permission.
    pub fn missing_permission(permission: &str) -> Self {
        Self::new(Reason::MissingPermission, format!("the caller lacks {permission}")).with("permission", permission)
    }

    /// The organization must keep its last active owner.
    pub fn last_owner() -> Self {
        Self::new(Reason::LastOwner, "the organization would lose its last active owner")
    }

    /// A fault of the service.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(Reason::Internal, "internal error").caused_by(source)
    }

    /// Adds something for machines.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        let mut value = value.to_string();
        shorten(&mut value, 2 * TEXT_MAX);
        self.0.metadata.push((key, value));
        self
    }

    /// Keeps what happened underneath, for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Names the fields that are wrong.
    #[must_use]
    pub fn violations(mut self, violations: Vec<Violation>) -> Self {
        self.0.violations = violations;
        self
    }

    /// What happened underneath, if it is of this type.
    pub(crate) fn source_ref<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.0.source.as_ref().and_then(|source| source.downcast_ref())
    }

    /// The reason, for machines.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The reason as it is sent: without its prefix.
    pub fn reason_name(&self) -> &'static str {
        reason_name(self.0.reason)
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

/// A reason as it is sent: without its prefix.
pub fn reason_name(reason: Reason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

impl Error {
    /// What an operator reads on a command line: what happened, without the words of the API.
    pub fn told(&self) -> String {
        match (&self.0.source, self.0.reason) {
            (Some(source), Reason::Internal) => source.to_string(),
            (Some(source), _) => format!("{}: {source}", self.0.message),
            (None, _) => self.0.message.to_string(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason_name(), self.0.message)?;
        match &self.0.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// The gRPC code of a reason. A new reason must choose its own.
fn code(reason: Reason) -> Code {
    match reason {
        Reason::InvalidRequest
        | Reason::InvalidPageToken
        | Reason::InvalidRevision
        | Reason::UnknownPermission
        | Reason::EventTooLarge
        | Reason::InvalidPolicy => Code::InvalidArgument,
        Reason::MissingCredentials | Reason::InvalidCredentials => Code::Unauthenticated,
        Reason::MissingPermission | Reason::OwnershipOfAnother => Code::PermissionDenied,
        Reason::TenantNotFound
        | Reason::ApiKeyNotFound
        | Reason::UserNotFound
        | Reason::OrganizationNotFound
        | Reason::MembershipNotFound
        | Reason::TeamNotFound
        | Reason::TeamMemberNotFound
        | Reason::RoleNotFound
        | Reason::PermissionNotFound
        | Reason::GrantNotFound
        | Reason::PolicyNotFound
        | Reason::IdentityNotFound
        | Reason::EventNotFound
        | Reason::DomainNotFound
        | Reason::ResourceNotFound
        | Reason::InvitationNotFound => Code::NotFound,
        Reason::SlugTaken
        | Reason::EmailTaken
        | Reason::ExternalIdTaken
        | Reason::AlreadyMember
        | Reason::TeamNameTaken
        | Reason::IdentityTaken
        | Reason::AlreadyClaimed
        | Reason::AlreadyTeamMember
        | Reason::InvitationPending => Code::AlreadyExists,
        Reason::LastOwner
        | Reason::IllegalTransition
        | Reason::TeamCycle
        | Reason::TeamTooDeep
        | Reason::TeamHasChildren
        | Reason::RoleInUse
        | Reason::PermissionInUse
        | Reason::PermissionNotEditable
        | Reason::RoleNotEditable
        | Reason::RoleIsDefault
        | Reason::LastRole
        | Reason::OrganizationDeleting
        | Reason::LimitReached
        | Reason::ResourceCycle
        | Reason::ResourceTooDeep
        | Reason::DomainTaken
        | Reason::DomainNotAllowed
        | Reason::DomainNotVerified
        | Reason::DnsNoName
        | Reason::DnsNoRecord
        | Reason::DnsOtherValue
        | Reason::IdempotencyKeyReused
        | Reason::IdempotencyAnswerGone
        | Reason::NotAnOwner
        | Reason::MemberNotActive
        | Reason::OwnerNeeded
        | Reason::RestoreWindowOver
        | Reason::ResourceHasChildren
        | Reason::OrganizationSuspended
        | Reason::MembershipEnded
        | Reason::InvitationUsed
        | Reason::InvitationDeclined
        | Reason::InvitationRevoked
        | Reason::InvitationExpired
        | Reason::InvitationTokenReplaced
        | Reason::InvitationAddressMismatch
        | Reason::AddressNotVerified
        | Reason::MembershipSuspended
        | Reason::UserSuspended
        | Reason::NoAuditKey
        | Reason::LegalHold => Code::FailedPrecondition,
        Reason::EtagMismatch | Reason::Conflict | Reason::WatchTooSlow => Code::Aborted,
        Reason::WorkLimitExceeded | Reason::TooManyWatches => Code::ResourceExhausted,
        Reason::RangeDropped => Code::OutOfRange,
        Reason::StorageUnavailable
        | Reason::IndexStale
        | Reason::ShuttingDown
        | Reason::OutcomeUnknown
        | Reason::DnsFailure
        | Reason::IssuerUnavailable => Code::Unavailable,
        Reason::Unspecified | Reason::Internal => Code::Internal,
    }
}

/// How long a caller should wait before it tries again; none where trying again does not help.
fn retry_after(reason: Reason) -> Option<Duration> {
    match code(reason) {
        Code::Unavailable if reason != Reason::OutcomeUnknown => Some(Duration::from_millis(500)),
        Code::Aborted if reason == Reason::Conflict => Some(Duration::from_millis(50)),
        _ => None,
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let code = code(error.reason());
        if matches!(code, Code::Internal) {
            tracing::error!(error = %error, "internal error");
        } else if let Some(source) = &error.0.source {
            tracing::warn!(reason = error.reason_name(), error = %source, "call failed");
        }
        let metadata: HashMap<String, String> =
            error.0.metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let mut details = ErrorDetails::with_error_info(error.reason_name(), DOMAIN, metadata);
        for violation in &error.0.violations {
            details.add_bad_request_violation(&violation.field, &violation.description);
        }
        if let Some(delay) = retry_after(error.reason()) {
            details.set_retry_info(Some(delay));
        }
        Status::with_error_details(code, error.message(), details)
    }
}
