//! The file: settings that are flags too, and tables.

use std::path::PathBuf;

use clap::{Arg, Args as _, Command};

use super::{Faults, Settings};

/// What a file has beside the settings that are flags too.
#[derive(Debug, Default)]
pub struct Tables {
    /// The issuers of tokens, not checked yet.
    pub(super) issuers: Vec<toml::Value>,
}

/// Puts the values of the file that the command line or the environment names in the place of the defaults.
///
/// Answers also the tables of the file, and what is wrong in it; a file that cannot be read at all is the only fault
/// there is.
pub fn with_file(mut command: Command, arguments: &[String]) -> Result<(Command, Tables, Faults), Faults> {
    let mut tables = Tables::default();
    let Some(path) = file_named(arguments) else { return Ok((command, tables, Faults::new())) };
    let text = std::fs::read_to_string(&path).map_err(|error| vec![format!("{}: {error}", path.display())])?;
    let table: toml::Table = text
        .parse()
        // Without the line that is wrong: it may hold a secret.
        .map_err(|error: toml::de::Error| vec![format!("{}: {}", path.display(), error.message())])?;
    let mut faults = Faults::new();
    for (key, value) in table {
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(answer) => answer.to_string(),
            toml::Value::Array(entries) if key == "issuers" => {
                tables.issuers = entries;
                continue;
            }
            _ => {
                faults.push(format!("{}: {key}: neither text nor a number", path.display()));
                continue;
            }
        };
        if key == "config" || !Settings::augment_args(Command::new("")).get_arguments().any(|arg| arg.get_id() == &key)
        {
            faults.push(format!("{}: there is no setting {key}", path.display()));
            continue;
        }
        command = command.mut_arg(key, |arg: Arg| arg.default_value(clap::builder::OsStr::from(value)));
    }
    Ok((command, tables, faults))
}

/// The file that `--config` or `ROSTER_CONFIG` names: needed before the rest can be read.
fn file_named(arguments: &[String]) -> Option<PathBuf> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--config" {
            return arguments.next().map(PathBuf::from);
        }
        if let Some(path) = argument.strip_prefix("--config=") {
            return Some(PathBuf::from(path));
        }
    }
    std::env::var_os("ROSTER_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::FromArgMatches as _;

    use super::*;
    use crate::config::{Config, TenantFrom};

    fn read_file(text: &str) -> Result<Config, Faults> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roster.toml");
        std::fs::write(&path, text).unwrap();
        let arguments = ["roster".to_owned(), format!("--config={}", path.display())];
        let command = Settings::augment_args(Command::new("roster"));
        let (command, tables, mut faults) = with_file(command, &arguments)?;
        let matches = command.try_get_matches_from(&arguments).unwrap();
        let config = Config::read(&Settings::from_arg_matches(&matches).unwrap(), tables);
        match config {
            Ok(config) if faults.is_empty() => Ok(config),
            config => {
                faults.extend(config.err().unwrap_or_default());
                Err(faults)
            }
        }
    }

    #[test]
    fn issuers_are_tables_of_the_file_beside_its_settings() {
        let text = r#"
            jwks_stale_seconds = 60
            allow_private_addresses = true
            [[issuers]]
            issuer = "https://idp.example"
            jwks_url = "http://10.0.0.1/jwks"
            audiences = ["roster"]
            tenant_claim = "tid"
            maps_to = "user"
            [[issuers]]
            issuer = "https://ci.example"
            jwks_file = "/etc/roster/ci.json"
            audiences = ["roster"]
            tenant = "default"
            maps_to = "service"
            scopes = ["members:*"]
        "#;
        let tokens = read_file(text).unwrap().tokens;
        assert_eq!((tokens.refresh, tokens.stale), (Duration::from_secs(300), Duration::from_secs(60)));
        assert_eq!(tokens.issuers.len(), 2);
        assert!(matches!(&tokens.issuers[0].tenant, TenantFrom::Claim(claim) if claim == "tid"));
        let public_only = text.replace("= true", "= false");
        assert_eq!(read_file(&public_only).unwrap_err(), ["issuers[0].jwks_url: not an https URL"]);
        assert_eq!(read_file("issuers = 5").unwrap_err().len(), 1);
        assert_eq!(read_file("issuers = [5]").unwrap_err(), ["issuers[0]: not a table"]);
        assert_eq!(read_file("jwks_refresh_seconds = 0").unwrap_err(), ["jwks_refresh_seconds: 0 is too small"]);
    }
}
