//! A share of the requests, exactly as it is written.

use std::fmt;
use std::str::FromStr;

/// A share from 0 to 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    text: String,
    numerator: u128,
    denominator: u128,
}

/// `0.1%` or `0.001`.
impl FromStr for Share {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let wrong = "expected a share such as `0.1%` or `0.001`, from 0 to 100%";
        let (number, percent) = match text.trim().strip_suffix('%') {
            Some(number) => (number.trim_end(), 100),
            None => (text.trim(), 1),
        };
        let (numerator, denominator) = decimal(number).ok_or(wrong)?;
        let denominator = denominator * percent;
        if numerator > denominator {
            return Err(wrong);
        }
        Ok(Self {
            text: text.trim().to_owned(),
            numerator,
            denominator,
        })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Share {
    /// How many of `requests` that is, rounded down.
    pub fn of(&self, requests: u64) -> u64 {
        let share = u128::from(requests) * self.numerator / self.denominator;
        u64::try_from(share).unwrap_or(u64::MAX)
    }
}

/// A number with up to nine places as a fraction of a power of ten.
pub fn decimal(text: &str) -> Option<(u128, u128)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || whole.len() > 9
        || fraction.len() > 9
        || !digits(whole)
        || !digits(fraction)
    {
        return None;
    }
    let denominator = fraction.bytes().fold(1, |power, _| power * 10);
    let numerator = format!("{whole}{fraction}").parse().ok()?;
    Some((numerator, denominator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        let of = |text: &str, n| text.parse::<Share>().unwrap().of(n);
        assert_eq!(of("0.1%", 10_000), 10);
        assert_eq!(of("0.1%", 9_999), 9);
        assert_eq!(of("0.001", 10_000), 10);
        assert_eq!(of("100 %", u64::MAX), u64::MAX);
        assert_eq!(of("0", 7), 0);
        assert_eq!(of("1", 7), 7);
        for wrong in [
            "",
            "%",
            "-1",
            "1.1",
            "101%",
            ".5",
            "1e-3",
            "0.0000000001",
            "x",
        ] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }
}
