//! The tokens that a call uses, or is expected to use.

/// The tokens of a call to a language model: input, output and total.
///
/// A plain number is a total whose split is unknown. If input and output have separate limits, it
/// counts in full toward each, so that neither admits too much.
///
/// ```
/// use tidegate::TokenUsage;
///
/// let usage = TokenUsage::new(900, 100);
/// assert_eq!((usage.input(), usage.output(), usage.total()), (900, 100, 1_000));
/// let usage = TokenUsage::from(1_000);
/// assert_eq!((usage.input(), usage.output(), usage.total()), (1_000, 1_000, 1_000));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TokenUsage {
    input: u64,
    output: u64,
    total: u64,
}

impl TokenUsage {
    /// Creates a usage whose total is the sum.
    pub const fn new(input: u64, output: u64) -> Self {
        Self {
            input,
            output,
            total: input.saturating_add(output),
        }
    }

    /// Returns the tokens that count toward a limit for input.
    pub const fn input(self) -> u64 {
        self.input
    }

    /// Returns the tokens that count toward a limit for output.
    pub const fn output(self) -> u64 {
        self.output
    }

    pub(super) const fn plus(self, more: Self) -> Self {
        Self {
            input: self.input.saturating_add(more.input),
            output: self.output.saturating_add(more.output),
            total: self.total.saturating_add(more.total),
        }
    }

    /// The larger of each.
    pub(super) fn at_least(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            total: self.total.max(other.total),
        }
    }

    /// At most `most` of each.
    pub(super) fn at_most(self, most: u64) -> Self {
        Self {
            input: self.input.min(most),
            output: self.output.min(most),
            total: self.total.min(most),
        }
    }

    /// Returns the tokens that count toward a limit for all tokens.
    pub const fn total(self) -> u64 {
        self.total
    }
}

impl From<u64> for TokenUsage {
    fn from(total: u64) -> Self {
        Self {
            input: total,
            output: total,
            total,
        }
    }
}

/// The tokens that a call is expected to use.
///
/// A number that you chose, such as `max_tokens` or a counted prompt, converts into an *explicit*
/// estimate. Above a limit it is refused permanently, because no wait helps. A
/// [guess](TokenEstimate::guess) is capped at the limit instead.
///
/// If a request has several bounds on its output (`max_tokens` and `max_completion_tokens`),
/// estimate the larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenEstimate {
    usage: TokenUsage,
    is_guess: bool,
}

impl TokenEstimate {
    /// Returns the expected tokens.
    pub const fn usage(self) -> TokenUsage {
        self.usage
    }

    /// Returns whether the estimate is capped at the limits.
    pub const fn is_guess(self) -> bool {
        self.is_guess
    }

    /// What a call has used that reported so much, with the estimate of what it did not report.
    /// `charged` is what it was charged.
    pub(super) fn used_so_far(self, reported: TokenUsage, charged: TokenUsage) -> TokenUsage {
        // Of a guess no more than was charged.
        let estimate = if self.is_guess {
            self.guessed(reported, charged)
        } else {
            self.usage
        };
        let is_split = estimate.input.saturating_add(estimate.output) == estimate.total;
        match (reported.input, reported.output) {
            (0, output) if is_split => TokenUsage::new(estimate.input, output),
            (input, 0) if is_split => TokenUsage::new(input, estimate.output),
            _ => reported,
        }
    }

    /// The guess, cut to what was charged, or to what was reported if that is more.
    fn guessed(self, reported: TokenUsage, charged: TokenUsage) -> TokenUsage {
        let most = charged.total.max(reported.total);
        let input = self.usage.input.min(most);
        TokenUsage::new(input, self.usage.output.min(most.saturating_sub(input)))
    }

    /// Creates an estimate that is capped at the limits. Use it for a default, such as the model's
    /// maximum if the request names none.
    pub fn guess(usage: impl Into<TokenUsage>) -> Self {
        Self {
            usage: usage.into(),
            is_guess: true,
        }
    }
}

impl<T: Into<TokenUsage>> From<T> for TokenEstimate {
    fn from(usage: T) -> Self {
        Self {
            usage: usage.into(),
            is_guess: false,
        }
    }
}
