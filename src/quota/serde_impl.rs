//! Quotas in configuration: a string, or a map of `rate` and `burst`.

use core::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::Parts;
use super::{ParseQuotaError, Quota};

/// Serializes as text: `"100/min burst 20"`.
impl Serialize for Quota {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads text, or a map `{ rate = "100/min", burst = 20 }` with an optional `burst`.
impl<'de> Deserialize<'de> for Quota {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(QuotaVisitor)
        } else {
            // Binary formats do not describe themselves, and hold what `serialize` wrote.
            deserializer.deserialize_str(QuotaVisitor)
        }
    }
}

struct QuotaVisitor;

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Field {
    Rate,
    Burst,
}

impl<'de> Visitor<'de> for QuotaVisitor {
    type Value = Quota;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a quota such as \"100/min burst 20\", or a map of `rate` and `burst`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Quota, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Quota, A::Error> {
        let mut rate: Option<Parts> = None;
        let mut burst: Option<u64> = None;
        while let Some(field) = map.next_key()? {
            match field {
                Field::Rate if rate.is_none() => rate = Some(map.next_value::<RateText>()?.0),
                Field::Burst if burst.is_none() => burst = Some(map.next_value()?),
                Field::Rate => return Err(A::Error::duplicate_field("rate")),
                Field::Burst => return Err(A::Error::duplicate_field("burst")),
            }
        }
        let Parts { quota, burst: own } = rate.ok_or_else(|| A::Error::missing_field("rate"))?;
        // Two bursts are ambiguous.
        if burst.is_some() && own.is_some() {
            return Err(A::Error::duplicate_field("burst"));
        }
        let own = own.map(|(burst, _)| burst);
        let burst = burst.or(own).unwrap_or(quota.rate());
        quota.try_burst(burst).map_err(A::Error::custom)
    }
}

/// The text of `rate`, which unlike a quota cannot be a map.
struct RateText(Parts);

impl<'de> Deserialize<'de> for RateText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl Visitor<'_> for TextVisitor {
            type Value = RateText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rate such as \"100/min\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RateText, E> {
                let parts: Result<Parts, ParseQuotaError> = Parts::read(text);
                parts.map(RateText).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}
