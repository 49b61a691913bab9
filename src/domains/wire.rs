//! Domains in the contract: in answers and in events.

use super::{AutoJoin, AutoJoinDecision, Domain, Mode, Status, Why, auto_join::LeftOut};
use crate::{
    etag,
    events::{Change, changed, created, ended},
    proto::v1::{self as pb, AutoJoinMode, AutoJoinOutcome, AutoJoinReason, DomainStatus, event::Data},
};

impl From<&Domain> for pb::Domain {
    fn from(domain: &Domain) -> Self {
        Self {
            domain_id: domain.id.to_string(),
            organization_id: domain.organization_id.to_string(),
            name: domain.name.clone(),
            status: DomainStatus::from(domain.status).into(),
            record_name: domain.record_name(),
            record_value: domain.challenge.clone(),
            start_time: Some(domain.started_at.into()),
            verify_time: domain.verified_at.map(Into::into),
            check_time: domain.checked_at.map(Into::into),
            missing_since_time: domain.missing_since.map(Into::into),
            auto_join: Some((&domain.auto_join.0).into()),
            etag: etag::of(domain.version),
            create_time: Some(domain.created_at.into()),
            update_time: Some(domain.updated_at.into()),
        }
    }
}

impl From<Status> for DomainStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Verified => Self::Verified,
            Status::Lost => Self::Lost,
            Status::Failed => Self::Failed,
        }
    }
}

impl From<&AutoJoin> for pb::AutoJoin {
    fn from(auto_join: &AutoJoin) -> Self {
        Self {
            mode: AutoJoinMode::from(auto_join.mode).into(),
            role: auto_join.role.clone(),
            excluded: auto_join.excluded.clone(),
            allow_role_mailboxes: auto_join.allow_role_mailboxes,
            allow_plus_addresses: auto_join.allow_plus_addresses,
            allow_subdomains: auto_join.allow_subdomains,
            members_max: auto_join.members_max,
        }
    }
}

impl From<Mode> for AutoJoinMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Off => Self::Off,
            Mode::Suggest => Self::Suggest,
            Mode::Invite => Self::Invite,
            Mode::Join => Self::Join,
        }
    }
}

impl From<AutoJoinMode> for Mode {
    fn from(mode: AutoJoinMode) -> Self {
        match mode {
            AutoJoinMode::Unspecified | AutoJoinMode::Off => Self::Off,
            AutoJoinMode::Suggest => Self::Suggest,
            AutoJoinMode::Invite => Self::Invite,
            AutoJoinMode::Join => Self::Join,
        }
    }
}

impl From<&AutoJoinDecision> for pb::AutoJoinDecision {
    fn from(decision: &AutoJoinDecision) -> Self {
        let domain = decision.domain.as_ref();
        Self {
            outcome: AutoJoinOutcome::from(decision.outcome()).into(),
            reason: AutoJoinReason::from(decision.why).into(),
            domain: domain.map(|domain| domain.name.clone()).unwrap_or_default(),
            domain_id: domain.map(|domain| domain.id.to_string()).unwrap_or_default(),
            organization_id: domain.map(|domain| domain.organization_id.to_string()).unwrap_or_default(),
            role: decision.role.clone(),
        }
    }
}

impl From<Mode> for AutoJoinOutcome {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Off => Self::None,
            Mode::Suggest => Self::Suggest,
            Mode::Invite => Self::Invite,
            Mode::Join => Self::Join,
        }
    }
}

impl From<Why> for AutoJoinReason {
    fn from(why: Why) -> Self {
        match why {
            Why::NoDomain => Self::NoDomain,
            Why::HasMembership => Self::HasMembership,
            Why::MembershipSuspended => Self::MembershipSuspended,
            Why::UserSuspended => Self::UserSuspended,
            Why::OrganizationNotActive => Self::OrganizationNotActive,
            Why::Off => Self::Off,
            Why::AddressNotVerified => Self::AddressNotVerified,
            Why::Subdomain => Self::Subdomain,
            Why::LeftOut(LeftOut::PlusAddress) => Self::PlusAddress,
            Why::LeftOut(LeftOut::RoleMailbox) => Self::RoleMailbox,
            Why::LeftOut(LeftOut::Excluded) => Self::Excluded,
            Why::RemovedBefore => Self::RemovedBefore,
            Why::RoleNotFound => Self::RoleNotFound,
            Why::Full => Self::Full,
            Why::InvitationPending => Self::InvitationPending,
            Why::SetUp => Self::SetUp,
        }
    }
}

fn change(domain: &Domain, data: Data) -> Change {
    Change::in_organization(domain.organization_id, "domain", domain.id, data)
}

pub fn added(domain: &Domain) -> Change {
    change(domain, created!(DomainAdded, domain))
}

pub fn verification_started(before: &Domain, after: &Domain) -> Change {
    change(after, changed!(DomainVerificationStarted, before, after))
}

pub fn verified(before: &Domain, after: &Domain) -> Change {
    change(after, changed!(DomainVerified, before, after))
}

pub fn updated(before: &Domain, after: &Domain) -> Change {
    change(after, changed!(DomainUpdated, before, after))
}

pub fn checked(before: &Domain, after: &Domain) -> Change {
    change(after, changed!(DomainChecked, before, after))
}

pub fn lost(before: &Domain, after: &Domain) -> Change {
    change(after, changed!(DomainLost, before, after))
}

pub fn failed(before: &Domain, after: &Domain) -> Change {
    change(after, changed!(DomainFailed, before, after))
}

pub fn removed(domain: &Domain) -> Change {
    change(domain, ended!(DomainRemoved, domain))
}
