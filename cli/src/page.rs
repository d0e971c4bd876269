//! A replay as one page: it needs no network, no script and no other file.

mod parts;

use crate::picture::escape::escaped;
use crate::picture::svg::{DARK, LIGHT, style_within};
use crate::picture::{key::shown, stream_within};
use crate::report::Report;

const STYLE: &str = include_str!("page/style.css");
/// Sorts the table; the page is whole without it.
const SCRIPT: &str = include_str!("page/script.js");
/// The script's SHA-256: it is the only one that a browser runs here, whatever a log had in its keys.
const SCRIPT_HASH: &str = "rXtBIGc0u+A0wfZZluh1KYcSEEUaAXFsiRucji6CGtw=";
/// The most columns of a text from a log.
const LONGEST: usize = 160;

/// The page.
pub fn html(report: &Report) -> String {
    let limits = escaped(&shown(&report.limits.join(" and "), LONGEST));
    let by = escaped(&shown(&report.by, 40));
    let picture = stream_within(report);
    let (facts, worst, how) = (
        parts::facts(report),
        parts::worst(report),
        parts::how(report),
    );
    let span = parts::span(report);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'sha256-{SCRIPT_HASH}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{limits}: what it would have done</title>\n\
         <style>\n:root{{{LIGHT}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{DARK}}}}}\n{}{STYLE}</style>\n</head>\n\
         <body>\n<main>\n<h1>What the limit would have done</h1>\n<p class=\"limits\"><code>{limits}</code> by <code>{by}</code></p>\n\
         <p class=\"quiet\">{span}</p>\n{facts}\
         <h2>Over time</h2>\n<figure class=\"wide\" tabindex=\"0\" aria-label=\"Admitted and refused over time\">\n{picture}</figure>\n\
         {worst}<h2>How it was counted</h2>\n{how}</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        style_within()
    )
}
