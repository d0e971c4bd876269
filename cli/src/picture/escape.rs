//! Text within SVG and HTML.

/// The text with its special characters as references, for elements and for attributes in double or single quotes. Characters that
/// XML does not have are replaced: nobody may see a broken file because of them.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\0'..'\t'
            | '\u{b}'
            | '\u{c}'
            | '\u{e}'..' '
            | '\u{7f}'..'\u{a0}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                escaped.push('\u{fffd}');
            }
            _ => escaped.push(character),
        }
    }
    escaped
}
