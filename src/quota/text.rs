//! Quotas as text: `"100/min burst 20"`.

use core::fmt;
use core::str::FromStr;

use super::{ParseQuotaError, ParseQuotaErrorKind as Kind, Quota, QuotaError, SECOND};

/// Units in nanoseconds, longest first. The first name is the one that is printed.
const UNITS: [(u64, &[&str]); 7] = [
    (86_400 * SECOND, &["day", "d", "days"]),
    (3_600 * SECOND, &["hour", "h", "hr", "hrs", "hours"]),
    (60 * SECOND, &["min", "m", "mins", "minute", "minutes"]),
    (SECOND, &["s", "sec", "secs", "second", "seconds"]),
    (1_000_000, &["ms", "millisecond", "milliseconds"]),
    (1_000, &["us", "µs", "μs", "microsecond", "microseconds"]),
    (1, &["ns", "nanosecond", "nanoseconds"]),
];

/// Optional words for what the rate counts. They change nothing.
const COUNTED: [&str; 7] = ["r", "req", "reqs", "request", "requests", "token", "tokens"];

/// Writes a short form that reads back as the same quota: `100/min`, `5/2hour`, `100/min burst 20`.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.rate)?;
        // The last unit, a nanosecond, divides every period.
        let (unit, names) = UNITS
            .iter()
            .find(|(unit, _)| self.period % unit == 0)
            .unwrap_or(&UNITS[UNITS.len() - 1]);
        let count = self.period / unit;
        if count != 1 {
            write!(f, "{count}")?;
        }
        f.write_str(names[0])?;
        if self.capacity != self.rate {
            write!(f, " burst {}", self.capacity)?;
        }
        Ok(())
    }
}

impl FromStr for Quota {
    type Err = ParseQuotaError;

    fn from_str(text: &str) -> Result<Self, ParseQuotaError> {
        let Parts { quota, burst } = Parts::read(text)?;
        // Without an explicit burst, a rate that is too large is reported first.
        let rate_at = text.len() - text.trim_start().len();
        let (burst, offset) = burst.unwrap_or((quota.rate, rate_at));
        quota.try_burst(burst).map_err(|error| ParseQuotaError {
            kind: Kind::Quota(error),
            offset,
        })
    }
}

/// The parts of a text.
pub(super) struct Parts {
    /// With the smallest burst.
    pub(super) quota: Quota,
    /// The explicit burst and its offset.
    pub(super) burst: Option<(u64, usize)>,
}

impl Parts {
    pub(super) fn read(text: &str) -> Result<Self, ParseQuotaError> {
        let mut reader = Reader { text, offset: 0 };

        reader.skip_space();
        let rate_at = reader.offset;
        let rate = reader.number()?;
        reader.take_word(&COUNTED);

        if !reader.take_slash() && !reader.take_word(&["per"]) {
            return Err(reader.error(Kind::ExpectedPer));
        }
        let period_at = reader.offset;
        let period = reader.period()?;

        // Checked before the burst is read, so that the first mistake is reported.
        let quota = Quota::with_rate(rate, period).map_err(|error| ParseQuotaError {
            kind: Kind::Quota(error),
            offset: match error {
                QuotaError::ZeroPeriod => period_at,
                _ => rate_at,
            },
        })?;

        let burst = if reader.take_word(&["burst"]) {
            reader.take_equals();
            let offset = reader.offset;
            Some((reader.number()?, offset))
        } else {
            None
        };
        if !reader.rest().is_empty() {
            return Err(reader.error(Kind::UnexpectedText));
        }
        Ok(Self { quota, burst })
    }
}

/// A position in the text. Every `take` skips the white space after what it took.
struct Reader<'a> {
    text: &'a str,
    offset: usize,
}

impl<'a> Reader<'a> {
    /// The text from the offset on. The offset only moves past whole characters, so the slice
    /// exists.
    fn rest(&self) -> &'a str {
        self.text.get(self.offset..).unwrap_or_default()
    }

    const fn error(&self, kind: Kind) -> ParseQuotaError {
        ParseQuotaError {
            kind,
            offset: self.offset,
        }
    }

    fn skip_space(&mut self) {
        self.offset = self.text.len() - self.rest().trim_start().len();
    }

    fn advance(&mut self, bytes: usize) {
        self.offset += bytes;
        self.skip_space();
    }

    /// The letters at the current position.
    fn word(&self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_alphabetic());
        rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
    }

    fn take_word(&mut self, words: &[&str]) -> bool {
        let word = self.word();
        let known = words.iter().any(|known| word.eq_ignore_ascii_case(known));
        if known {
            self.advance(word.len());
        }
        known
    }

    fn take_slash(&mut self) -> bool {
        let found = self.rest().starts_with('/');
        if found {
            self.advance(1);
        }
        found
    }

    fn take_equals(&mut self) {
        if self.rest().starts_with('=') {
            self.advance(1);
        }
    }

    /// A count: [digits](Self::digits), directly followed by `k` or `M` for thousands or millions.
    fn number(&mut self) -> Result<u64, ParseQuotaError> {
        let start = self.offset;
        let value = self.digits()?;
        let factor = match self.word() {
            "k" | "K" => 1_000,
            "M" => 1_000_000,
            _ => 1,
        };
        if factor > 1 {
            self.offset += 1;
        }
        self.skip_space();
        value.checked_mul(factor).ok_or(ParseQuotaError {
            kind: Kind::NumberTooLarge,
            offset: start,
        })
    }

    /// Digits with `_` between them.
    fn digits(&mut self) -> Result<u64, ParseQuotaError> {
        let start = self.offset;
        let mut value: Option<u64> = Some(0);
        let mut after_digit = false;
        for byte in self.rest().bytes() {
            match byte {
                b'0'..=b'9' => {
                    value = value
                        .and_then(|value| value.checked_mul(10))
                        .and_then(|value| value.checked_add(u64::from(byte - b'0')));
                    after_digit = true;
                }
                b'_' if after_digit => after_digit = false,
                _ => break,
            }
            self.offset += 1;
        }
        if !after_digit {
            // No digit, or a `_` without a digit after it.
            return Err(self.error(Kind::ExpectedNumber));
        }
        value.ok_or(ParseQuotaError {
            kind: Kind::NumberTooLarge,
            offset: start,
        })
    }

    /// A period such as `min` or `2 hours`, in nanoseconds.
    fn period(&mut self) -> Result<u64, ParseQuotaError> {
        let start = self.offset;
        let count = if self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            // No suffix here: `2M` is two minutes.
            let count = self.digits()?;
            self.skip_space();
            count
        } else {
            1
        };
        let word = self.word();
        if word.is_empty() {
            return Err(self.error(Kind::ExpectedUnit));
        }
        let Some((unit, _)) = UNITS
            .iter()
            .find(|(_, names)| names.iter().any(|name| word.eq_ignore_ascii_case(name)))
        else {
            return Err(self.error(Kind::UnknownUnit));
        };
        self.advance(word.len());
        count.checked_mul(*unit).ok_or(ParseQuotaError {
            kind: Kind::Quota(QuotaError::PeriodTooLong),
            offset: start,
        })
    }
}
