//! Configurations as text: `"50/min, 500/h, 100k tokens/min, burst 10"`.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use super::RateLimitConfig;
use crate::quota::{COUNTED, ParseQuotaError, ParseQuotaErrorKind, Reader};

/// Why the text of a [`RateLimitConfig`] cannot be read: its [kind](Self::kind) and
/// [offset](Self::offset).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParseConfigError {
    kind: ParseConfigErrorKind,
    offset: usize,
}

/// The kind of mistake in the text of a [`RateLimitConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParseConfigErrorKind {
    /// A number, a unit or a sign is missing or wrong, as in the text of a
    /// [`Quota`](crate::Quota).
    Text(ParseQuotaErrorKind),
    /// There is no limit with this period: requests are limited per minute, hour and day, tokens
    /// per minute and day, input and output tokens per minute.
    UnsupportedPeriod,
    /// Only requests, and tokens per minute, have a burst.
    UnsupportedBurst,
    /// The same limit was given before.
    Duplicate,
}

impl ParseConfigError {
    /// Returns the kind of the mistake.
    pub const fn kind(&self) -> ParseConfigErrorKind {
        self.kind
    }

    /// Returns where the mistake is: an offset in bytes, always at the start of a character.
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

impl From<ParseQuotaError> for ParseConfigError {
    fn from(error: ParseQuotaError) -> Self {
        Self {
            kind: ParseConfigErrorKind::Text(error.kind()),
            offset: error.offset(),
        }
    }
}

impl fmt::Display for ParseConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ParseConfigErrorKind::Text(ParseQuotaErrorKind::UnexpectedText) => {
                f.write_str("expected `burst`, a comma or the end")?;
            }
            ParseConfigErrorKind::Text(kind) => kind.fmt(f)?,
            ParseConfigErrorKind::UnsupportedPeriod => f.write_str(
                "no such limit: requests per min, h or d, tokens per min or d, input and output \
                 tokens per min",
            )?,
            ParseConfigErrorKind::UnsupportedBurst => {
                f.write_str("only requests and tokens per min have a burst")?;
            }
            ParseConfigErrorKind::Duplicate => f.write_str("the same limit as before")?,
        }
        write!(f, " at byte {}", self.offset)
    }
}

impl core::error::Error for ParseConfigError {}

/// Reads limits that are separated by commas, semicolons or line ends. There are no others: the
/// rest is as in [`UNLIMITED`](RateLimitConfig::UNLIMITED).
///
/// | text | field |
/// |---|---|
/// | `50/min`, `500 requests/h`, `10k req per day` | `requests_per_minute`, `_hour`, `_day` |
/// | `burst 10`, or after a limit on requests: `50/min burst 10` | `burst_size` |
/// | `100k tokens/min`, `2M tokens/day` | `tokens_per_minute`, `_day` |
/// | `100k tokens/min burst 20k`, `burst 20k tokens` | `token_burst_size` |
/// | `40k input tokens/min`, `8k output tokens/min` | `input_tokens_per_minute`, `output_…` |
/// | `8 in flight` | `max_in_flight` |
///
/// ```
/// use tidegate::RateLimitConfig;
///
/// let config: RateLimitConfig = "50/min, 500/h, 100k tokens/min, burst 10".parse()?;
/// assert_eq!((config.requests_per_minute, config.requests_per_hour), (50, 500));
/// assert_eq!((config.tokens_per_minute, config.burst_size), (100_000, 10));
///
/// let error = "50/min, 5/s".parse::<RateLimitConfig>().unwrap_err();
/// assert_eq!(error.offset(), 10);
/// # Ok::<(), tidegate::ParseConfigError>(())
/// ```
///
/// # Errors
///
/// The first mistake and where it is. That the numbers fit together is checked by
/// [`validate`](RateLimitConfig::validate).
impl FromStr for RateLimitConfig {
    type Err = ParseConfigError;

    fn from_str(text: &str) -> Result<Self, ParseConfigError> {
        let mut config = Self::UNLIMITED;
        let mut reader = Reader::new(text);
        loop {
            config.read_limit(&mut reader)?;
            let separators = reader.offset;
            while reader.take_sign(',') || reader.take_sign(';') {}
            if reader.rest().is_empty() {
                return Ok(config);
            }
            if reader.offset == separators && !reader.follows_line_end() {
                return Err(reader.error(ParseQuotaErrorKind::UnexpectedText).into());
            }
        }
    }
}

