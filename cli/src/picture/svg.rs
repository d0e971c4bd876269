//! Writes SVG: the few elements that the pictures have, in colours that follow the reader's theme.
//!
//! By hand, as the pictures of the crate's records: no plot library known to us writes style sheets, and so none has a light and a
//! dark theme in one file; and the pictures stay small, with text that can be read, searched and scaled.

use std::fmt;

use super::escape::escaped;
use super::numbers::short;
use super::put as push;

/// Of every picture.
pub const WIDTH: f64 = 800.0;

/// The colours of Okabe and Ito, which people of any colour vision tell apart; the same as in the crate's records.
pub const LIGHT: &str = "--paper:#ffffff;--ink:#1f2328;--quiet:#59636e;--grid:#d8dee4;--blue:#0072b2;--red:#d55e00;--green:#009e73";
/// The same on a dark paper.
pub const DARK: &str = "--paper:#0d1117;--ink:#e6edf3;--quiet:#9198a1;--grid:#2b323b;--blue:#4aa8ff;--red:#f4653a;--green:#1fbf8f";

/// Everything is below the picture's class, for a style sheet within a page is the whole page's.
const RULES: &str = "\
.tg text{fill:var(--ink)}.tg .paper{fill:var(--paper)}.tg .quiet{fill:var(--quiet)}.tg .title{font-size:16px;font-weight:600}
.tg .head{font-weight:600}.tg .small{font-size:11px}.tg .key{font-family:ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;font-size:11px}
.tg .grid{stroke:var(--grid)}.tg .end{text-anchor:end}.tg .mid{text-anchor:middle}
.tg .blue{color:var(--blue)}.tg .red{color:var(--red)}.tg .green{color:var(--green)}.tg .gray{color:var(--quiet)}
.tg .fill{fill:currentColor}.tg .pale{opacity:.35}.tg .line{fill:none;stroke:currentColor;stroke-width:1.6;stroke-linejoin:round}
.tg .thin{stroke-width:1}.tg .thick{stroke-width:3.2}.tg .dash{stroke-dasharray:6 3}.tg .dots{stroke-dasharray:2 2.5}
.tg .hover{fill:var(--ink);opacity:0}.tg .hover:hover{opacity:.12}
";
/// In the page's font where there is one.
const FONT: &str = "font:12px system-ui,-apple-system,'Segoe UI',sans-serif";

/// The style of a picture that is a file of its own.
fn style() -> String {
    format!(
        "<style>\n.tg{{{LIGHT};{FONT}}}\n@media screen and (prefers-color-scheme:dark){{.tg{{{DARK}}}}}\n{RULES}</style>\n"
    )
}

/// The style of pictures within a page, which has the variables of [`LIGHT`] and [`DARK`].
pub fn style_within() -> String {
    format!(".tg{{{FONT};display:block;width:100%;height:auto}}\n{RULES}")
}

/// Where a text stands at its point.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    /// To the right of it.
    Start,
    /// Around it.
    Middle,
    /// To the left of it.
    End,
}

/// A picture that is being drawn.
#[derive(Debug)]
pub struct Svg {
    title: String,
    description: String,
    body: String,
    within: bool,
}

impl Svg {
    /// Lines across at these numbers, which stand to the left of them.
    pub fn levels(&mut self, height: &Scale, numbers: &[u64], [left, right]: [f64; 2]) {
        for &number in numbers {
            let y = height.of(number);
            self.line("grid", [left, y], [right, y]);
            let label = [left - 7.0, y + 4.0];
            self.text(label, Anchor::End, "quiet small", &short(number));
        }
    }

    /// An empty one. `description` is for those who do not see it.
    pub fn new(title: &str, description: &str) -> Self {
        Self {
            title: title.to_owned(),
            description: description.to_owned(),
            body: String::new(),
            within: false,
        }
    }

    /// The same to stand in a page that has [`style_within`] and a heading of its own.
    #[must_use]
    pub const fn within(mut self) -> Self {
        self.within = true;
        self
    }

