//! What can be wrong with a command line.

use std::error::Error;
use std::fmt;
use std::ops::RangeInclusive;

use tidegate::{ParseQuotaError, QuotaError};

/// The command line asks for something that there is not.
#[derive(Debug)]
pub(crate) enum UsageError {
    UnknownOption {
        argument: String,
    },
    NeedsValue {
        option: String,
    },
    TakesNoValue {
        option: String,
        value: String,
    },
    NotAnAddress {
        text: String,
    },
    NotLoopback {
        text: String,
    },
    NotInRange {
        option: String,
        text: String,
        range: RangeInclusive<u64>,
    },
    Quota {
        option: String,
        text: String,
        error: ParseQuotaError,
    },
    /// The quota itself would do, but what the pro tier gets is no quota any more.
    ProQuota {
        text: String,
        error: QuotaError,
    },
    AddressOfDemo,
    LoadWithoutDemo,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownOption { argument } => write!(f, "unknown option `{argument}`"),
            Self::NeedsValue { option } => write!(f, "{option} needs a value"),
            Self::TakesNoValue { option, value } => {
                write!(f, "{option} takes no value, but got `{value}`")
            }
            Self::NotAnAddress { text } => write!(
                f,
                "--addr `{text}`: not an address and port, such as 127.0.0.1:8080"
            ),
            Self::NotLoopback { text } => write!(
                f,
                "--addr `{text}`: not a loopback address, such as 127.0.0.1:8080"
            ),
            Self::NotInRange {
                option,
                text,
                range,
            } => {
                let (least, most) = (range.start(), range.end());
                write!(
                    f,
                    "{option} `{text}`: must be a number from {least} to {most}"
                )
            }
            Self::Quota {
                option,
                text,
                error,
            } => write!(f, "{option} `{text}`: {error}"),
            Self::ProQuota { text, error } => write!(
                f,
                "--quota-per-key `{text}`: too much for the pro tier, which gets more: {error}"
            ),
            Self::AddressOfDemo => f.write_str("--demo chooses its own address: leave out --addr"),
            Self::LoadWithoutDemo => f.write_str("--seconds and --clients need --demo"),
        }
    }
}

impl Error for UsageError {}
