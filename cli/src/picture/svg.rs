//! Writes SVG with a light and a dark theme in one file.
//!
//! Two programs draw with this module: `tidegate`, and the one that draws the crate's benchmark
//! records. The plot crates known to us do not fit. plotters writes fixed colors, charming runs a
//! JavaScript engine, and poloto draws one chart with a legend. Here a style sheet holds the
//! colors, so both themes fit in one small file, and equal input gives equal bytes.

use std::fmt::{self, Display, Write as _};

use super::escape::escaped;
use super::numbers::short;
use super::scale::Scale;

/// Width of every picture that is a file of its own.
pub const WIDTH: f64 = 800.0;
/// Width of a picture that fits the screen of a phone without being scaled.
pub const NARROW: f64 = 360.0;

/// The colors of Okabe and Ito, which readers of any color vision can tell apart.
pub const LIGHT: &str = "\
    --paper:#ffffff;--ink:#1f2328;--quiet:#59636e;--grid:#d8dee4;--gray:#7d8590;--blue:#0072b2;\
    --red:#d55e00;--orange:#e69f00;--green:#009e73;--sky:#56b4e9;--purple:#cc79a7";
/// The same colors for dark paper.
pub const DARK: &str = "\
    --paper:#0d1117;--ink:#e6edf3;--quiet:#9198a1;--grid:#2b323b;--gray:#848d97;--blue:#4aa8ff;\
    --red:#f4653a;--orange:#e69f00;--green:#1fbf8f;--sky:#9ad7ff;--purple:#e39bc4";

/// The rules of every picture.
///
/// Each selector starts with the class of pictures, because a style sheet inside a page applies
/// to the whole page.
pub const RULES: &str = "\
.tg text{fill:var(--ink)}.tg .paper{fill:var(--paper)}.tg .quiet{fill:var(--quiet)}
.tg .title{font-size:16px;font-weight:600}.tg .head{font-weight:600}.tg .small{font-size:11px}
.tg .key{font-family:ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;font-size:11px}
.tg .ours{font-weight:700}.tg .end{text-anchor:end}.tg .mid{text-anchor:middle}
.tg .grid{stroke:var(--grid)}.tg .lead{stroke:var(--quiet);stroke-width:.7}
.tg .gray{color:var(--gray)}.tg .blue{color:var(--blue)}.tg .red{color:var(--red)}
.tg .orange{color:var(--orange)}.tg .green{color:var(--green)}.tg .sky{color:var(--sky)}
.tg .purple{color:var(--purple)}.tg .ink{color:var(--ink)}
.tg .line{fill:none;stroke:currentColor;stroke-width:1.6;stroke-linejoin:round}
.tg .thin{stroke-width:1}.tg .thick{stroke-width:3.3}
.tg .dash{stroke-dasharray:6 3}.tg .dots{stroke-dasharray:2 2.5}
.tg .mark{fill:currentColor;stroke:var(--paper);stroke-width:.8}
.tg .open{fill:var(--paper);stroke:currentColor;stroke-width:1.5}
.tg .fill{fill:currentColor}.tg .pale{opacity:.4}
.tg .hover{fill:var(--ink);opacity:0}.tg .hover:hover{opacity:.12}
";
const FONT: &str = "font:12px system-ui,-apple-system,'Segoe UI',sans-serif";

/// Returns the style of a picture that is a file of its own.
pub fn style() -> String {
    format!(
        "<style>\n.tg{{{LIGHT};{FONT}}}\n\
         @media screen and (prefers-color-scheme:dark){{.tg{{{DARK}}}}}\n{RULES}</style>\n"
    )
}

/// Returns the style of pictures in a page that defines the variables of [`LIGHT`] and [`DARK`].
pub fn style_within() -> String {
    format!(".tg{{{FONT};display:block;width:100%;height:auto}}\n{RULES}")
}

/// The position of a text relative to its point.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    /// To the right of the point.
    Start,
    /// Centered on the point.
    Middle,
    /// To the left of the point.
    End,
}

