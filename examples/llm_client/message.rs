//! What client and provider send each other, as JSON.

use serde::{Deserialize, Serialize};

/// Where prompts are sent to.
pub(crate) const PATH: &str = "/v1/messages";

/// The body of a request. A real one has a text, of which only the length matters here.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Prompt {
    /// Which piece of the work this is, so that both sides can count what was done twice or never.
    pub(crate) piece: u32,
    pub(crate) input_tokens: u64,
    /// How many tokens the answer may have.
    pub(crate) max_tokens: u64,
}

/// The body of an answer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) piece: u32,
    pub(crate) usage: Usage,
}

/// The tokens that a call really used.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
}

impl Usage {
    pub(crate) const fn total(self) -> u64 {
        self.input_tokens + self.output_tokens
    }
}
