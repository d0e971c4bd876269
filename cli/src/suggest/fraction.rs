//! Exact fractions in arguments of `suggest`.

use std::fmt;
use std::str::FromStr;

/// A decimal number with up to nine places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fraction {
    numerator: u128,
    denominator: u128,
}

impl Fraction {
    fn parse(text: &str) -> Option<Self> {
        let (whole, places) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{places}");
        let is_valid = (1..=9).contains(&whole.len()) && places.len() <= 9;
        if !is_valid || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Self {
            numerator: digits.parse().ok()?,
            denominator: places.bytes().fold(1, |power, _| power * 10),
        })
    }
}

/// A share of requests from 0 to 1, exactly as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    text: String,
    fraction: Fraction,
}

/// Parses `0.1%` or `0.001`.
impl FromStr for Share {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let invalid = "expected a share such as `0.1%` or `0.001`, from 0 to 100%";
        let text = text.trim();
        let (number, percent) = match text.strip_suffix('%') {
            Some(number) => (number.trim_end(), 100),
            None => (text, 1),
        };
        let mut fraction = Fraction::parse(number).ok_or(invalid)?;
        fraction.denominator *= percent;
        if fraction.numerator > fraction.denominator {
            return Err(invalid);
        }
        let text = text.to_owned();
        Ok(Self { text, fraction })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Share {
    /// 0.1%.
    pub fn one_in_a_thousand() -> Self {
        Self {
            text: "0.1%".to_owned(),
            fraction: Fraction {
                numerator: 1,
                denominator: 1_000,
            },
        }
    }

    /// The share of `requests`, rounded down.
    pub fn of(&self, requests: u64) -> u64 {
        let share = u128::from(requests) * self.fraction.numerator / self.fraction.denominator;
        u64::try_from(share).unwrap_or(u64::MAX)
    }
}

/// A burst as a multiple of the rate per period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BurstFactor(Fraction);

impl FromStr for BurstFactor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let fraction = Fraction::parse(text.trim()).filter(|fraction| {
            fraction.numerator * 1_000 >= fraction.denominator
                && fraction.numerator <= fraction.denominator * 1_000
        });
        let fraction = fraction.ok_or("expected a factor from 0.001 to 1000, such as 0.5")?;
        Ok(Self(fraction))
    }
}

/// The factor as a decimal number.
impl fmt::Display for BurstFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fraction {
            numerator,
            denominator,
        } = self.0;
        write!(f, "{}", numerator / denominator)?;
        let places = denominator.ilog10() as usize;
        let rest = format!("{:0places$}", numerator % denominator);
        match rest.trim_end_matches('0') {
            "" => Ok(()),
            rest => write!(f, ".{rest}"),
        }
    }
}

impl BurstFactor {
    /// Whether the burst equals the rate.
    pub const fn is_one(self) -> bool {
        self.0.numerator == self.0.denominator
    }

    /// The burst for a rate, rounded up.
    pub fn burst(self, rate: u64) -> Option<u64> {
        let burst = u128::from(rate) * self.0.numerator;
        u64::try_from(burst.div_ceil(self.0.denominator)).ok()
    }

    /// A rate whose burst is at least `burst`.
    pub fn rate_for(self, burst: u64) -> u64 {
        let rate = (u128::from(burst) * self.0.denominator).div_ceil(self.0.numerator);
        u64::try_from(rate).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_decimal_numbers() {
        for (text, shown) in [
            ("0.5", "0.5"),
            ("2", "2"),
            ("1.50", "1.5"),
            ("0.025", "0.025"),
        ] {
            assert_eq!(text.parse::<BurstFactor>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn shares() {
        for (text, requests, expected) in [
            ("0.1%", 10_000, 10),
            ("0.1%", 9_999, 9),
            ("0.001", 10_000, 10),
            ("100 %", u64::MAX, u64::MAX),
            ("0", 7, 0),
            ("1", 7, 7),
        ] {
            assert_eq!(
                text.parse::<Share>().unwrap().of(requests),
                expected,
                "{text}"
            );
        }
        for invalid in [
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
            assert!(invalid.parse::<Share>().is_err(), "{invalid}");
        }
    }
}
