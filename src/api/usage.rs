//! How many tokens a call uses, or is expected to.

/// Tokens of a call to a language model: input, output and the two together.
///
/// A plain number is a total whose split is unknown: where input and output have limits of their own, it counts in full in
/// each, so that neither lets through more than it allows.
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
    /// So many input and output tokens.
    pub const fn new(input: u64, output: u64) -> Self {
        Self {
            input,
            output,
            total: input.saturating_add(output),
        }
    }

    /// What counts towards a limit for input tokens.
    pub const fn input(self) -> u64 {
        self.input
    }

    /// What counts towards a limit for output tokens.
    pub const fn output(self) -> u64 {
        self.output
    }

    /// What counts towards a limit for all tokens.
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

/// What a call is expected to use, before it is made.
///
/// A number that you chose (`max_tokens`, a counted prompt) converts into an *explicit* estimate: where it is above a limit, the
/// call is refused for good, since no wait helps. A guess ([`TokenEstimate::guess`]) is capped at the limit instead.
///
/// Where a request carries more than one bound on its output (`max_tokens` and `max_completion_tokens`), estimate the larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenEstimate {
    pub(super) usage: TokenUsage,
    pub(super) is_guess: bool,
}

impl TokenEstimate {
    /// The tokens that are expected.
    pub const fn usage(self) -> TokenUsage {
        self.usage
    }

    /// Whether it is capped at the limits.
    pub const fn is_guess(self) -> bool {
        self.is_guess
    }

    /// An estimate that nobody chose, such as a model's maximum where the request names none: where it is above a limit, it
    /// is taken as the limit.
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
