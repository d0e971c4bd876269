//! Escapes text for SVG and HTML.

/// Escapes text for elements, and for attributes in double or single quotes.
///
/// Replaces characters that XML does not allow, so that a log cannot break the file.
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
