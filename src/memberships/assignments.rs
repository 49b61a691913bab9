//! Where roles come from: the assignments of a membership, each with its source.

use crate::db::Type;

/// Where a membership or an assignment came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Source {
    /// A call of the API.
    Api,
    /// A person, in the product's own screens.
    Manual,
    /// An invitation.
    Invitation,
    /// A verified domain.
    Domain,
    /// A directory.
    Directory,
    /// A sign-in by single sign-on.
    Sso,
    /// An import.
    Import,
}

impl Source {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Manual => "manual",
            Self::Invitation => "invitation",
            Self::Domain => "domain",
            Self::Directory => "directory",
            Self::Sso => "sso",
            Self::Import => "import",
        }
    }

    /// From how it is stored.
    fn parse(text: &str) -> Option<Self> {
        use Source::{Api, Directory, Domain, Import, Invitation, Manual, Sso};
        [Api, Manual, Invitation, Domain, Directory, Sso, Import].into_iter().find(|source| source.as_str() == text)
    }
}

/// Where an assignment came from: a source, and which of its things, such as a group of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// Which source.
    pub source: Source,
    /// Which of its things; empty where it has none.
    pub reference: String,
}

impl Origin {
    /// A call of the API that says nothing else.
    pub fn api() -> Self {
        Self { source: Source::Api, reference: String::new() }
    }
}

/// A role of a membership. The same role of two origins is two assignments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Assignment {
    /// The role's slug.
    pub role: String,
    /// Where it came from.
    pub origin: Origin,
}

/// The roles of a membership, ordered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assignments(pub Vec<Assignment>);

impl Assignments {
    /// These roles, all of one origin.
    pub fn of(roles: &[String], origin: &Origin) -> Self {
        let assignment = |role: &String| Assignment { role: role.clone(), origin: origin.clone() };
        let mut assignments: Vec<_> = roles.iter().map(assignment).collect();
        assignments.sort();
        Self(assignments)
    }

    /// The roles, each once.
    pub fn slugs(&self) -> Vec<String> {
        let mut slugs: Vec<_> = self.0.iter().map(|assignment| assignment.role.clone()).collect();
        slugs.dedup();
        slugs
    }

    /// Whether a role is among them, from whatever source.
    pub fn contain(&self, role: &str) -> bool {
        self.0.iter().any(|assignment| assignment.role == role)
    }
}

impl TryFrom<String> for Assignments {
    type Error = String;

    /// From `role source reference` and so on, separated by U+001F, as the store reads them.
    fn try_from(text: String) -> std::result::Result<Self, String> {
        let read = |entry: &str| {
            let mut parts = entry.splitn(3, ' ');
            let (role, source, reference) = (parts.next()?, parts.next()?, parts.next()?);
            let origin = Origin { source: Source::parse(source)?, reference: reference.to_owned() };
            Some(Assignment { role: role.to_owned(), origin })
        };
        let entries = text.split('\u{1f}').filter(|entry| !entry.is_empty());
        let read = entries.map(|entry| read(entry).ok_or_else(|| format!("not an assignment: {entry:?}")));
        let mut assignments = read.collect::<std::result::Result<Vec<_>, _>>()?;
        assignments.sort();
        Ok(Self(assignments))
    }
}
