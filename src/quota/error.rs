//! Why a quota cannot be represented or read.

use core::fmt;

/// Why a quota cannot be represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QuotaError {
    /// Zero tokens per period would admit nothing after the first burst.
    ZeroRate,
    /// A period of zero would admit everything.
    ZeroPeriod,
    /// The period is longer than 584 years (`u64` nanoseconds).
    PeriodTooLong,
    /// More than 10¹² tokens per second.
    RateTooHigh,
    /// A burst of zero would never admit anything.
    ZeroBurst,
    /// The burst is above 2⁶⁰ tokens or takes more than 1 000 years to fill up.
    BurstTooLarge {
        /// The largest burst for this rate.
        max: u64,
    },
}

impl QuotaError {
    const fn message(self) -> &'static str {
        match self {
            Self::ZeroRate => "the rate is zero",
            Self::ZeroPeriod => "the period is zero",
            Self::PeriodTooLong => "the period is longer than 584 years",
            Self::RateTooHigh => "the rate is above 10^12 per second",
            Self::ZeroBurst => "the burst is zero",
            Self::BurstTooLarge { .. } => "the burst is larger than this rate allows",
        }
    }

    /// Panics with the error's message, also in a constant.
    #[expect(
        clippy::panic,
        reason = "the constructors that call this document the panic"
    )]
    #[track_caller]
    pub(super) const fn raise(self) -> ! {
        panic!("{}", self.message())
    }
}

impl fmt::Display for QuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())?;
        if let Self::BurstTooLarge { max } = self {
            write!(f, ": at most {max}")?;
        }
        Ok(())
    }
}

impl core::error::Error for QuotaError {}

/// Why a quota string cannot be read: its [kind](Self::kind) and [offset](Self::offset).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParseQuotaError {
    pub(super) kind: ParseQuotaErrorKind,
    pub(super) offset: usize,
}

/// The kind of mistake in a quota string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParseQuotaErrorKind {
    /// A whole number was expected.
    ExpectedNumber,
    /// The number does not fit 64 bits.
    NumberTooLarge,
    /// `/` or `per` was expected.
    ExpectedPer,
    /// A unit of time was expected.
    ExpectedUnit,
    /// The unit of time is unknown.
    UnknownUnit,
    /// `burst` or the end of the text was expected.
    UnexpectedText,
    /// The text is well formed, but no such quota can be represented.
    Quota(QuotaError),
}

impl ParseQuotaError {
    /// Returns the kind of the mistake.
    pub const fn kind(&self) -> ParseQuotaErrorKind {
        self.kind
    }

    /// Returns where the mistake is: an offset in bytes, always at the start of a character.
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for ParseQuotaErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExpectedNumber => f.write_str("expected a whole number"),
            Self::NumberTooLarge => f.write_str("the number is too large"),
            Self::ExpectedPer => f.write_str("expected `/` or `per` after a whole number"),
            Self::ExpectedUnit => f.write_str("expected a unit of time"),
            Self::UnknownUnit => {
                f.write_str("unknown unit of time (ns, us, ms, s, min, h, d, week or month)")
            }
            Self::UnexpectedText => f.write_str("expected `burst` or the end"),
            Self::Quota(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for ParseQuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind, self.offset)
    }
}

impl core::error::Error for ParseQuotaError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.kind {
            ParseQuotaErrorKind::Quota(error) => Some(error),
            _ => None,
        }
    }
}
