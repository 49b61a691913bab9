//! The versions of the Open Cybersecurity Schema Framework, and in what they differ for us.

/// A version of OCSF: 1.`minor`.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    minor: u8,
}

impl Version {
    /// Has the caller's address and user agent in every class.
    pub const CALLER: Self = Self { minor: 2 };
    /// Has words for what happens to entities, and kinds of entities.
    pub const ENTITIES: Self = Self { minor: 3 };
    /// Has the actor in every class, whatever its profile.
    pub const ACTOR: Self = Self { minor: 4 };
    /// Has several resources, where there was one.
    pub const RESOURCES: Self = Self { minor: 5 };
    /// Has accounts of services.
    pub const SERVICES: Self = Self { minor: 6 };
    /// The one that is written where nobody says which.
    pub const DEFAULT: Self = Self { minor: 8 };

    /// Every version that can be written.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=8).map(|minor| Self { minor })
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "1.{}.0", self.minor)
    }
}

impl std::str::FromStr for Version {
    type Err = String;

    /// Empty is the default. The error says which there are.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::DEFAULT);
        }
        Self::all().find(|version| version.to_string() == text).ok_or_else(|| {
            let all: Vec<_> = Self::all().map(|version| version.to_string()).collect();
            format!("not one of {}", all.join(", "))
        })
    }
}
