//! A property of requests that is not their key: the status, the method, the path.

use std::str::FromStr;

use crate::log::event_parser::{EventParser, FileState};
use crate::log::interner::KeyInterner;
use crate::picture::numbers::counted;
use crate::values::pattern::Pattern;

/// A status, or a class of statuses such as `4xx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusPattern {
    first: u16,
    last: u16,
}

impl FromStr for StatusPattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let expected = "expected a status such as `429`, or a class such as `4xx`";
        let class = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX"));
        let (number, times, rest) = match class {
            Some(class) => (class, 100, 99),
            None => (text, 1, 0),
        };
        let number = number.parse::<u16>().ok();
        let first = number.and_then(|number| number.checked_mul(times));
        let first = first.filter(|first| (100..1_000).contains(first));
        let first = first.ok_or(expected)?;
        let last = first + rest;
        Ok(Self { first, last })
    }
}

impl StatusPattern {
    fn fits(self, text: &str) -> bool {
        let status = text.parse::<u16>();
        status.is_ok_and(|status| (self.first..=self.last).contains(&status))
    }
}

/// What a property must be.
#[derive(Debug)]
enum Test {
    Anything,
    Status(Vec<StatusPattern>, Vec<StatusPattern>),
    Method(Vec<String>),
    Path(Vec<Pattern>, Vec<Pattern>),
}

/// Finds a property, and tests it. Each different text is tested once.
#[derive(Debug)]
pub(super) struct Property {
    parser: EventParser,
    texts: KeyInterner,
    shown: Vec<String>,
    kept: Vec<bool>,
    test: Test,
    /// What the property is, and the options that test it.
    name: &'static str,
    options: &'static str,
    /// The lines that were tested, and those of them without the property.
    tested: u64,
    missing: u64,
}

impl Property {
    /// Finds the property that a parser groups by.
    pub(super) fn new(parser: EventParser) -> Self {
        Self {
            parser,
            texts: KeyInterner::default(),
            shown: Vec::new(),
            kept: Vec::new(),
            test: Test::Anything,
            name: "",
            options: "",
            tested: 0,
            missing: 0,
        }
    }

    /// Keeps statuses. Without `only`, all but `not`.
    pub(super) fn status(mut self, only: &[StatusPattern], not: &[StatusPattern]) -> Self {
        self.test = Test::Status(only.to_vec(), not.to_vec());
        (self.name, self.options) = ("status", "--status and --not-status need");
        self
    }

    /// Keeps methods, in any case.
    pub(super) fn method(mut self, only: &[String]) -> Self {
        self.test = Test::Method(only.to_vec());
        (self.name, self.options) = ("method", "--method needs");
        self
    }

    /// Keeps paths. Without `only`, all but `not`.
    pub(super) fn path(mut self, only: &[Pattern], not: &[Pattern]) -> Self {
        self.test = Test::Path(only.to_vec(), not.to_vec());
        (self.name, self.options) = ("path", "--path and --not-path need");
        self
    }

    /// The property of a line.
    pub(super) fn text(&mut self, line: &[u8], file: &mut FileState) -> Option<&str> {
        let number = self.number(line, file)?;
        self.shown.get(number).map(String::as_str)
    }

    /// Whether the property of a line passes the test. A line without the property does, unless
    /// only some are kept.
    pub(super) fn keeps(&mut self, line: &[u8], file: &mut FileState) -> bool {
        self.tested += 1;
        let Some(number) = self.number(line, file) else {
            self.missing += 1;
            return self.test.keeps_missing();
        };
        self.kept.get(number) == Some(&true)
    }

    /// Why the test says nothing about this log: no line has the property.
    pub(super) fn objection(&self) -> Option<String> {
        let Self { name, options, .. } = self;
        (self.tested > 0 && self.missing == self.tested).then(|| {
            let advice = self.parser.judge().skipped_advice();
            format!("no line has a {name}, which {options}{advice}")
        })
    }

    /// What became of lines without the property, if there were some.
    pub(super) fn warning(&self) -> Option<String> {
        let fate = if self.test.keeps_missing() {
            "they count"
        } else {
            "they are left out"
        };
        let Self { name, options, .. } = self;
        (self.missing > 0).then(|| {
            let lines = counted(self.missing, "line");
            format!("{lines} without a {name}, which {options}: {fate}")
        })
    }

    /// How the lines without the property were read.
    pub(super) fn advice(&self, options: &str) -> String {
        self.parser.judge().advice(options)
    }

    fn number(&mut self, line: &[u8], file: &mut FileState) -> Option<usize> {
        // Not each line comes here, so a piece of an earlier one says nothing about this.
        file.begin_line();
        let event = self.parser.parse(line, file, &mut self.texts).ok()?;
        while self.shown.len() < self.texts.len() {
            let number = u32::try_from(self.shown.len()).ok()?;
            let text = self.texts.text(number);
            self.kept.push(self.test.passes(&text));
            self.shown.push(text);
        }
        Some(event.key as usize)
    }
}

impl Test {
    /// Whether a line without the property passes: no test of those that must not be speaks of it.
    const fn keeps_missing(&self) -> bool {
        match self {
            Self::Anything => true,
            Self::Status(only, _) => only.is_empty(),
            Self::Method(_) => false,
            Self::Path(only, _) => only.is_empty(),
        }
    }

    fn passes(&self, text: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::Status(only, not) => {
                let fits = |list: &[StatusPattern]| list.iter().any(|status| status.fits(text));
                (only.is_empty() || fits(only)) && !fits(not)
            }
            Self::Method(only) => {
                // The field may hold the whole request line.
                let method = text.split(' ').next().unwrap_or_default();
                only.iter()
                    .any(|wanted| wanted.eq_ignore_ascii_case(method))
            }
            Self::Path(only, not) => {
                let fits = |list: &[Pattern]| list.iter().any(|pattern| pattern.fits(text));
                (only.is_empty() || fits(only)) && !fits(not)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StatusPattern;

    #[test]
    fn statuses_and_classes() {
        for (pattern, status, expected) in [
            ("429", "429", true),
            ("429", "428", false),
            ("4xx", "429", true),
            ("4XX", "500", false),
            ("2xx", "-", false),
        ] {
            let pattern: StatusPattern = pattern.parse().unwrap();
            assert_eq!(pattern.fits(status), expected);
        }
        for invalid in ["", "x", "0xx", "99", "1000", "700xx", "-1", "4x"] {
            assert!(invalid.parse::<StatusPattern>().is_err(), "{invalid}");
        }
    }
}
