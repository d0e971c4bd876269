//! Pictures of a record's numbers: SVG files that follow the reader's light or dark theme, and are the same bytes for the same numbers.
//!
//! [`draw`] makes all pictures of a folder, each from its own CSV files ([`table`]), in [`pictures`]. [`svg`] writes the elements,
//! [`panel`] has axes and the places of labels, and [`look`] says how each limiter looks.

pub mod look;
pub mod panel;
pub mod pictures;
pub mod svg;
pub mod table;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fs, io};

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

/// The pictures that the crate's documentation shows.
const IN_DOCS: [&str; 4] = [
    "throughput.svg",
    "latency.svg",
    "accuracy.svg",
    "shaping.svg",
];

/// What is to be in the folder of [`docs`]: the pictures, as they stand within a page, and their style.
pub fn for_docs(pictures: &[Picture]) -> Vec<(&'static str, String)> {
    let mut files = vec![("style.html", svg::style_within())];
    for (name, picture) in pictures {
        if let Some(svg) = picture
            && IN_DOCS.contains(name)
        {
            files.push((name, svg::within(svg)));
        }
    }
    files
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where the documentation's pictures are: in the package, which has no records.
pub fn docs() -> PathBuf {
    repository().join("src/docs/plots")
}

/// The record that the documentation shows: the latest, by its name, that has pictures.
///
/// # Errors
///
/// If the records cannot be read.
pub fn shown_in_docs() -> io::Result<Option<PathBuf>> {
    let mut latest: Option<(OsString, PathBuf)> = None;
    for record in fs::read_dir(repository().join("benches/record"))? {
        let record = record?;
        let (name, path) = (record.file_name(), record.path());
        if path.join("plots").is_dir() && latest.as_ref().is_none_or(|(last, _)| *last < name) {
            latest = Some((name, path));
        }
    }
    latest.map(|(_, path)| path.canonicalize()).transpose()
}
