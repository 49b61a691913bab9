//! The key that signs checkpoints and exports: a file, PKCS #8 in PEM, as `openssl genpkey -algorithm ed25519` writes it.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{rand::SystemRandom, signature::Ed25519KeyPair};

use super::note::Signer;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// Where the key is.
#[derive(Debug, Clone)]
pub struct KeyFile {
    /// The file.
    pub path: PathBuf,
    /// Whether it is made where it is missing.
    pub make: bool,
    /// By which name it signs.
    pub name: String,
}

impl KeyFile {
    /// Reads the key. Fails with a sentence for people.
    pub fn read(&self) -> Result<Signer, String> {
        let path = self.path.display();
        if self.make && !self.path.exists() {
            make(&self.path).map_err(|error| format!("{path}: no key can be made: {error}"))?;
            tracing::info!(%path, "a new key was made: what was signed before, if anything was, needs the one of then");
        }
        let text = fs::read_to_string(&self.path)
            .map_err(|error| format!("audit_key_file: {path}: {error}: `roster audit key --make` makes one"))?;
        let key = parse(&text).ok_or_else(|| format!("{path}: not an Ed25519 key (PKCS #8, PEM)"))?;
        Ok(Signer::new(&self.name, key))
    }
}

/// Makes a key, which nobody but its owner may read: all of it, or none. One that is there already is never written over.
pub fn make(path: &Path) -> std::io::Result<()> {
    let random = |_| std::io::Error::other("no randomness");
    let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(random)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let unfinished = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    let made = writeln!(file, "{BEGIN}\n{}\n{END}", STANDARD.encode(key))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&unfinished, path));
    fs::remove_file(&unfinished)?;
    made.and_then(|()| fs::File::open(folder)?.sync_all())
}

fn parse(text: &str) -> Option<Ed25519KeyPair> {
    let (_, rest) = text.split_once(BEGIN)?;
    let (key, _) = rest.split_once(END)?;
    let key = STANDARD.decode(key.split_whitespace().collect::<String>()).ok()?;
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(&key).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_read_again() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile { path: folder.path().join("audit.pem"), make: true, name: "acme".to_owned() };
        let verifier = file.read().unwrap().verifier();
        assert_eq!(file.read().unwrap().verifier(), verifier);
        assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(make(&file.path).is_err(), "written over");
        fs::write(&file.path, "nonsense").unwrap();
        assert!(file.read().unwrap_err().contains("not an Ed25519 key"));
    }

    #[test]
    fn a_key_of_openssl_is_read() {
        let pem = format!("{BEGIN}\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n{END}\n");
        assert!(parse(&pem).is_some(), "RFC 8410, section 10.3");
    }
}
