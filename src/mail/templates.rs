//! The templates of mails: `<template>.<locale>.subject.txt`, `.txt` and `.html`, in minijinja's language. Those in the
//! binary can be overridden, and others added, by files of a folder; what begins with `_` is for including. Values are
//! escaped in HTML. All of them are tried before the service starts.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use minijinja::{Environment, UndefinedBehavior};

use super::letter::Words;
use crate::server::Failure;

/// The template of whoever names none.
pub const DEFAULT: &str = "invitation";
/// The language in which every template is.
const LAST_RESORT: &str = "en";
/// What a mail is made of: how the files of the parts end.
const PARTS: [&str; 3] = ["subject.txt", "txt", "html"];

const BUILT_IN: [(&str, &str); 3] = [
    ("invitation.en.subject.txt", include_str!("templates/invitation.en.subject.txt")),
    ("invitation.en.txt", include_str!("templates/invitation.en.txt")),
    ("invitation.en.html", include_str!("templates/invitation.en.html")),
];

/// The templates, parsed.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    /// Template and locale, the locale in lower case; and how their files begin.
    known: BTreeMap<(String, String), String>,
}

/// A mail, as text.
#[derive(Debug, PartialEq, Eq)]
pub struct Rendered {
    /// In one line.
    pub subject: String,
    /// For those who read text.
    pub text: String,
    /// For the others.
    pub html: String,
}

impl Templates {
    /// Those of the binary, and those of a folder. Fails where one of them does not parse, cannot be rendered or is not
    /// whole, and says which.
    pub fn load(folder: Option<&Path>) -> Result<Self, Failure> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_trim_blocks(true);
        let mut names = BTreeSet::new();
        let own = BUILT_IN.iter().map(|(name, source)| ((*name).to_owned(), (*source).to_owned()));
        for (name, source) in own.chain(read(folder)?) {
            environment.add_template_owned(name.clone(), source).map_err(|error| wrong(&name, &error))?;
            names.insert(name);
        }
        let templates = Self { environment, known: known(&names)? };
        for words in [Words::example(), Words::bare_example()] {
            for stem in templates.known.values() {
                templates.render_stem(stem, &words)?;
            }
        }
        Ok(templates)
    }

    /// Whether there is such a template; the empty name is the default's.
    pub fn has(&self, template: &str) -> bool {
        self.known.contains_key(&(named(template), LAST_RESORT.to_owned()))
    }

    /// A mail in the language that comes nearest: `de-AT`, `de`, `en`. Of a template that is configured no more the default
    /// takes the place.
    pub fn render(&self, template: &str, locale: &str, words: &Words) -> Result<Rendered, Failure> {
        let template = if self.has(template) { named(template) } else { DEFAULT.to_owned() };
        let mut locale = locale.to_lowercase();
        let stem = loop {
            if let Some(stem) = self.known.get(&(template.clone(), locale.clone())) {
                break stem;
            }
            locale = locale.rsplit_once('-').map_or(LAST_RESORT, |(wider, _)| wider).to_owned();
        };
        self.render_stem(stem, words)
    }

    fn render_stem(&self, stem: &str, words: &Words) -> Result<Rendered, Failure> {
        let part = |part: &str| {
            let name = format!("{stem}.{part}");
            let template = self.environment.get_template(&name).map_err(|error| wrong(&name, &error))?;
            template.render(words).map_err(|error| wrong(&name, &error))
        };
        let [subject, text, html] = PARTS.map(part);
        let subject = subject?.split(|c: char| c.is_whitespace() || c.is_control()).collect::<Vec<_>>().join(" ");
        Ok(Rendered { subject: subject.trim().to_owned(), text: text?, html: html? })
    }
}

fn named(template: &str) -> String {
    if template.is_empty() { DEFAULT } else { template }.to_owned()
}

