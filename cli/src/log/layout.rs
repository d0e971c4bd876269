//! Lines whose fields stand at fixed places, each ended by a known text.

use std::borrow::Cow;

use memchr::memmem;

use super::fields::{Found, Roles, WantedFields};
use super::names::normal;

/// The order of the fields in a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The text before the first field.
    pub start: Vec<u8>,
    /// The fields.
    pub fields: Vec<LayoutField>,
}

/// A field and what ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutField {
    /// Its name.
    pub name: String,
    /// The text after it. An empty text means the end of the line.
    pub end: Vec<u8>,
    /// Whether spaces before the field are skipped.
    pub skips_spaces: bool,
}

/// A layout with what each field means for a replay.
#[derive(Debug)]
pub struct LayoutReader {
    layout: Layout,
    roles: Vec<Roles>,
    /// The number of fields up to the last one that matters.
    needed: usize,
}

impl LayoutReader {
    /// Reads the wanted fields of a layout.
    pub fn new(layout: Layout, wanted: &WantedFields) -> Self {
        let fields = layout.fields.iter();
        let roles: Vec<Roles> = fields
            .map(|field| wanted.roles(&field.name, &normal(&field.name)))
            .collect();
        let last = roles.iter().rposition(Roles::is_any);
        Self {
            needed: last.map_or(0, |last| last + 1),
            layout,
            roles,
        }
    }

    /// The names of the fields, without those that are ignored.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.layout.fields.iter().map(|field| field.name.as_str());
        names.filter(|name| !name.is_empty() && !name.starts_with('%'))
    }

    /// Returns the wanted fields of a line, or `None` if the line has another layout. What follows
    /// the last wanted field is not examined, and a line may end after its time.
    pub fn read<'a>(&self, line: &'a [u8]) -> Option<Found<'a>> {
        let mut rest = line.strip_prefix(self.layout.start.as_slice())?;
        let mut found = Found::default();
        for (field, roles) in self.layout.fields.iter().zip(&self.roles).take(self.needed) {
            if field.skips_spaces {
                rest = rest.trim_ascii_start();
            }
            let Some((value, after)) = split(rest, &field.end) else {
                return found.time.get().is_some().then_some(found);
            };
            if roles.is_any() {
                roles.assign(&mut found, &Cow::Borrowed(value));
            }
            rest = after;
        }
        Some(found)
    }
}

/// Splits a text where a field ends. A quote that a backslash escapes does not end a field.
fn split<'a>(text: &'a [u8], end: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    if end.is_empty() {
        return Some((text, b""));
    }
    let mut from = 0;
    loop {
        let at = from + memmem::find(text.get(from..)?, end)?;
        let backslashes = text[..at]
            .iter()
            .rev()
            .take_while(|byte| **byte == b'\\')
            .count();
        if end[0] == b'"' && backslashes % 2 == 1 {
            from = at + 1;
            continue;
        }
        return Some((&text[..at], &text[at + end.len()..]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::group_by::GroupBy;

    #[test]
    fn fields_end_at_their_texts() {
        let field = |name: &str, end: &str| LayoutField {
            name: name.to_owned(),
            end: end.as_bytes().to_vec(),
            skips_spaces: name == "ip",
        };
        let layout = Layout {
            start: b"[".to_vec(),
            fields: vec![
                field("time", "] \""),
                field("request", "\" "),
                field("ip", " "),
                field("rest", ""),
            ],
        };
        let wanted = WantedFields::new(GroupBy::Ip, None, None);
        let reader = LayoutReader::new(layout.clone(), &wanted);
        let found = reader.read(b"[now] \"GET /\\\" x\"   1.2.3.4 ").unwrap();
        assert_eq!(found.time.text(), b"now");
        assert_eq!(found.peer.text(), b"1.2.3.4");
        for other in ["now] \"x\" 1.2.3.4 ", "[now] x", "["] {
            assert!(reader.read(other.as_bytes()).is_none(), "{other}");
        }
        let truncated = reader.read(b"[now] \"x\" 1.2").unwrap();
        assert_eq!(
            (truncated.time.text(), truncated.peer.get()),
            (&b"now"[..], None)
        );
        let wanted = WantedFields::new("request".parse().unwrap(), None, None);
        let reader = LayoutReader::new(layout, &wanted);
        let found = reader.read(b"[now] \"GET /\\\" x\" cut").unwrap();
        assert_eq!(found.key.text(), b"GET /\\\" x");
        assert_eq!(reader.names().count(), 4);
    }
}
