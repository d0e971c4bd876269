//! Writes paths that differ only in identifiers as one.

use std::borrow::Cow;

/// How paths are written.
#[derive(Clone, Debug, Default)]
pub(super) struct Templates {
    /// Whether identifiers are found.
    finds: bool,
    /// Templates as they were given.
    given: Vec<String>,
}

impl Templates {
    /// Finds identifiers, and writes paths as the first template that fits.
    pub(super) fn new(finds: bool, given: &[String]) -> Self {
        let given = given.to_vec();
        Self { finds, given }
    }

    /// Whether paths may be written otherwise.
    pub(super) const fn is_any(&self) -> bool {
        self.finds || !self.given.is_empty()
    }

    /// The template of a path. What is no path stays as it is.
    pub(super) fn apply<'a>(&self, text: &'a str, is_path: bool) -> Cow<'a, str> {
        if !is_path {
            return Cow::Borrowed(text);
        }
        let given = self.given.iter().find(|template| fits(template, text));
        match given {
            Some(template) => Cow::Owned(template.clone()),
            None if self.finds => found(text),
            None => Cow::Borrowed(text),
        }
    }
}

/// Whether a path can fit a template. Paths begin with `/` and have no query.
pub(super) fn is_possible(template: &str) -> bool {
    let mut before_last = template.rsplit('/').skip(1);
    let is_rooted = template.starts_with('/') || template == "*";
    is_rooted && !template.contains('?') && before_last.all(|segment| segment != "*")
}

/// Whether a path has the segments of a template.
fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut segments) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), segments.next()) {
            (None, None) | (Some("*"), Some(_)) => return true,
            (Some(wanted), Some(segment)) => {
                let is_any = wanted.starts_with(':') && !segment.is_empty();
                if !is_any && wanted != segment {
                    return false;
                }
            }
            (None, Some(_)) | (Some(_), None) => return false,
        }
    }
}

/// The path with `:id` for each segment that is an identifier.
fn found(path: &str) -> Cow<'_, str> {
    if !path.split('/').any(is_identifier) {
        return Cow::Borrowed(path);
    }
    let segments = path.split('/');
    let segments = segments.map(|segment| {
        if is_identifier(segment) {
            ":id"
        } else {
            segment
        }
    });
    Cow::Owned(segments.collect::<Vec<_>>().join("/"))
}

/// Numbers, UUIDs, hexadecimal numbers of 8 or more digits, and long words with digits and letters
/// of both cases, such as those of base64.
fn is_identifier(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    let has = |is: fn(&u8) -> bool| bytes.iter().any(is);
    let all = |is: fn(&u8) -> bool| !bytes.is_empty() && bytes.iter().all(is);
    let has_digit = has(u8::is_ascii_digit);
    if all(u8::is_ascii_digit) {
        return true;
    }
    let is_hex = all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    if is_hex && has_digit && bytes.len() >= 8 {
        return true;
    }
    let is_word = all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'='));
    is_word
        && bytes.len() >= 16
        && has_digit
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase)
}

#[cfg(test)]
mod tests {
    use super::Templates;

    #[test]
    fn identifiers_are_found() {
        let templates = Templates::new(true, &[]);
        for (path, expected) in [
            ("/users/123", "/users/:id"),
            ("/users/123/posts/9/", "/users/:id/posts/:id/"),
            ("/o/6ba7b810-9dad-11d1-80b4-00c04fd430c8", "/o/:id"),
            ("/c/deadbeef01", "/c/:id"),
            ("/c/deadbeef", "/c/deadbeef"),
            ("/t/dGhpcyBpcyBhIHRlc3Qx", "/t/:id"),
            ("/v2/articles/semicomplete", "/v2/articles/semicomplete"),
            ("/", "/"),
            ("", ""),
        ] {
            assert_eq!(templates.apply(path, true), expected);
        }
        assert_eq!(templates.apply("123", false), "123");
    }

    #[test]
    fn given_templates_come_first() {
        let given = ["/users/:name", "/files/*", "/a"].map(str::to_owned);
        let templates = Templates::new(false, &given);
        for (path, expected) in [
            ("/users/ann", "/users/:name"),
            ("/users/", "/users/"),
            ("/users/ann/posts", "/users/ann/posts"),
            ("/files/a/b", "/files/*"),
            ("/files", "/files"),
            ("/a", "/a"),
            ("/users/5", "/users/:name"),
            ("/x/5", "/x/5"),
        ] {
            assert_eq!(templates.apply(path, true), expected);
        }
    }
}
