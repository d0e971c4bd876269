//! Durations and windows in configuration files.

use alloc::string::String;
use core::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::quota::{Quota, read_duration};

/// A duration: `"15 min"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DurationText(pub(super) Duration);

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let nanos = read_duration(&text).map_err(D::Error::custom)?;
        if nanos == 0 {
            return Err(D::Error::custom("a duration of 0"));
        }
        Ok(Self(Duration::from_nanos(nanos)))
    }
}

/// A number in a length of time: `"100/min"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WindowText {
    pub(super) limit: u64,
    pub(super) window: Duration,
}

impl<'de> Deserialize<'de> for WindowText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let quota: Quota = text.parse().map_err(D::Error::custom)?;
        if quota.capacity() != quota.rate() {
            return Err(D::Error::custom("a window has no burst"));
        }
        Ok(Self {
            limit: quota.rate(),
            window: quota.period(),
        })
    }
}
