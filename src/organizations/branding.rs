//! What an organization's own pages and mails look like.

use serde::{Deserialize, Serialize};

use crate::fields::Fields;

/// What an organization's own pages and mails look like. Every field may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Branding {
    /// Where the logo is: an `https` URL.
    pub logo_url: String,
    /// The colour of buttons and links, `#rrggbb`.
    pub primary_color: String,
    /// The colour behind everything, `#rrggbb`.
    pub background_color: String,
    /// The colour of text, `#rrggbb`.
    pub text_color: String,
    /// Where the organization's people ask for help.
    pub support_email: String,
}

impl Branding {
    /// As it was given, checked.
    pub fn read(mut self, fields: &mut Fields) -> Self {
        fields.https_url("logo_url", &self.logo_url);
        fields.color("primary_color", &self.primary_color);
        fields.color("background_color", &self.background_color);
        fields.color("text_color", &self.text_color);
        if !self.support_email.is_empty() {
            self.support_email = fields.email("support_email", &self.support_email).original;
        }
        self
    }
}
