//! Not there yet.

use crate::failure::Failure;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}

/// Runs it.
///
/// # Errors
///
/// Always.
pub fn run(_args: &Args) -> Result<(), Failure> {
    Err(Failure::Usage("not there yet".to_owned()))
}
