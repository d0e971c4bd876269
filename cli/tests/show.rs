//! Writes samples to look at: `TIDEGATE_SAMPLES=folder cargo test --test show`.

mod common;

use tidegate_cli::terminal::{Charset, timeline_in};
use tidegate_cli::{page, picture};

#[test]
fn samples() {
    let Some(folder) = std::env::var_os("TIDEGATE_SAMPLES") else {
        return;
    };
    let folder = std::path::PathBuf::from(folder);
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    write(
        "timeline.svg",
        picture::timeline_svg(&common::report(&common::USUAL)),
    );
    write(
        "hostile.svg",
        picture::timeline_svg(&common::report(&common::HOSTILE)),
    );
    write("page.html", page::html(&common::report(&common::USUAL)));
    write(
        "hostile.html",
        page::html(&common::report(&common::HOSTILE)),
    );
    for width in [80, 60, 40] {
        anstream::print!(
            "{}",
            timeline_in(&common::report(&common::USUAL), width, Charset::Blocks)
        );
    }
    anstream::print!(
        "{}",
        timeline_in(&common::report(&common::USUAL), 40, Charset::Ascii)
    );
    write("nothing.svg", picture::timeline_svg(&common::nothing()));
}
