//! Draws the numbers of a benchmark record as SVG files.
//!
//! The files follow the reader's light or dark theme. Equal numbers give equal bytes.
//!
//! [`draw`] reads the CSV files of a folder with [`table`], and makes each picture in
//! [`pictures`]. [`look`] gives each limiter its color and mark, and [`panel`] draws axes and
//! labels. The elements come from `tidegate-cli`.

pub mod look;
pub mod panel;
pub mod pictures;
pub mod table;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fs, io};

use table::{Error, Machine};
use tidegate_cli::picture::svg::{DARK, LIGHT, RULES, style};

/// A file name and its content; `None` if the folder lacks its numbers.
pub type Picture = (&'static str, Option<String>);

/// The result of drawing one picture.
pub type Drawn = Result<Option<String>, Error>;

type Draw = fn(&Path, &Machine) -> Drawn;

const PICTURES: [(&str, Draw); 9] = [
    ("throughput.svg", pictures::throughput::draw),
    ("latency.svg", pictures::latency::draw),
    ("accuracy.svg", pictures::accuracy::draw),
    ("shaping.svg", pictures::shaping::draw),
    ("waits.svg", pictures::waits::draw),
    ("adaptive.svg", pictures::adaptive::draw),
    // The crate's documentation leaves out the last three.
    ("fleet.svg", pictures::fleet::draw),
    ("keyed.svg", pictures::keyed::draw),
    ("growth.svg", pictures::growth::draw),
];

/// Draws every picture that the numbers of a folder allow.
///
/// # Errors
///
/// Names the file and the line of a mistake. A missing CSV file is no error. A missing
/// `machine.json` is one, because each picture names the machine.
pub fn draw(folder: &Path) -> Result<Vec<Picture>, Error> {
    let machine = Machine::read(folder)?;
    let drawn = PICTURES.map(|(name, draw)| draw(folder, &machine).map(|picture| (name, picture)));
    drawn.into_iter().collect()
}

/// Returns the style of the pictures in rustdoc, whose theme the reader chooses.
///
/// Without scripts, the theme of the system applies. rustdoc's font is narrow, as the labels need.
pub fn docs_style() -> String {
    format!(
        "<style>\n.tg{{{LIGHT};font:12px 'Fira Sans',system-ui,sans-serif;\
         max-width:100%;height:auto}}\n\
         [data-theme=\"dark\"] .tg,[data-theme=\"ayu\"] .tg{{{DARK}}}\n\
         @media(prefers-color-scheme:dark){{:root:not([data-theme]) .tg{{{DARK}}}}}\n\
         {RULES}</style>\n"
    )
}

/// Returns the files of [`docs`]: the style, and the pictures without theirs.
///
/// A `div` without empty lines surrounds each picture, so that Markdown takes it as one block.
pub fn for_docs(pictures: &[Picture]) -> Vec<(&'static str, String)> {
    let mut files = vec![("style.html", docs_style())];
    let is_shown = |name: &str| !["fleet.svg", "keyed.svg", "growth.svg"].contains(&name);
    for (name, picture) in pictures.iter().filter(|(name, _)| is_shown(name)) {
        if let Some(svg) = picture {
            files.push((
                name,
                format!("<div>\n{}</div>\n", svg.replacen(&style(), "", 1)),
            ));
        }
    }
    files
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the folder of the documentation's pictures. The package contains it, but no records.
pub fn docs() -> PathBuf {
    repository().join("src/docs/plots")
}

/// Returns the file of a picture that the README of another package shows.
pub fn in_readme(name: &str) -> Option<PathBuf> {
    (name == "fleet.svg").then(|| repository().join("redis/pictures/fleet.svg"))
}

/// Returns the record whose picture of this name is in the documentation or in a README: the latest
/// one that has it, by name.
///
/// # Errors
///
/// Fails if the records cannot be read.
pub fn shown_in_docs(picture: &str) -> io::Result<Option<PathBuf>> {
    let mut latest: Option<(OsString, PathBuf)> = None;
    for record in fs::read_dir(repository().join("benches/record"))? {
        let record = record?;
        let (name, path) = (record.file_name(), record.path());
        let has_it = path.join("plots").join(picture).is_file();
        if has_it && latest.as_ref().is_none_or(|(last, _)| *last < name) {
            latest = Some((name, path));
        }
    }
    latest.map(|(_, path)| path.canonicalize()).transpose()
}

#[cfg(test)]
mod tests {
    use super::{docs_style, for_docs};
    use tidegate_cli::picture::svg::Svg;

    /// Every selector starts with the pictures' class, so no rule touches the rest of the page.
    #[test]
    fn docs_style_applies_to_pictures_only() {
        let style = docs_style();
        for line in style.lines().filter(|line| !line.ends_with("style>")) {
            let line = line.replace("@media(prefers-color-scheme:dark){", "");
            for rule in line.split('}').filter(|rule| !rule.is_empty()) {
                let selectors = rule.split('{').next().expect("a first part");
                for selector in selectors.split(',') {
                    assert!(selector.contains(".tg"), "{selector}");
                }
            }
        }
        let svg = Svg::new("a", "b").finish(100.0);
        let files = for_docs(&[("latency.svg", Some(svg.clone())), ("keyed.svg", Some(svg))]);
        let [_, (_, inner)] = files.as_slice() else {
            panic!("a style and one picture")
        };
        assert!(inner.starts_with("<div>\n<svg ") && !inner.contains("style"));
        assert!(!inner.contains("\n\n") && !style.contains("\n\n"));
        assert!(roxmltree::Document::parse(inner).is_ok());
    }
}