/// What a number counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    Requests,
    Tokens,
    InputTokens,
    OutputTokens,
}

const TOKENS: [&str; 2] = ["token", "tokens"];
const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

impl RateLimitConfig {
    fn read_limit(&mut self, reader: &mut Reader<'_>) -> Result<(), ParseConfigError> {
        let start = reader.offset;
        let at = |offset| move |kind| ParseConfigError { kind, offset };
        if reader.take_word(&["burst"]) {
            let burst = read_burst(reader)?;
            let counted = if reader.follows_line_end() {
                Counted::Requests
            } else {
                read_counted(reader)
            };
            if !matches!(counted, Counted::Requests | Counted::Tokens) {
                return Err(at(start)(ParseConfigErrorKind::UnsupportedBurst));
            }
            return self.set_burst(counted, burst).map_err(at(start));
        }
        let number = reader.number()?;
        if reader.take_word(&["in"]) {
            if !reader.take_word(&["flight"]) {
                return Err(reader.error(ParseQuotaErrorKind::UnexpectedText).into());
            }
            return set(&mut self.max_in_flight, number).map_err(at(start));
        }
        let counted = read_counted(reader);
        reader.take_per()?;
        let period_at = reader.offset;
        let period = Duration::from_nanos(reader.period()?);
        self.set_limit(counted, period, number)
            .map_err(|kind| match kind {
                ParseConfigErrorKind::UnsupportedPeriod => at(period_at)(kind),
                kind => at(start)(kind),
            })?;
        let is_same_line = !reader.follows_line_end();
        let burst_at = reader.offset;
        if is_same_line && reader.take_word(&["burst"]) {
            let burst = read_burst(reader)?;
            let is_known = match counted {
                Counted::Requests => true,
                Counted::Tokens => period.as_secs() == MINUTE,
                Counted::InputTokens | Counted::OutputTokens => false,
            };
            if !is_known {
                return Err(at(burst_at)(ParseConfigErrorKind::UnsupportedBurst));
            }
            return self.set_burst(counted, burst).map_err(at(start));
        }
        Ok(())
    }

    const fn set_limit(&mut self, counted: Counted, period: Duration, number: u64) -> SetResult {
        let seconds = match period.subsec_nanos() {
            0 => period.as_secs(),
            _ => 0,
        };
        match (counted, seconds) {
            (Counted::Requests, MINUTE) => set_number(&mut self.requests_per_minute, number),
            (Counted::Requests, HOUR) => set_number(&mut self.requests_per_hour, number),
            (Counted::Requests, DAY) => set(&mut self.requests_per_day, number),
            (Counted::Tokens, MINUTE) => set_number(&mut self.tokens_per_minute, number),
            (Counted::Tokens, DAY) => set(&mut self.tokens_per_day, number),
            (Counted::InputTokens, MINUTE) => set(&mut self.input_tokens_per_minute, number),
            (Counted::OutputTokens, MINUTE) => set(&mut self.output_tokens_per_minute, number),
            _ => Err(ParseConfigErrorKind::UnsupportedPeriod),
        }
    }

    const fn set_burst(&mut self, counted: Counted, burst: u64) -> SetResult {
        match counted {
            Counted::Requests => set_number(&mut self.burst_size, burst),
            _ => set(&mut self.token_burst_size, burst),
        }
    }
}

type SetResult = Result<(), ParseConfigErrorKind>;

const fn set_number(field: &mut u64, number: u64) -> SetResult {
    let is_new = *field == RateLimitConfig::NO_LIMIT;
    *field = number;
    if is_new {
        Ok(())
    } else {
        Err(ParseConfigErrorKind::Duplicate)
    }
}

const fn set(field: &mut Option<u64>, number: u64) -> SetResult {
    match field.replace(number) {
        None => Ok(()),
        Some(_) => Err(ParseConfigErrorKind::Duplicate),
    }
}

fn read_burst(reader: &mut Reader<'_>) -> Result<u64, ParseConfigError> {
    reader.take_sign('=');
    Ok(reader.number()?)
}

/// Requests if nothing is named.
fn read_counted(reader: &mut Reader<'_>) -> Counted {
    let counted = if reader.take_word(&["input"]) {
        Counted::InputTokens
    } else if reader.take_word(&["output"]) {
        Counted::OutputTokens
    } else if reader.take_word(&TOKENS) {
        return Counted::Tokens;
    } else {
        reader.take_word(&COUNTED);
        return Counted::Requests;
    };
    reader.take_word(&TOKENS);
    counted
}
