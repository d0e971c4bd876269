//! Quotas as text: `"100/min burst 20"`.

use core::fmt;
use core::str::FromStr;

use super::{ParseQuotaError, ParseQuotaErrorKind as Kind, Quota, QuotaError, SECOND};

/// Units in nanoseconds, longest first. The first name is the one that is printed.
const UNITS: [(u64, &[&str]); 9] = [
    (30 * 86_400 * SECOND, &["month", "mo", "months"]),
    (7 * 86_400 * SECOND, &["week", "w", "weeks"]),
    (86_400 * SECOND, &["day", "d", "days"]),
    (3_600 * SECOND, &["hour", "h", "hr", "hrs", "hours"]),
    (60 * SECOND, &["min", "m", "mins", "minute", "minutes"]),
    (SECOND, &["s", "sec", "secs", "second", "seconds"]),
    (1_000_000, &["ms", "millisecond", "milliseconds"]),
    (1_000, &["us", "µs", "μs", "microsecond", "microseconds"]),
    (1, &["ns", "nanosecond", "nanoseconds"]),
];

/// Optional words for what the rate counts. They change nothing.
pub(crate) const COUNTED: [&str; 7] =
    ["r", "req", "reqs", "request", "requests", "token", "tokens"];

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
        let mut reader = Reader::new(text);
        let rate_at = reader.offset;
        let (rate, periods) = reader.rate()?;
        reader.take_word(&COUNTED);

        reader.take_per()?;
        let period_at = reader.offset;
        let period = reader.period()?;
        let period = period.checked_mul(periods).ok_or(ParseQuotaError {
            kind: Kind::Quota(QuotaError::PeriodTooLong),
            offset: rate_at,
        })?;

        // Checked before the burst is read, so that the first mistake is reported.
        let quota = Quota::with_rate(rate, period).map_err(|error| ParseQuotaError {
            kind: Kind::Quota(error),
            offset: match error {
                QuotaError::ZeroPeriod => period_at,
                _ => rate_at,
            },
        })?;

        let burst = if reader.take_word(&["burst"]) {
            reader.take_sign('=');
            let offset = reader.offset;
            Some((reader.number()?, offset))
        } else if periods > 1 {
            // A part of a token counts as one.
            Some((rate.div_ceil(periods), rate_at))
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
pub(crate) struct Reader<'a> {
    text: &'a str,
    pub(crate) offset: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let mut reader = Self { text, offset: 0 };
        reader.skip_space();
        reader
    }

    /// The text from the offset on. The offset only moves past whole characters, so the slice
    /// exists.
    /// Whether the white space before the position contains the end of a line.
    pub(crate) fn follows_line_end(&self) -> bool {
        let before = self.text.get(..self.offset).unwrap_or_default();
        before
            .get(before.trim_end().len()..)
            .is_some_and(|space| space.contains('\n'))
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.offset..).unwrap_or_default()
    }

    pub(crate) const fn error(&self, kind: Kind) -> ParseQuotaError {
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
    pub(crate) fn word(&self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_alphabetic());
        rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
    }

    pub(crate) fn take_word(&mut self, words: &[&str]) -> bool {
        let word = self.word();
        let known = words.iter().any(|known| word.eq_ignore_ascii_case(known));
        if known {
            self.advance(word.len());
        }
        known
    }

    /// `/` or `per`.
    pub(crate) fn take_per(&mut self) -> Result<(), ParseQuotaError> {
        if self.take_sign('/') || self.take_word(&["per"]) {
            Ok(())
        } else {
            Err(self.error(Kind::ExpectedPer))
        }
    }

    pub(crate) fn take_sign(&mut self, sign: char) -> bool {
        let found = self.rest().starts_with(sign);
        if found {
            self.advance(sign.len_utf8());
        }
        found
    }

    /// A count: [digits](Self::digits), directly followed by `k` or `M` for thousands or millions.
    pub(crate) fn number(&mut self) -> Result<u64, ParseQuotaError> {
        let start = self.offset;
        let value = self.digits()?;
        let factor = self.factor();
        value.checked_mul(factor).ok_or(ParseQuotaError {
            kind: Kind::NumberTooLarge,
            offset: start,
        })
    }

    /// `k` or `M`, or 1.
    fn factor(&mut self) -> u64 {
        let factor = match self.word() {
            "k" | "K" => 1_000,
            "M" => 1_000_000,
            _ => 1,
        };
        if factor > 1 {
            self.offset += 1;
        }
        self.skip_space();
        factor
    }

    /// A rate: a count that may have a fraction. Returns a whole number, and the periods that it is
    /// for: `0.5` is 1 for 2 periods.
    fn rate(&mut self) -> Result<(u64, u64), ParseQuotaError> {
        let start = self.offset;
        let whole = self.digits()?;
        let mut parts = 1_u64;
        let mut value = Some(whole);
        if self.rest().starts_with('.') {
            self.offset += 1;
            let digits = self.rest().bytes().take_while(u8::is_ascii_digit);
            let digits: usize = digits.count();
            if digits == 0 {
                return Err(self.error(Kind::ExpectedNumber));
            }
            for byte in self.rest().bytes().take(digits) {
                value = value
                    .and_then(|value| value.checked_mul(10))
                    .and_then(|value| value.checked_add(u64::from(byte - b'0')));
                parts = parts.saturating_mul(10);
            }
            self.offset += digits;
        }
        let factor = self.factor();
        // Before the product, so that it does not overflow needlessly.
        let common = common_divisor(parts, factor);
        let (parts, factor) = (parts / common, factor / common);
        let value = value.and_then(|value| value.checked_mul(factor));
        let value = value.ok_or(ParseQuotaError {
            kind: Kind::NumberTooLarge,
            offset: start,
        })?;
        let common = common_divisor(parts, value);
        Ok((value / common, parts / common))
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
    pub(crate) fn period(&mut self) -> Result<u64, ParseQuotaError> {
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

/// Reads a duration such as `15 min`, in nanoseconds.
#[cfg(feature = "rules")]
pub(crate) fn read_duration(text: &str) -> Result<u64, ParseQuotaError> {
    let mut reader = Reader::new(text);
    let nanos = reader.period()?;
    if reader.rest().is_empty() {
        Ok(nanos)
    } else {
        Err(reader.error(Kind::UnexpectedText))
    }
}

/// The greatest divisor of both; not 0 if one of them is not.
const fn common_divisor(mut one: u64, mut other: u64) -> u64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}
