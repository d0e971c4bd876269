//! A second reader of quotas, from the documented form: `count [r|req|requests|tokens] (/ | per) [n] unit [burst [=] n]`.
//!
//! It cuts the text into tokens first, and has no offsets: slow, obvious, and unlike the crate's.

use crate::quotas::validate;
use tidegate::QuotaError;

/// What a text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    pub(crate) rate: u64,
    /// Nanoseconds.
    pub(crate) period: u64,
    pub(crate) burst: u64,
}

/// Why it means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not of the form, or a number is too large.
    Text,
    /// It is, and there is no such quota.
    Quota(QuotaError),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Number(String),
    Word(String),
    Sign(char),
    /// White space, which parts what it stands between and else means nothing.
    Space,
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for c in text.chars() {
        match tokens.last_mut() {
            Some(Token::Number(digits)) if c.is_ascii_digit() || c == '_' => digits.push(c),
            Some(Token::Word(letters)) if c.is_alphabetic() => letters.push(c),
            _ if c.is_ascii_digit() => tokens.push(Token::Number(c.into())),
            _ if c.is_alphabetic() => tokens.push(Token::Word(c.into())),
            _ if c.is_whitespace() => tokens.push(Token::Space),
            _ => tokens.push(Token::Sign(c)),
        }
    }
    tokens
}

/// Nanoseconds in a unit.
fn unit(word: &str) -> Option<u64> {
    Some(match word.to_ascii_lowercase().as_str() {
        "ns" | "nanosecond" | "nanoseconds" => 1,
        "us" | "microsecond" | "microseconds" => 1_000,
        "ms" | "millisecond" | "milliseconds" => 1_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000_000_000,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000_000_000,
        "d" | "day" | "days" => 86_400_000_000_000,
        _ => return None,
    })
}

fn is_thing(word: &str) -> bool {
    ["r", "req", "reqs", "request", "requests", "token", "tokens"]
        .iter()
        .any(|thing| word.eq_ignore_ascii_case(thing))
}

/// The tokens that are left.
#[derive(Debug)]
struct Rest<'a>(&'a [Token]);

impl Rest<'_> {
    fn skip_space(&mut self) {
        while let [Token::Space, rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    fn word(&mut self, accept: impl Fn(&str) -> bool) -> Option<String> {
        self.skip_space();
        match self.0 {
            [Token::Word(word), rest @ ..] if accept(word) => {
                self.0 = rest;
                Some(word.clone())
            }
            _ => None,
        }
    }

    fn sign(&mut self, sign: char) -> bool {
        self.skip_space();
        match self.0 {
            [Token::Sign(found), rest @ ..] if *found == sign => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Digits in groups, between which there is one `_`.
    fn digits(&mut self) -> Option<u64> {
        self.skip_space();
        let [Token::Number(digits), rest @ ..] = self.0 else {
            return None;
        };
        self.0 = rest;
        if digits.split('_').any(str::is_empty) {
            return None;
        }
        digits.replace('_', "").parse().ok()
    }

    /// Digits, and right behind them perhaps `k` or `M`.
    fn count(&mut self) -> Option<u64> {
        let digits = self.digits()?;
        let factor = match self.0 {
            [Token::Word(word), ..] if word == "k" || word == "K" => 1_000,
            [Token::Word(word), ..] if word == "M" => 1_000_000,
            _ => return Some(digits),
        };
        self.0 = &self.0[1..];
        digits.checked_mul(factor)
    }
}

/// What `text` means.
pub(crate) fn read(text: &str) -> Result<Meaning, Fault> {
    let tokens = tokens(text);
    let mut rest = Rest(&tokens);

    let rate = rest.count().ok_or(Fault::Text)?;
    rest.word(is_thing);
    if !rest.sign('/') && rest.word(|word| word.eq_ignore_ascii_case("per")).is_none() {
        return Err(Fault::Text);
    }
    rest.skip_space();
    let many = match rest.0 {
        [Token::Number(_), ..] => rest.digits().ok_or(Fault::Text)?,
        _ => 1,
    };
    let unit = rest
        .word(|word| unit(word).is_some())
        .and_then(|word| unit(&word))
        .ok_or(Fault::Text)?;
    let period = u128::from(many) * u128::from(unit);
    // The rate is judged before the burst is read.
    validate(rate, period, 1).map_err(Fault::Quota)?;

    let burst = if rest
        .word(|word| word.eq_ignore_ascii_case("burst"))
        .is_some()
    {
        rest.sign('=');
        rest.count().ok_or(Fault::Text)?
    } else {
        rate
    };
    rest.skip_space();
    if !rest.0.is_empty() {
        return Err(Fault::Text);
    }
    validate(rate, period, burst).map_err(Fault::Quota)?;
    let period = u64::try_from(period).map_err(|_| Fault::Quota(QuotaError::PeriodTooLong))?;
    Ok(Meaning {
        rate,
        period,
        burst,
    })
}
