//! Pictures of a record's numbers: SVG files that follow the reader's light or dark theme, and are the same bytes for the same numbers.
//!
//! [`draw`] makes all pictures of a folder, each from its own CSV files ([`table`]), in [`pictures`]. [`svg`] writes the elements,
//! [`panel`] has axes and the places of labels, and [`look`] says how each limiter looks.

pub mod look;
pub mod panel;
pub mod pictures;
pub mod svg;
pub mod table;

use std::path::Path;

use table::{Error, Machine};

/// A file's name, and what is in it; or why it is left out.
pub type Picture = (&'static str, Option<String>);

/// All pictures that the numbers in a folder allow.
///
/// # Errors
///
/// What is wrong with a file, and where. A file that is not there is no error, but `machine.json` is: no picture without where it is
/// from.
pub fn draw(folder: &Path) -> Result<Vec<Picture>, Error> {
    let machine = Machine::read(folder)?;
    Ok(vec![
        (
            "throughput.svg",
            pictures::throughput::draw(folder, &machine)?,
        ),
        ("latency.svg", pictures::latency::draw(folder, &machine)?),
        ("accuracy.svg", pictures::accuracy::draw(folder, &machine)?),
        ("shaping.svg", pictures::shaping::draw(folder, &machine)?),
        ("keyed.svg", pictures::keyed::draw(folder, &machine)?),
    ])
}
