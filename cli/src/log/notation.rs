//! The notations in which log formats are written: that of nginx and that of GoAccess.

use std::str::FromStr;

use super::layout::{Layout, LayoutField};

/// A format that was given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notation {
    /// The name of a format that is recognized by itself.
    Known,
    /// The fields of a line.
    Layout(Layout),
}

/// The names of formats in GoAccess. Their lines are recognized without a name.
const KNOWN: [&str; 13] = [
    "COMBINED",
    "VCOMBINED",
    "COMMON",
    "VCOMMON",
    "W3C",
    "SQUID",
    "CLOUDFRONT",
    "CLOUDSTORAGE",
    "AWSELB",
    "AWSS3",
    "AWSALB",
    "CADDY",
    "TRAEFIKCLF",
];

/// Parses `$remote_addr - [$time_local] "$request"`, `%h %^[%d:%t %^] "%r"` or `COMBINED`.
impl FromStr for Notation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if KNOWN.contains(&text) {
            return Ok(Self::Known);
        }
        // nginx has no percent signs for fields, and GoAccess no dollar signs.
        let layout = if text.contains('$') {
            nginx(text)?
        } else {
            goaccess(text)?
        };
        if layout.fields.is_empty() {
            return Err(
                "expected a format with fields, such as `$remote_addr [$time_local]` or `%h [%x]`"
                    .to_owned(),
            );
        }
        Ok(Self::Layout(layout))
    }
}

/// Builds a layout field by field.
#[derive(Default)]
struct Builder {
    layout: Layout,
    skips_spaces: bool,
}

impl Builder {
    fn literal(&mut self, text: &str) {
        let end = match self.layout.fields.last_mut() {
            Some(field) => &mut field.end,
            None => &mut self.layout.start,
        };
        end.extend_from_slice(text.as_bytes());
    }

    fn field(&mut self, name: &str) -> Result<(), String> {
        if let Some(last) = self.layout.fields.last()
            && last.end.is_empty()
        {
            return Err(format!(
                "nothing tells where `{}` ends and `{name}` begins",
                last.name
            ));
        }
        self.layout.fields.push(LayoutField {
            name: name.to_owned(),
            end: Vec::new(),
            skips_spaces: std::mem::take(&mut self.skips_spaces),
        });
        Ok(())
    }
}

/// Parses nginx's notation. A variable is `$name` or `${name}`, and all else stands for itself.
/// The quotes and line breaks of a configuration file between its strings are removed.
fn nginx(text: &str) -> Result<Layout, String> {
    let joined = join_strings(text);
    let mut builder = Builder::default();
    let mut rest = joined.as_str();
    while let Some((before, after)) = rest.split_once('$') {
        builder.literal(before);
        let (name, after) = if let Some(inner) = after.strip_prefix('{') {
            inner.split_once('}').ok_or("a variable lacks its `}`")?
        } else {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let length = after.bytes().take_while(|byte| is_name(*byte)).count();
            after.split_at(length)
        };
        if name.is_empty() {
            return Err("a `$` has no name".to_owned());
        }
        builder.field(name)?;
        rest = after;
    }
    builder.literal(rest);
    Ok(builder.layout)
}

/// Checks a format of times of day.
///
/// # Errors
///
/// If hours of 12 do not say which half of the day they are in.
pub fn time_format(text: &str) -> Result<String, &'static str> {
    let has = |specifiers: [&str; 2]| specifiers.iter().any(|name| text.contains(name));
    if has(["%I", "%l"]) && !has(["%p", "%P"]) {
        return Err("hours of 12 (`%I`) need `%p` for the half of the day; hours of 24 are `%H`");
    }
    Ok(text.to_owned())
}

/// Joins the strings of a `log_format` directive: `'$a '` and `'$b'` on two lines are `$a $b`.
fn join_strings(text: &str) -> String {
    let text = text.trim();
    if !text.starts_with('\'') || !text.ends_with('\'') || text.len() < 2 {
        return text.to_owned();
    }
    let inner = &text[1..text.len() - 1];
    let mut joined = String::new();
    for (number, part) in inner.split('\'').enumerate() {
        // Every second part stands between two strings.
        if number % 2 == 0 || !part.trim().is_empty() {
            joined += part;
        }
    }
    joined
}