    /// A text of these classes.
    pub fn text(&mut self, [x, y]: [f64; 2], anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => "mid",
            Anchor::End => "end",
        };
        let class = classes(&[anchor, class]);
        let (x, y, text) = (Short(x), Short(y), escaped(text));
        self.put(format_args!(
            "<text{class} x=\"{x}\" y=\"{y}\">{text}</text>"
        ));
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
        let class = classes(&[class]);
        let (x1, y1, x2, y2) = (Short(x1), Short(y1), Short(x2), Short(y2));
        self.put(format_args!("<path{class} d=\"M{x1} {y1}L{x2} {y2}\"/>"));
    }

    /// Upright marks of one height at these places; as one element, for there may be many.
    pub fn marks(
        &mut self,
        class: &str,
        places: impl Iterator<Item = f64>,
        [top, bottom]: [f64; 2],
    ) {
        let mut path = String::new();
        for x in places {
            push(
                &mut path,
                format_args!("M{} {}V{}", Short(x), Short(top), Short(bottom)),
            );
        }
        self.path(class, &path);
    }

    /// A line that goes sideways to the next point, and then up or down to it.
    pub fn steps(&mut self, class: &str, points: &[[f64; 2]], end: f64) {
        let mut path = String::new();
        let mut level = None;
        for &[x, y] in points {
            let (x, y) = (Short(x), Short(y).to_string());
            match &level {
                None => push(&mut path, format_args!("M{x} {y}")),
                Some(level) if *level == y => {}
                Some(_) => push(&mut path, format_args!("H{x}V{y}")),
            }
            level = Some(y);
        }
        if level.is_some() {
            push(&mut path, format_args!("H{}", Short(end)));
        }
        self.path(class, &path);
    }

    /// What lies between two lines of steps of equal length: columns that touch. Each is where it is from, and both heights.
    pub fn area(&mut self, class: &str, columns: &[(f64, [f64; 2])], end: f64) {
        let mut path = String::new();
        let right = |at: usize| columns.get(at + 1).map_or(end, |(x, _)| *x);
        let mut at = 0;
        while at < columns.len() {
            if is_flat(columns[at].1) {
                at += 1;
                continue;
            }
            // A run of columns that are not empty is one shape: there and back again.
            let run = columns[at..]
                .iter()
                .take_while(|(_, levels)| !is_flat(*levels))
                .count();
            let columns = &columns[at..at + run];
            push(
                &mut path,
                format_args!("M{} {}", Short(columns[0].0), Short(columns[0].1[0])),
            );
            for (number, (_, [_, upper])) in columns.iter().enumerate() {
                push(
                    &mut path,
                    format_args!("V{}H{}", Short(*upper), Short(right(at + number))),
                );
            }
            for (x, [lower, _]) in columns.iter().rev() {
                push(&mut path, format_args!("V{}H{}", Short(*lower), Short(*x)));
            }
            path.push('Z');
            at += run;
        }
        self.path(class, &path);
    }

    fn path(&mut self, class: &str, path: &str) {
        if !path.is_empty() {
            let class = classes(&[class]);
            self.put(format_args!("<path{class} d=\"{path}\"/>"));
        }
    }

    /// A filled box; its text shows where a pointer rests on it.
    pub fn bar(&mut self, class: &str, [x, y]: [f64; 2], [width, height]: [f64; 2], hint: &str) {
        let class = classes(&[class]);
        let (x, y, width, height) = (Short(x), Short(y), Short(width), Short(height));
        let end = if hint.is_empty() {
            "/>".to_owned()
        } else {
            format!("><title>{}</title></rect>", escaped(hint))
        };
        self.put(format_args!(
            "<rect{class} x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"{end}"
        ));
    }

    fn put(&mut self, element: fmt::Arguments<'_>) {
        push(&mut self.body, element);
        self.body.push('\n');
    }

    /// The file.
    pub fn finish(self, height: f64) -> String {
        let (title, description) = (escaped(&self.title), escaped(&self.description));
        let height = Short(height);
        let (style, paper) = if self.within {
            (String::new(), String::new())
        } else {
            let paper =
                format!("<rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\" rx=\"8\"/>\n");
            (style(), paper)
        };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"tg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" role=\"img\" aria-label=\"{title}\">\n<desc>{description}</desc>\n{style}{paper}{}</svg>\n",
            self.body
        )
    }
}

fn classes(names: &[&str]) -> String {
    let names: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| !name.is_empty())
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(" class=\"{}\"", names.join(" "))
    }
}

/// Whether a column has no height that would be seen.
fn is_flat([lower, upper]: [f64; 2]) -> bool {
    (lower - upper).abs() < 0.05
}

/// A coordinate with one digit behind the point, so that the last bit of a division does not show.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.1}", if self.0.is_finite() { self.0 } else { 0.0 });
        let text = text.strip_suffix(".0").unwrap_or(&text);
        f.write_str(if text == "-0" { "0" } else { text })
    }
}

/// Equal steps for equal differences: from numbers to coordinates.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The numbers at both ends.
    pub numbers: [f64; 2],
    /// Where they are.
    pub places: [f64; 2],
}

impl Scale {
    /// Where a number is.
    pub fn at(&self, number: f64) -> f64 {
        let [from, to] = self.numbers;
        let part = if to > from {
            (number - from) / (to - from)
        } else {
            0.0
        };
        self.places[0] + part * (self.places[1] - self.places[0])
    }

    /// Where a count is.
    #[expect(clippy::cast_precision_loss, reason = "for pictures")]
    pub fn of(&self, count: u64) -> f64 {
        self.at(count as f64)
    }

    /// From 0 at the bottom to `most` at the top.
    #[expect(clippy::cast_precision_loss, reason = "for pictures")]
    pub fn up_to(most: u64, [top, bottom]: [f64; 2]) -> Self {
        Self {
            numbers: [0.0, most.max(1) as f64],
            places: [bottom, top],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Anchor, Scale, Short, Svg};

    #[test]
    fn coordinates_are_short() {
        let shown = [1.0, -0.04, 2.25, 99.96, f64::NAN].map(|x| Short(x).to_string());
        assert_eq!(shown, ["1", "0", "2.2", "100", "0"]);
        assert!((Scale::up_to(4, [0.0, 8.0]).of(1) - 6.0).abs() < 1e-9);
    }

    #[test]
    fn text_cannot_break_the_file() {
        let mut svg = Svg::new("<a> '\"", "\"d\" \u{0}\u{b}\u{ffff}");
        svg.text([0.0, 0.0], Anchor::Middle, "small", "</text><script>");
        svg.bar("", [0.0; 2], [1.0; 2], "</title>\u{1b}");
        let svg = svg.finish(10.0);
        let tree = roxmltree::Document::parse(&svg).unwrap();
        assert!(!tree.descendants().any(|node| node.has_tag_name("script")));
    }

    #[test]
    fn areas_skip_what_is_empty() {
        let mut svg = Svg::new("", "");
        svg.area(
            "fill",
            &[
                (0.0, [9.0, 5.0]),
                (1.0, [9.0, 9.0]),
                (2.0, [9.0, 4.0]),
                (3.0, [8.0, 3.0]),
            ],
            4.0,
        );
        assert!(
            svg.body
                .contains("d=\"M0 9V5H1V9H0ZM2 9V4H3V3H4V8H3V9H2Z\""),
            "{}",
            svg.body
        );
    }
}
