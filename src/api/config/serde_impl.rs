//! Configurations in files: a text, or a map of fields.

use core::fmt;
use core::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::RateLimitConfig;

/// Writes a map of all fields.
impl Serialize for RateLimitConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// Reads a [text](RateLimitConfig#impl-FromStr-for-RateLimitConfig), or a map. In a map, missing
/// fields have their defaults, and unknown ones are errors.
impl<'de> Deserialize<'de> for RateLimitConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(ConfigVisitor)
        } else {
            // Binary formats do not describe themselves, and hold what `serialize` wrote.
            Self::deserialize(deserializer)
        }
    }
}

struct ConfigVisitor;

impl<'de> Visitor<'de> for ConfigVisitor {
    type Value = RateLimitConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("limits such as \"50/min, 500/h, burst 10\", or a map of limits")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RateLimitConfig, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RateLimitConfig, A::Error> {
        RateLimitConfig::deserialize(MapAccessDeserializer::new(map))
    }
}

/// A limit that may be absent: a number, or `"unlimited"`.
pub(super) mod limit {
    use super::{Deserializer, Error, RateLimitConfig, Serializer, Visitor, fmt};

    const UNLIMITED: &str = "unlimited";

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(in super::super) fn serialize<S: Serializer>(
        limit: &u64,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if *limit == RateLimitConfig::NO_LIMIT && serializer.is_human_readable() {
            serializer.serialize_str(UNLIMITED)
        } else {
            serializer.serialize_u64(*limit)
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<u64, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(LimitVisitor)
        } else {
            deserializer.deserialize_u64(LimitVisitor)
        }
    }

    struct LimitVisitor;

    impl Visitor<'_> for LimitVisitor {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number, or \"unlimited\"")
        }

        fn visit_u64<E: Error>(self, limit: u64) -> Result<u64, E> {
            Ok(limit)
        }

        fn visit_i64<E: Error>(self, limit: i64) -> Result<u64, E> {
            u64::try_from(limit).map_err(E::custom)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
            if text.eq_ignore_ascii_case(UNLIMITED) {
                Ok(RateLimitConfig::NO_LIMIT)
            } else {
                Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
    }
}

/// An optional limit: a number, nothing, or `"unlimited"`.
pub(super) mod optional_limit {
    use super::{Deserialize, Deserializer, RateLimitConfig, Serialize, Serializer, limit};

    #[derive(Deserialize)]
    struct Number(#[serde(with = "limit")] u64);

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(in super::super) fn serialize<S: Serializer>(
        limit: &Option<u64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        limit.serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u64>, D::Error> {
        let number = Option::<Number>::deserialize(deserializer)?;
        let number = number.map(|Number(number)| number);
        Ok(number.filter(|number| *number != RateLimitConfig::NO_LIMIT))
    }
}

/// Durations: seconds, with or without a fraction. 2^64 seconds and more are the longest duration.
pub(super) mod seconds {
    use super::{Deserialize, Deserializer, Duration, Error, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        /// The longest duration is rounded to it when it is written.
        const LONGEST: f64 = 18_446_744_073_709_551_616.0;

        let seconds = f64::deserialize(deserializer)?;
        if seconds == LONGEST {
            return Ok(Duration::MAX);
        }
        Duration::try_from_secs_f64(seconds).map_err(D::Error::custom)
    }
}
