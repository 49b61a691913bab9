//! Whether a refusal says that the change was made before.

use tonic::{Code, Status};

use crate::changes::Op;

/// What may have become of a change before it is sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// It was never sent.
    None,
    /// It was sent, and its answer was lost. Nothing after it was sent.
    Sent,
    /// It may have been made long ago, and changes after it too.
    Overtaken,
}

impl Doubt {
    /// Whether the refusal is what a change meets that was made before.
    pub fn explains(self, op: &Op, status: &Status) -> bool {
        match self {
            Self::None => false,
            Self::Sent => refused_twice(op) == Some(status.code()),
            // Later changes may have taken away whatever this one speaks of. Sending all of them again ends where the
            // first time ended, as every change says what is to be and not by how much.
            Self::Overtaken => {
                matches!(status.code(), Code::AlreadyExists | Code::NotFound | Code::FailedPrecondition)
            }
        }
    }
}

/// How the service refuses a change that it has just made. Nothing: it makes such a change again.
fn refused_twice(op: &Op) -> Option<Code> {
    match op {
        Op::CreateOrganization | Op::AddMember { .. } | Op::CreateTeam { .. } | Op::AddTeamMember { .. } => {
            Some(Code::AlreadyExists)
        }
        Op::RemoveMember { .. } | Op::DeleteTeam { .. } | Op::RemoveTeamMember { .. } | Op::RemoveGrant { .. } => {
            Some(Code::NotFound)
        }
        Op::SetMemberRole { .. } | Op::MoveTeam { .. } | Op::SetTeamMemberRole { .. } | Op::SetGrant { .. } => None,
    }
}
