//! Logs of the World Wide Web Consortium's extended format, which IIS, CloudFront and others
//! write: a line `#Fields:` names the columns of the lines that follow.

use std::borrow::Cow;

use jiff::civil::Date;
use memchr::memchr;

use super::fields::{Found, Roles, WantedFields};
use super::names::normal;

/// The seconds of half a day.
const HALF_DAY: u32 = 43_200;

/// The columns of a file.
#[derive(Debug, Default)]
pub struct Columns {
    names: Vec<String>,
    roles: Vec<Roles>,
    /// The day of a line `#Date:`, for logs whose lines have only a time of day.
    date: Vec<u8>,
    /// The column with the time of day, if no column has the day.
    clock: Option<usize>,
    /// The last time of day in seconds.
    second: u32,
}

impl Columns {
    /// Takes a line that begins with `#`. Returns whether the columns are known now.
    pub fn take_directive(&mut self, line: &[u8], wanted: &WantedFields) -> bool {
        if let Some(names) = line.strip_prefix(b"#Fields:") {
            let names = String::from_utf8_lossy(names);
            self.names = names.split_ascii_whitespace().map(str::to_owned).collect();
            let names = self.names.iter();
            self.roles = names
                .map(|name| wanted.roles(name, &normal(name)))
                .collect();
            let has_date = self.names.iter().any(|name| name == "date");
            let clock = self.names.iter().position(|name| name == "time");
            self.clock = clock.filter(|_| !has_date);
        } else if let Some(date) = line.strip_prefix(b"#Date:") {
            let mut words = date.trim_ascii().split(|byte| *byte == b' ');
            self.date = words.next().unwrap_or_default().to_vec();
            self.second = 0;
        }
        self.is_known()
    }

    /// Whether the columns are known.
    pub const fn is_known(&self) -> bool {
        !self.names.is_empty()
    }

    /// The names of the columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Returns the wanted fields of a line.
    ///
    /// # Errors
    ///
    /// If the line has too few columns.
    pub fn read<'a>(&'a self, line: &'a [u8]) -> Result<Found<'a>, &'static str> {
        let mut found = Found::default();
        let separator = separator(line);
        let mut rest = Some(line);
        for roles in &self.roles {
            let text = rest.ok_or("fewer columns than `#Fields:` names")?;
            let (value, after) = column(text, separator);
            rest = after;
            if roles.is_any() {
                roles.assign(&mut found, &Cow::Borrowed(value));
            }
        }
        if !self.date.is_empty() {
            found.date.offer(u8::MAX, Cow::Borrowed(&self.date));
        }
        Ok(found)
    }
}

impl Columns {
    /// Goes on to the next day if the time of day of a line falls by more than half a day.
    pub fn pass_midnight(&mut self, line: &[u8]) {
        let Some(clock) = self.clock.filter(|_| !self.date.is_empty()) else {
            return;
        };
        let (separator, mut rest) = (separator(line), Some(line));
        for _ in 0..clock {
            rest = rest.and_then(|text| column(text, separator).1);
        }
        let time = rest.map(|text| column(text, separator).0);
        let Some(second) = time.and_then(second_of_day) else {
            return;
        };
        if second + HALF_DAY < self.second
            && let Ok(date) = String::from_utf8_lossy(&self.date).parse::<Date>()
            && let Ok(next) = date.tomorrow()
        {
            self.date = next.to_string().into_bytes();
        }
        self.second = second;
    }
}

/// The second of a day at `23:50:00`.
fn second_of_day(text: &[u8]) -> Option<u32> {
    let text = str::from_utf8(text.get(..8)?).ok()?;
    let mut parts = text.split(':').map(str::parse::<u32>);
    let mut part = || parts.next()?.ok();
    Some(part()? * 3_600 + part()? * 60 + part()?)
}

fn separator(line: &[u8]) -> u8 {
    match memchr(b'\t', line) {
        Some(_) => b'\t',
        None => b' ',
    }
}

/// Splits the first column off. A column in quotes may contain spaces.
fn column(text: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    if let Some(inner) = text.strip_prefix(b"\"")
        && let Some(close) = memchr(b'"', inner)
    {
        let after = &inner[close + 1..];
        match after.split_first() {
            None => return (&inner[..close], None),
            Some((next, rest)) if *next == separator => return (&inner[..close], Some(rest)),
            Some(_) => {}
        }
    }
    match memchr(separator, text) {
        Some(end) => (&text[..end], Some(&text[end + 1..])),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::group_by::GroupBy;

    fn columns(fields: &str) -> Columns {
        let mut columns = Columns::default();
        let wanted = WantedFields::new(GroupBy::Ip, None, None);
        assert!(!columns.take_directive(b"#Version: 1.0", &wanted));
        assert!(!columns.take_directive(b"#Date: 2024-03-09 00:00:00", &wanted));
        assert!(columns.take_directive(format!("#Fields: {fields}").as_bytes(), &wanted));
        columns
    }

    #[test]
    fn spaces_tabs_and_quotes() {
        let columns = columns("date time cs(User-Agent) c-ip time-taken");
        for line in [
            "2024-03-10 23:50:00 \"Agent (X11; a)\" 203.0.113.5 39",
            "2024-03-10 23:50:00 \"Agent\"+x 203.0.113.5 39",
            "2024-03-10\t23:50:00\tAgent (X11; a)\t203.0.113.5\t39",
        ] {
            let found = columns.read(line.as_bytes()).unwrap();
            assert_eq!(found.date.text(), b"2024-03-10");
            assert_eq!(found.time.text(), b"23:50:00");
            assert_eq!(found.peer.text(), b"203.0.113.5");
        }
        assert!(columns.read(b"2024-03-10 23:50:00 Agent").is_err());
    }

    #[test]
    fn day_of_the_header() {
        let columns = columns("time c-ip");
        let found = columns.read(b"23:50:00 203.0.113.5").unwrap();
        assert_eq!(found.date.text(), b"2024-03-09");
    }

    #[test]
    fn days_go_on_at_midnight() {
        let mut columns = columns("c-ip time");
        for (time, date) in [
            ("23:50:00", "2024-03-09"),
            ("23:49:59", "2024-03-09"),
            ("00:00:01", "2024-03-10"),
            ("23:00:00", "2024-03-10"),
            ("00:00:00", "2024-03-11"),
        ] {
            let line = format!("203.0.113.5 {time}");
            columns.pass_midnight(line.as_bytes());
            let found = columns.read(line.as_bytes()).unwrap();
            assert_eq!(found.date.text(), date.as_bytes(), "{time}");
        }
    }
}
