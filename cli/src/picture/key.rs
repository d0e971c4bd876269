//! Makes keys safe to show. They come from the clients of the logged server.

/// Shortens a key to a number of columns, and makes every character visible.
///
/// Characters that are invisible, reverse the text or end a line appear as their number.
pub fn shown(key: &str, columns: usize) -> String {
    if key.is_empty() {
        return "(empty)".to_owned();
    }
    let mut text = String::new();
    let mut used = 0;
    // Where to cut a key that is too long; the ellipsis needs one column.
    let mut cut = 0;
    for character in key.chars() {
        let written = one(character);
        used += written.chars().map(width).sum::<usize>();
        text.push_str(&written);
        if used < columns {
            cut = text.len();
        }
        if used > columns {
            text.truncate(cut);
            text.push('…');
            return text;
        }
    }
    text
}

/// Makes every character of a text visible, except for the ends of its lines.
pub fn lines_shown(text: &str) -> String {
    let shown = text.chars().map(|character| match character {
        '\n' => "\n".to_owned(),
        character => one(character),
    });
    shown.collect()
}

/// Returns the columns that a character takes in a terminal.
///
/// Nearly all wide scripts have numbers from Hangul on.
pub const fn width(character: char) -> usize {
    if character as u32 >= 0x1100 && !matches!(character as u32, 0x2000..0x2e80) {
        2
    } else {
        1
    }
}

fn one(character: char) -> String {
    if is_plain(character) {
        character.to_string()
    } else {
        format!("\\u{{{:x}}}", u32::from(character))
    }
}

/// Hangul fillers, which are letters without a shape.
const FILLERS: [char; 4] = ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}'];

/// Returns whether a character is visible and stands alone.
fn is_plain(character: char) -> bool {
    // `escape_debug` escapes quotes, unprintable characters, and marks that combine.
    let is_escaped = character.escape_debug().count() > 1;
    matches!(character, '"' | '\'' | '\\') || !(is_escaped || FILLERS.contains(&character))
}

#[cfg(test)]
mod tests {
    use super::{lines_shown, shown};

    #[test]
    fn long_keys_end_in_an_ellipsis() {
        assert_eq!(shown("203.0.113.7", 40), "203.0.113.7");
        assert_eq!(shown("", 40), "(empty)");
        assert_eq!(shown("abcdef", 6), "abcdef");
        assert_eq!(shown("abcdefg", 6), "abcde…");
        assert_eq!(shown("漢字漢字", 6), "漢字…");
        assert_eq!(shown(&"x".repeat(1 << 20), 10).chars().count(), 10);
    }

    #[test]
    fn lines_keep_their_ends() {
        assert_eq!(
            lines_shown("a\r\u{1b}]0;x\u{7}\n\n\u{9b}b\n"),
            "a\\u{d}\\u{1b}]0;x\\u{7}\n\n\\u{9b}b\n"
        );
    }

    #[test]
    fn invisible_and_reversing_characters_are_escaped() {
        let hostile = "a\u{202e}b\u{0}\u{1b}[31m\n\u{200b}\u{feff}\u{ffff}e\u{301}\u{a0}\u{e0041}";
        let text = shown(hostile, 200);
        assert_eq!(
            text,
            "a\\u{202e}b\\u{0}\\u{1b}[31m\\u{a}\\u{200b}\\u{feff}\\u{ffff}e\\u{301}\\u{a0}\\u{e0041}"
        );
        assert_eq!(shown("a\u{3164}\u{ad}", 40), "a\\u{3164}\\u{ad}");
        assert_eq!(shown("über Ωж漢😀", 40), "über Ωж漢😀");
        assert_eq!(shown("\"'\\", 40), "\"'\\");
    }
}
