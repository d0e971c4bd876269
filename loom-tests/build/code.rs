//! Source text without what does not matter: white space, comments, and commas before a closing
//! bracket.

use std::ops::Range;

/// The bytes of a source text that are code, with their places in the text.
pub struct Code<'a> {
    text: &'a str,
    bytes: Vec<u8>,
    places: Vec<usize>,
    /// Whether a byte belongs to a string or a character.
    quoted: Vec<bool>,
}

impl<'a> Code<'a> {
    pub fn of(text: &'a str) -> Self {
        let mut code = Self {
            text,
            bytes: Vec::new(),
            places: Vec::new(),
            quoted: Vec::new(),
        };
        let mut rest = 0;
        while rest < text.len() {
            let (length, kind) = token(&text[rest..]);
            if kind != Kind::Skipped {
                let closes = matches!(text.as_bytes()[rest], b')' | b']' | b'}');
                if closes && code.bytes.last() == Some(&b',') {
                    code.bytes.pop();
                    code.places.pop();
                    code.quoted.pop();
                }
                for place in rest..rest + length {
                    code.bytes.push(text.as_bytes()[place]);
                    code.places.push(place);
                    code.quoted.push(kind == Kind::Quoted);
                }
            }
            rest += length;
        }
        code
    }

    /// Returns where a pattern occurs inside a range of the text.
    pub fn find(&self, pattern: &str, within: &Range<usize>) -> Vec<Range<usize>> {
        let pattern = Code::of(pattern).bytes;
        let windows = self.bytes.windows(pattern.len()).enumerate();
        windows
            .filter(|(_, window)| *window == pattern)
            .map(|(at, _)| self.places[at]..self.places[at + pattern.len() - 1] + 1)
            .filter(|found| within.start <= found.start && found.end <= within.end)
            .filter(|found| {
                !self.is_inside_a_word(found.start) && !self.is_inside_a_word(found.end)
            })
            .collect()
    }

    fn is_inside_a_word(&self, place: usize) -> bool {
        let is_word = |place: usize| {
            let byte = self.text.as_bytes().get(place);
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        };
        place > 0 && is_word(place - 1) && is_word(place)
    }

    /// Returns the functions of a name, each from its `fn` to its last brace.
    pub fn functions(&self, name: &str) -> Vec<Range<usize>> {
        let starts = self.find(&format!("fn {name}"), &(0..self.text.len()));
        starts
            .into_iter()
            .map(|start| start.start..self.end_of_block(start.end))
            .collect()
    }

    /// Returns where the next block ends.
    fn end_of_block(&self, from: usize) -> usize {
        let mut depth = 0_usize;
        for (index, &place) in self.places.iter().enumerate() {
            if place < from || self.quoted[index] {
                continue;
            }
            match self.bytes[index] {
                b'{' => depth += 1,
                b'}' if depth == 1 => return place + 1,
                b'}' => depth -= 1,
                _ => {}
            }
        }
        self.text.len()
    }
}

#[derive(PartialEq)]
enum Kind {
    Code,
    Quoted,
    Skipped,
}

/// Returns the length and the kind of the first token of a text.
fn token(text: &str) -> (usize, Kind) {
    let end_of = |end: Option<usize>, length: usize| end.map_or(text.len(), |end| end + length);
    if text.starts_with("//") {
        return (end_of(text.find('\n'), 1), Kind::Skipped);
    }
    if text.starts_with("/*") {
        return (end_of(text.find("*/"), 2), Kind::Skipped);
    }
    if let Some(string) = text.strip_prefix('"') {
        let mut escaped = false;
        let end = string.find(|character| {
            let ends = character == '"' && !escaped;
            escaped = character == '\\' && !escaped;
            ends
        });
        return (end_of(end, 2), Kind::Quoted);
    }
    if let Some(character) = text.strip_prefix('\'') {
        // A lifetime has no second quote right after its first character.
        let first = character.chars().next().map_or(0, char::len_utf8);
        if character.starts_with('\\') {
            return (end_of(character[2..].find('\''), 4), Kind::Quoted);
        }
        if character[first..].starts_with('\'') {
            return (first + 2, Kind::Quoted);
        }
    }
    let first = text.chars().next().expect("not empty");
    let kind = if first.is_whitespace() {
        Kind::Skipped
    } else {
        Kind::Code
    };
    (first.len_utf8(), kind)
}