/// The files of a folder: names and texts.
fn read(folder: Option<&Path>) -> Result<Vec<(String, String)>, Failure> {
    let Some(folder) = folder else { return Ok(Vec::new()) };
    let failed =
        |path: &Path, error: std::io::Error| Failure::from(format!("mail_templates: {}: {error}", path.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let path = entry.map_err(|error| failed(folder, error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() && !name.starts_with('.') {
            let text = std::fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
            files.push((name, text));
        }
    }
    files.sort();
    Ok(files)
}

/// Which templates these files are. Fails where a file is none, or a template is not whole.
fn known(names: &BTreeSet<String>) -> Result<BTreeMap<(String, String), String>, Failure> {
    let mut known = BTreeMap::new();
    for name in names.iter().filter(|name| !name.starts_with('_')) {
        let stem = PARTS.iter().find_map(|part| name.strip_suffix(part)?.strip_suffix('.'));
        let parts = stem.and_then(|stem| Some((stem, stem.split_once('.')?)));
        let Some((stem, (template, locale))) = parts.filter(|(_, (_, locale))| !locale.contains('.')) else {
            let form = "not of the form <template>.<locale>.subject.txt, .txt or .html";
            return Err(format!("mail_templates: {name}: {form}").into());
        };
        for part in PARTS.map(|part| format!("{stem}.{part}")) {
            if !names.contains(&part) {
                return Err(format!("mail_templates: {part} is missing beside {name}").into());
            }
        }
        known.insert((template.to_owned(), locale.to_lowercase()), stem.to_owned());
    }
    for (template, _) in known.keys() {
        if !known.contains_key(&(template.clone(), LAST_RESORT.to_owned())) {
            let missing = format!("{template}.{LAST_RESORT}.txt");
            return Err(format!("mail_templates: {missing} is missing: every template is in English too").into());
        }
    }
    Ok(known)
}

fn wrong(name: &str, error: &minijinja::Error) -> Failure {
    let line = error.line().map(|line| format!(" line {line}:")).unwrap_or_default();
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("mail_templates: {name}:{line} {}{detail}", error.kind()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn load(files: &[(&str, &str)]) -> Result<Templates, String> {
        Templates::load(Some(folder(files).path())).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_there_in_the_nearest_language_is_taken() {
        let german =
            |text| [("invitation.de.subject.txt", "S"), ("invitation.de.txt", text), ("invitation.de.html", "H")];
        let templates = load(&german("Hallo")).unwrap();
        let text = |locale| templates.render("", locale, &Words::example()).unwrap().text;
        for locale in ["de", "de-AT", "DE-at-x-y"] {
            assert_eq!(text(locale), "Hallo");
        }
        for locale in ["", "en-GB", "fr", "d"] {
            assert!(text(locale).starts_with("Hello"), "{locale}");
        }
        assert!(templates.has("") && templates.has("invitation") && !templates.has("other"));
        assert!(templates.render("gone", "de", &Words::example()).unwrap().text == "Hallo");
    }

    #[test]
    fn values_are_escaped_in_html_and_a_subject_is_one_line() {
        let templates = Templates::load(None).unwrap();
        let words = Words { message: "<script>&\"".into(), ..Words::example() };
        let words = words.of_organization("<b>Acme</b>\r\nBcc: all@example.com");
        let mail = templates.render("", "", &words).unwrap();
        assert!(mail.html.contains("&lt;script&gt;&amp;&quot;") && !mail.html.contains("<script>"), "{}", mail.html);
        assert!(mail.text.contains("<script>&\""));
        assert!(!mail.subject.contains(['\r', '\n']), "{}", mail.subject);
    }

    #[test]
    fn nobody_starts_with_a_template_that_is_wrong() {
        let german = [("invitation.de.subject.txt", "S"), ("invitation.de.txt", "T")];
        for (file, text, said) in [
            ("invitation.en.html", "{% if %}", "invitation.en.html: line 1: syntax error"),
            ("invitation.en.txt", "{{ nobody }}", "invitation.en.txt: line 1: undefined value"),
            ("invitation.htm", "", "invitation.htm: not of the form"),
            ("partner.de.txt", "", "partner.de.subject.txt is missing beside partner.de.txt"),
        ] {
            let error = load(&[(file, text)]).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        assert!(load(&german).unwrap_err().contains("invitation.de.html is missing"));
        let partner = ["subject.txt", "txt", "html"].map(|part| format!("partner.de.{part}"));
        let partner: Vec<_> = partner.iter().map(|name| (name.as_str(), "")).collect();
        assert!(load(&partner).unwrap_err().contains("partner.en.txt is missing"));
        let included = [("_foot.txt", "Bye"), ("invitation.en.txt", "{% include '_foot.txt' %}")];
        assert_eq!(load(&included).unwrap().render("", "", &Words::example()).unwrap().text, "Bye");
        assert!(Templates::load(Some(Path::new("/nowhere"))).is_err());
    }
}
