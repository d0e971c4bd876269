//! What all pages share: the style, the script, and a policy that allows no other script.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::picture::key::shown;
use crate::picture::svg::{DARK, LIGHT, style_within};

const STYLE: &str = include_str!("style.css");
/// Sorts the tables. The page is complete without it.
const SCRIPT: &str = include_str!("script.js");
/// The policy allows the script above by its SHA-256, and no other script that a log may contain.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src \
    'sha256-rXtBIGc0u+A0wfZZluh1KYcSEEUaAXFsiRucji6CGtw='; base-uri 'none'; form-action 'none'";
/// The most columns of a text from a log.
pub const MAX_COLUMNS: usize = 160;

/// Returns a page with this content.
pub fn page(title: &str, content: &Markup) -> String {
    let style = format!(
        "\n:root{{{LIGHT}}}\n\
         @media screen and (prefers-color-scheme:dark){{:root{{{DARK}}}}}\n{}{STYLE}",
        style_within()
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(style)) }
            }
            body {
                main { (content) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// A picture: wide, and narrow for phones. The style shows the one that fits.
pub fn figure(label: &str, wide: String, narrow: String) -> Markup {
    html! {
        figure.on-desk aria-label=(label) { (PreEscaped(wide)) }
        figure.on-phone aria-label=(label) { (PreEscaped(narrow)) }
    }
}

/// Text from a log: escaped, of bounded length, and with its own text direction.
pub fn foreign(text: &str) -> Markup {
    html! { bdi { code { (shown(text, MAX_COLUMNS)) } } }
}

/// A box with a main number. `note` may be empty.
pub fn fact(color: &str, name: &str, value: &str, note: &Markup) -> Markup {
    html! {
        div class=(color) {
            dt { (name) }
            dd { (value) }
            @if !note.0.is_empty() { dd.note { (note) } }
        }
    }
}
