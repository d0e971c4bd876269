//! Prints limits in the words of their targets.

use anstyle::Style;

use super::wrap::wrapped;
use crate::config::Written;
use crate::picture::noun::capitalized;

const BOLD: Style = Style::new().bold();
/// A comment is easier to read in lines that are not too long.
const WIDEST: usize = 96;

/// Each target with its differences as comments, so that all of it can be copied.
pub fn text(written: &[Written], width: usize) -> String {
    let room = width.min(WIDEST).saturating_sub(2);
    let parts = written.iter().map(|written| {
        let mut text = format!("{BOLD}# {}{BOLD:#}\n", written.target);
        for difference in &written.differences {
            let sentence = match difference.strip_prefix("nginx") {
                Some(_) => format!("{difference}."),
                None => format!("{}.", capitalized(difference)),
            };
            for line in wrapped(&sentence, room).lines() {
                text += &format!("# {line}\n");
            }
        }
        text + written.config.as_deref().unwrap_or("")
    });
    parts.collect::<Vec<_>>().join("\n")
}