/// A picture under construction.
#[derive(Debug)]
pub struct Svg {
    title: String,
    description: String,
    body: String,
    width: f64,
    within: bool,
}

impl Svg {
    /// Creates an empty picture. `title` and `description` serve readers who cannot see it.
    pub fn new(title: &str, description: &str) -> Self {
        Self {
            title: title.to_owned(),
            description: description.to_owned(),
            body: String::new(),
            width: WIDTH,
            within: false,
        }
    }

    /// Turns it into a picture for a page that has [`style_within`] and its own heading.
    #[must_use]
    pub const fn within(mut self) -> Self {
        self.within = true;
        self
    }

    /// Makes it narrow, for phones.
    #[must_use]
    pub const fn narrow(mut self) -> Self {
        self.width = NARROW;
        self
    }

    /// Returns the width.
    pub const fn width(&self) -> f64 {
        self.width
    }

    /// Writes the title and a line below it.
    pub fn heading(&mut self, line: &str) {
        let title = self.title.clone();
        self.text([16.0, 26.0], Anchor::Start, "title", &title);
        self.text([16.0, 45.0], Anchor::Start, "quiet", line);
    }

    /// Writes a text.
    pub fn text(&mut self, [x, y]: [f64; 2], anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => "mid ",
            Anchor::End => "end ",
        };
        let class = attribute(&format!("{anchor}{class}"));
        let (x, y, text) = (Short(x), Short(y), escaped(text));
        self.put(format_args!(
            "<text{class} x=\"{x}\" y=\"{y}\">{text}</text>"
        ));
    }

    /// Draws horizontal lines at these numbers, with the numbers to their left.
    pub fn levels(&mut self, height: &Scale, numbers: &[u64], [left, right]: [f64; 2]) {
        for &number in numbers {
            let y = height.of(number);
            self.line("grid", [left, y], [right, y]);
            let label = [left - 7.0, y + 4.0];
            self.text(label, Anchor::End, "quiet small", &short(number));
        }
    }

    /// Draws a straight line.
    pub fn line(&mut self, class: &str, from: [f64; 2], to: [f64; 2]) {
        self.lines(class, &[from, to]);
    }

    /// Draws straight lines from point to point.
    pub fn lines(&mut self, class: &str, points: &[[f64; 2]]) {
        let mut path = String::new();
        for (at, &[x, y]) in points.iter().enumerate() {
            let command = if at == 0 { 'M' } else { 'L' };
            push(
                &mut path,
                format_args!("{command}{} {}", Short(x), Short(y)),
            );
        }
        self.path(class, &path);
    }

    /// Draws vertical marks of one height. They share one element, because there may be many.
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

    /// Draws a line that goes sideways to the next point, and then up or down to it.
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

    /// Fills touching columns. Each column has its left end, and its lower and upper level.
    pub fn area(&mut self, class: &str, columns: &[(f64, [f64; 2])], end: f64) {
        let mut path = String::new();
        let right = |at: usize| columns.get(at + 1).map_or(end, |(x, _)| *x);
        let mut at = 0;
        // A run of columns that are not empty is one shape: there and back again.
        for run in columns.chunk_by(|a, b| is_flat(a.1) == is_flat(b.1)) {
            if !is_flat(run[0].1) {
                let (x, [lower, _]) = run[0];
                push(&mut path, format_args!("M{} {}", Short(x), Short(lower)));
                for (number, (_, [_, upper])) in run.iter().enumerate() {
                    let x = Short(right(at + number));
                    push(&mut path, format_args!("V{}H{x}", Short(*upper)));
                }
                for (x, [lower, _]) in run.iter().rev() {
                    push(&mut path, format_args!("V{}H{}", Short(*lower), Short(*x)));
                }
                path.push('Z');
            }
            at += run.len();
        }
        self.path(class, &path);
    }

    /// Draws a path, unless it is empty.
    pub fn path(&mut self, class: &str, path: &str) {
        if !path.is_empty() {
            let class = attribute(class);
            self.put(format_args!("<path{class} d=\"{path}\"/>"));
        }
    }

    /// Fills a box. Its hint appears while a pointer rests on it.
    pub fn bar(&mut self, class: &str, [x, y]: [f64; 2], [width, height]: [f64; 2], hint: &str) {
        let class = attribute(class);
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

    /// Draws a disc.
    pub fn disc(&mut self, class: &str, [x, y]: [f64; 2], radius: f64) {
        let (class, x, y, r) = (attribute(class), Short(x), Short(y), Short(radius));
        self.put(format_args!(
            "<circle{class} cx=\"{x}\" cy=\"{y}\" r=\"{r}\"/>"
        ));
    }

    fn put(&mut self, element: fmt::Arguments<'_>) {
        push(&mut self.body, element);
        self.body.push('\n');
    }

    /// Returns the file.
    pub fn finish(self, height: f64) -> String {
        let (title, description) = (escaped(&self.title), escaped(&self.description));
        let (width, height) = (Short(self.width), Short(height));
        let (style, paper) = if self.within {
            (String::new(), String::new())
        } else {
            let paper =
                format!("<rect class=\"paper\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>\n");
            (style(), paper)
        };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"tg\" \
             viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             role=\"img\" aria-label=\"{title}\">\n\
             <desc>{description}</desc>\n{style}{paper}{}</svg>\n",
            self.body
        )
    }
}

