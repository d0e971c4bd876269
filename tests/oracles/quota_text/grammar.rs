//! A second parser of quotas, written from the documented form:
//! `count[.digits] [r|req|requests|tokens] (/ | per) [n] unit [burst [=] n]`.
//!
//! Unlike the crate's, it splits the text into lexemes first, and reports no offsets.

use super::super::quotas::validate;
use tidegate::QuotaError;

/// The numbers in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParsedQuota {
    pub(crate) rate: u64,
    /// Nanoseconds.
    pub(crate) period: u64,
    pub(crate) burst: u64,
}

/// Why a text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GrammarError {
    /// The text does not have the form, or a number is too large.
    Text,
    /// The numbers make no quota.
    Quota(QuotaError),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Lexeme {
    Number(String),
    Word(String),
    Sign(char),
    /// White space, which only separates.
    Space,
}

fn split(text: &str) -> Vec<Lexeme> {
    let mut lexemes = Vec::new();
    for c in text.chars() {
        match lexemes.last_mut() {
            Some(Lexeme::Number(digits)) if c.is_ascii_digit() || c == '_' => digits.push(c),
            Some(Lexeme::Word(letters)) if c.is_alphabetic() => letters.push(c),
            _ if c.is_ascii_digit() => lexemes.push(Lexeme::Number(c.into())),
            _ if c.is_alphabetic() => lexemes.push(Lexeme::Word(c.into())),
            _ if c.is_whitespace() => lexemes.push(Lexeme::Space),
            _ => lexemes.push(Lexeme::Sign(c)),
        }
    }
    lexemes
}

/// Returns the nanoseconds in a unit.
fn unit(word: &str) -> Option<u64> {
    Some(match word.to_ascii_lowercase().as_str() {
        "ns" | "nanosecond" | "nanoseconds" => 1,
        "us" | "microsecond" | "microseconds" => 1_000,
        "ms" | "millisecond" | "milliseconds" => 1_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000_000_000,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000_000_000,
        "d" | "day" | "days" => 86_400_000_000_000,
        "w" | "week" | "weeks" => 604_800_000_000_000,
        "mo" | "month" | "months" => 2_592_000_000_000_000,
        _ => return None,
    })
}

fn is_noun(word: &str) -> bool {
    ["r", "req", "reqs", "request", "requests", "token", "tokens"]
        .iter()
        .any(|noun| word.eq_ignore_ascii_case(noun))
}

/// The lexemes not read yet.
#[derive(Debug)]
struct Rest<'a>(&'a [Lexeme]);

impl Rest<'_> {
    fn skip_space(&mut self) {
        while let [Lexeme::Space, rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    fn word(&mut self, accept: impl Fn(&str) -> bool) -> Option<String> {
        self.skip_space();
        match self.0 {
            [Lexeme::Word(word), rest @ ..] if accept(word) => {
                self.0 = rest;
                Some(word.clone())
            }
            _ => None,
        }
    }

    fn sign(&mut self, sign: char) -> bool {
        self.skip_space();
        match self.0 {
            [Lexeme::Sign(found), rest @ ..] if *found == sign => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Reads groups of digits with one `_` between them.
    fn digits(&mut self) -> Option<u64> {
        self.skip_space();
        let [Lexeme::Number(digits), rest @ ..] = self.0 else {
            return None;
        };
        self.0 = rest;
        if digits.split('_').any(str::is_empty) {
            return None;
        }
        digits.replace('_', "").parse().ok()
    }

    /// Reads `k` or `M`, if it is right here.
    fn factor(&mut self) -> u64 {
        let factor = match self.0 {
            [Lexeme::Word(word), ..] if word == "k" || word == "K" => 1_000,
            [Lexeme::Word(word), ..] if word == "M" => 1_000_000,
            _ => return 1,
        };
        self.0 = &self.0[1..];
        factor
    }

    /// Reads digits, and perhaps `k` or `M` right after them.
    fn count(&mut self) -> Option<u64> {
        let digits = self.digits()?;
        digits.checked_mul(self.factor())
    }

    /// Reads a count that may have a fraction: a numerator and a denominator in lowest terms.
    fn rate(&mut self) -> Option<(u128, u128)> {
        let whole = self.digits()?;
        let mut fraction = String::new();
        if let [Lexeme::Sign('.'), rest @ ..] = self.0 {
            let [Lexeme::Number(digits), rest @ ..] = rest else {
                return None;
            };
            // No `_` there, so what follows one is not read.
            if digits.contains('_') {
                return None;
            }
            (fraction, self.0) = (digits.clone(), rest);
        }
        let digits = format!("{whole}{fraction}");
        // The crate computes with 64 bits.
        let numerator: u64 = digits.parse().ok()?;
        let places = u32::try_from(fraction.len()).ok()?;
        let numerator = u128::from(numerator);
        let denominator = 10_u128.checked_pow(places)?.min(u64::MAX.into());
        let factor = u128::from(self.factor());
        let (mut a, mut b) = (denominator, factor);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let (numerator, denominator) = (numerator * (factor / a), denominator / a);
        if numerator > u64::MAX.into() {
            return None;
        }
        let (mut a, mut b) = (denominator, numerator);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        Some((numerator / a, denominator / a))
    }
}

/// Reads `text`.
pub(crate) fn parse(text: &str) -> Result<ParsedQuota, GrammarError> {
    let lexemes = split(text);
    let mut rest = Rest(&lexemes);

    let (rate, periods) = rest.rate().ok_or(GrammarError::Text)?;
    let rate = u64::try_from(rate).map_err(|_| GrammarError::Text)?;
    rest.word(is_noun);
    if !rest.sign('/') && rest.word(|word| word.eq_ignore_ascii_case("per")).is_none() {
        return Err(GrammarError::Text);
    }
    rest.skip_space();
    let many = match rest.0 {
        [Lexeme::Number(_), ..] => rest.digits().ok_or(GrammarError::Text)?,
        _ => 1,
    };
    let unit = rest
        .word(|word| unit(word).is_some())
        .and_then(|word| unit(&word))
        .ok_or(GrammarError::Text)?;
    let single = u128::from(many) * u128::from(unit);
    let period = single.saturating_mul(periods);
    // The rate is validated before the burst is read.
    validate(rate, period, 1).map_err(GrammarError::Quota)?;

    let burst = if rest
        .word(|word| word.eq_ignore_ascii_case("burst"))
        .is_some()
    {
        rest.sign('=');
        rest.count().ok_or(GrammarError::Text)?
    } else {
        // A part of a token counts as one.
        u64::try_from(u128::from(rate).div_ceil(periods)).map_err(|_| GrammarError::Text)?
    };
    rest.skip_space();
    if !rest.0.is_empty() {
        return Err(GrammarError::Text);
    }
    validate(rate, period, burst).map_err(GrammarError::Quota)?;
    let period =
        u64::try_from(period).map_err(|_| GrammarError::Quota(QuotaError::PeriodTooLong))?;
    Ok(ParsedQuota {
        rate,
        period,
        burst,
    })
}