/// Parses GoAccess's notation. A specifier ends where the text after it begins. `%^` ignores a
/// field, and after a time it is the offset from UTC if it looks like one. `%~` skips spaces.
/// `~h{, }` is a list of forwarded addresses.
fn goaccess(text: &str) -> Result<Layout, String> {
    let mut builder = Builder::default();
    let mut rest = text;
    while let Some(at) = rest.find(['%', '~', '\\']) {
        let (before, special) = rest.split_at(at);
        builder.literal(before);
        if let Some(list) = special.strip_prefix("~h{") {
            let (_, after) = list.split_once('}').ok_or("`~h{` lacks its `}`")?;
            builder.field("x_forwarded_for")?;
            rest = after;
            continue;
        }
        let mut characters = special.chars();
        let kind = characters.next();
        if kind == Some('~') {
            builder.literal("~");
            rest = characters.as_str();
            continue;
        }
        let specifier = characters
            .next()
            .ok_or("the format ends after a `%` or `\\`")?;
        rest = characters.as_str();
        let literal = specifier.encode_utf8(&mut [0; 4]).to_owned();
        match (kind, specifier) {
            (Some('%'), '~') => builder.skips_spaces = true,
            (Some('%'), '%') => builder.literal("%"),
            (Some('%'), '^') => {
                let last = builder.layout.fields.last();
                let is_zone = last.is_some_and(|last| last.name == "time" && last.end == b" ");
                builder.field(if is_zone { "%zone" } else { "" })?;
            }
            (Some('%'), specifier) => builder.field(specifier_name(specifier)?)?,
            // GoAccess has `\t` for a tab, and `\"` for a quote.
            (_, 't') => builder.literal("\t"),
            _ => builder.literal(&literal),
        }
    }
    builder.literal(rest);
    Ok(builder.layout)
}

/// The name of what a specifier of GoAccess stands for.
fn specifier_name(specifier: char) -> Result<&'static str, String> {
    Ok(match specifier {
        'h' => "remote_addr",
        'x' => "timestamp",
        'd' => "date",
        't' => "time",
        'v' => "host",
        'e' => "user",
        'r' => "request",
        'm' => "method",
        'U' => "path",
        'q' => "query",
        'H' => "protocol",
        's' => "status",
        'b' => "bytes",
        'R' => "referer",
        'u' => "agent",
        // Durations, caches, types and TLS: no limit applies to them.
        'C' | 'D' | 'T' | 'L' | 'n' | 'M' | 'K' | 'k' => "",
        other => return Err(format!("unknown specifier `%{other}`")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(text: &str) -> String {
        match text.parse::<Notation>() {
            Ok(Notation::Known) => "known".to_owned(),
            Ok(Notation::Layout(layout)) => {
                let fields = layout.fields.iter().map(|field| {
                    let spaces = if field.skips_spaces { "~" } else { "" };
                    let end = String::from_utf8(field.end.clone()).unwrap();
                    format!("{spaces}<{}>{end}", field.name)
                });
                String::from_utf8(layout.start.clone()).unwrap() + &fields.collect::<String>()
            }
            Err(error) => error,
        }
    }

    #[test]
    fn hours_of_12_need_their_half() {
        assert!(time_format("%I:%M:%S").is_err());
        for format in ["%I:%M:%S %p", "%l:%M %P", "%H:%M:%S"] {
            assert_eq!(time_format(format).unwrap(), format);
        }
    }

    #[test]
    fn notations() {
        for (text, expected) in [
            (
                "$remote_addr - $remote_user [$time_local] \"$request\" ${status}x",
                "<remote_addr> - <remote_user> [<time_local>] \"<request>\" <status>x",
            ),
            (
                "'$remote_addr [$time_local] '\n   '\"$request\"'",
                "<remote_addr> [<time_local>] \"<request>\"",
            ),
            (
                "{\"ip\":\"$remote_addr\",\"t\":$msec}",
                "{\"ip\":\"<remote_addr>\",\"t\":<msec>}",
            ),
            (
                "%h %^[%d:%t %^] \"%r\" %s %b \"%R\" \"%u\"",
                "<remote_addr> <>[<date>:<time> <%zone>] \"<request>\" <status> <bytes> \
                 \"<referer>\" \"<agent>\"",
            ),
            ("%x\\t%~%h,%^", "<timestamp>\t~<remote_addr>,<>"),
            ("\"~h{, }\" ~ %x", "\"<x_forwarded_for>\" ~ <timestamp>"),
            ("%h 100%% %x", "<remote_addr> 100% <timestamp>"),
            ("COMBINED", "known"),
        ] {
            assert_eq!(layout(text), expected, "{text}");
        }
    }

    #[test]
    fn mistakes() {
        for (text, message) in [
            ("", "expected a format"),
            ("combined", "expected a format"),
            ("$a$b", "where `a` ends"),
            ("%h%d", "where `remote_addr` ends"),
            ("${a", "lacks its `}`"),
            ("$ a", "no name"),
            ("%h %", "ends after"),
            ("%h %Z", "unknown specifier `%Z`"),
            ("~h{,", "lacks its `}`"),
        ] {
            assert!(layout(text).contains(message), "{text}: {}", layout(text));
        }
    }
}
