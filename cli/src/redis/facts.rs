//! What `show` tells of a limit, by its kind.

mod api;
mod bucket;
mod semaphore;
mod window;

use serde::Serialize;
use tidegate_redis::inspect::{LimitDetails, StoredLimit};

use super::limit_args::CountArgs;
use super::words::Item;
use crate::failure::Failure;
use crate::output::table::Table;
use api::ApiFacts;
use bucket::BucketFacts;
use semaphore::SemaphoreFacts;
use window::WindowFacts;

/// Serialized, it has the field `kind` and those of the kind.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Facts {
    Bucket(BucketFacts),
    Window(WindowFacts),
    Semaphore(SemaphoreFacts),
    Api(ApiFacts),
}

impl Facts {
    /// # Errors
    ///
    /// If the quota cannot be counted by, or the kind is one of a later version.
    pub(super) fn new(
        name: &str,
        details: &LimitDetails,
        counted_by: CountArgs,
    ) -> Result<Self, Failure> {
        Ok(match &details.limit {
            StoredLimit::Bucket(bucket) => {
                Self::Bucket(BucketFacts::new(bucket, &details.leases, counted_by.quota)?)
            }
            StoredLimit::Window(window) => {
                Self::Window(WindowFacts::new(window, counted_by.permits))
            }
            StoredLimit::Semaphore(semaphore) => {
                Self::Semaphore(SemaphoreFacts::new(semaphore, counted_by.permits))
            }
            StoredLimit::Api(api) => Self::Api(ApiFacts::new(name, api)),
            other => return Err(Failure::at(name, format!("a {}", other.kind()))),
        })
    }

    /// The lines of the text.
    pub(super) fn items(&self) -> Vec<Item> {
        match self {
            Self::Bucket(facts) => facts.items(),
            Self::Window(facts) => facts.items(),
            Self::Semaphore(facts) => facts.items(),
            Self::Api(facts) => facts.items(),
        }
    }

    /// What follows them, if there is more.
    pub(super) fn table(&self) -> Option<Table> {
        match self {
            Self::Bucket(facts) => facts.table(),
            Self::Window(_) => None,
            Self::Semaphore(facts) => facts.table(),
            Self::Api(facts) => facts.table(),
        }
    }
}
