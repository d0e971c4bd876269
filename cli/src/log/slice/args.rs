//! Arguments that choose requests.

use std::num::NonZeroU64;

use clap::Args;

use super::property::StatusPattern;
use crate::values::pattern::Pattern;

/// Which requests count.
#[derive(Args, Clone, Debug)]
pub struct SliceArgs {
    /// Only requests that were answered so, such as `200,3xx`
    #[arg(long, value_delimiter = ',', value_name = "STATUSES")]
    pub status: Vec<StatusPattern>,
    /// No requests that were answered so, such as `429,5xx`
    #[arg(long, value_delimiter = ',', value_name = "STATUSES")]
    pub not_status: Vec<StatusPattern>,
    /// Only requests with these methods, such as `POST,PUT`
    #[arg(long, value_delimiter = ',', value_name = "METHODS")]
    pub method: Vec<String>,
    /// Only paths like this, without their query; `*` stands for anything. May be repeated
    #[arg(long, value_name = "PATTERN")]
    pub path: Vec<Pattern>,
    /// No paths like this. May be repeated
    #[arg(long, value_name = "PATTERN")]
    pub not_path: Vec<Pattern>,
    /// Only requests from this time on, such as `2015-05-17` or `2015-05-17T10:00:00Z`
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Only requests before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only these clients, such as `10.0.0.0/8`; `*` stands for anything. With `--by`, of whatever
    /// requests are grouped by. May be repeated
    #[arg(long, value_name = "PATTERN")]
    pub only: Vec<Pattern>,
    /// Not these clients. May be repeated
    #[arg(long, value_name = "PATTERN")]
    pub except: Vec<Pattern>,
    /// With `--by path`: write numbers, UUIDs and other identifiers in paths as `:id`
    #[arg(long)]
    pub templates: bool,
    /// With `--by path`: write paths like `/users/:id` so; `:` begins a segment that stands for
    /// any, and `*` at the end stands for the rest. May be repeated; the first that fits counts
    #[arg(long, value_name = "TEMPLATE")]
    pub template: Vec<String>,
    /// Field with what each request asks for instead of one permit, such as `bytes`, or tokens in
    /// a JSON log. A request without it asks for nothing
    #[arg(long, value_name = "FIELD")]
    pub cost: Option<String>,
    /// Divide costs by this, rounded up, such as 1024 for KiB
    #[arg(long, default_value = "1", value_name = "NUMBER", requires = "cost")]
    pub cost_unit: NonZeroU64,
    /// What stands between the parts of a key: a space by default. With another, a part after the
    /// first may be empty because the line lacks it.
    #[arg(skip)]
    pub separator: Option<char>,
}