/// Appends to a text. Writing to a string cannot fail.
fn push(text: &mut String, more: fmt::Arguments<'_>) {
    let _ = text.write_fmt(more);
}

/// Returns the attribute with these classes, or nothing without any.
fn attribute(classes: &str) -> String {
    let classes: Vec<&str> = classes.split_whitespace().collect();
    if classes.is_empty() {
        String::new()
    } else {
        format!(" class=\"{}\"", classes.join(" "))
    }
}

/// Returns whether a column is too low to be visible.
fn is_flat([lower, upper]: [f64; 2]) -> bool {
    (lower - upper).abs() < 0.05
}

/// A coordinate with one decimal, so that the last bit of a division does not show.
#[derive(Clone, Copy, Debug)]
pub struct Short(pub f64);

impl Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.1}", if self.0.is_finite() { self.0 } else { 0.0 });
        let text = text.strip_suffix(".0").unwrap_or(&text);
        f.write_str(if text == "-0" { "0" } else { text })
    }
}

#[cfg(test)]
mod tests {
    use super::{Anchor, Short, Svg};

    #[test]
    fn coordinates_are_short() {
        let shown = [1.0, -0.04, 2.25, 99.96, f64::NAN].map(|x| Short(x).to_string());
        assert_eq!(shown, ["1", "0", "2.2", "100", "0"]);
    }

    #[test]
    fn text_cannot_break_the_file() {
        let mut svg = Svg::new("<a> '\"", "\"d\" \u{0}\u{b}\u{ffff}");
        svg.heading("b & c");
        svg.text([0.0, 0.0], Anchor::Middle, "small", "</text><script>");
        svg.bar("", [0.0; 2], [1.0; 2], "</title>\u{1b}");
        let svg = svg.finish(10.0);
        let tree = roxmltree::Document::parse(&svg).unwrap();
        assert!(!tree.descendants().any(|node| node.has_tag_name("script")));
    }

    #[test]
    fn areas_skip_empty_columns() {
        let mut svg = Svg::new("", "");
        let columns = [[9.0, 5.0], [9.0, 9.0], [9.0, 4.0], [8.0, 3.0]];
        let columns: Vec<_> = [0.0, 1.0, 2.0, 3.0].into_iter().zip(columns).collect();
        svg.area("fill", &columns, 4.0);
        let expected = "d=\"M0 9V5H1V9H0ZM2 9V4H3V3H4V8H3V9H2Z\"";
        assert!(svg.body.contains(expected), "{}", svg.body);
    }
}
