//! Makes keys safe to show. They come from the clients of the logged server.

/// Shortens a key to so many columns, and makes every character visible.
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

/// Returns whether a character is visible and stands alone. Combining marks do not.
fn is_plain(character: char) -> bool {
    match u32::from(character) {
        0x20..0x7f => true,
        // Controls and the soft hyphen; combining marks; joiners and direction marks; tags;
        // private use; noncharacters.
        0..=0xa0
        | 0xad
        | 0x300..=0x36f
        | 0x483..=0x489
        | 0x591..=0x5bd
        | 0x600..=0x605
        | 0x610..=0x61c
        | 0x64b..=0x65f
        | 0x6dd
        | 0x70f
        | 0x115f
        | 0x1160
        | 0x1680
        | 0x17b4
        | 0x17b5
        | 0x180b..=0x180f
        | 0x1ab0..=0x1aff
        | 0x1dc0..=0x1dff
        | 0x2000..=0x200f
        | 0x2028..=0x202f
        | 0x205f..=0x206f
        | 0x20d0..=0x20ff
        | 0x3000
        | 0x3164
        | 0xd800..=0xf8ff
        | 0xfe00..=0xfe0f
        | 0xfe20..=0xfe2f
        | 0xfeff
        | 0xffa0
        | 0xfff0..=0xffff => false,
        0x10000.. => {
            !matches!(u32::from(character), 0x1d173..=0x1d17a | 0xe0000.. | 0x1fffe..=0x1ffff)
                && character.is_alphanumeric()
                || matches!(u32::from(character), 0x1f300..=0x1faff)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

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
    fn invisible_and_reversing_characters_are_escaped() {
        let hostile = "a\u{202e}b\u{0}\u{1b}[31m\n\u{200b}\u{feff}\u{ffff}e\u{301}\u{a0}\u{e0041}";
        let text = shown(hostile, 200);
        assert_eq!(
            text,
            "a\\u{202e}b\\u{0}\\u{1b}[31m\\u{a}\\u{200b}\\u{feff}\\u{ffff}e\\u{301}\\u{a0}\\u{e0041}"
        );
        assert_eq!(shown("über Ωж漢😀", 40), "über Ωж漢😀");
    }
}
