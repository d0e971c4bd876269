//! Writes SVG: the few elements that the pictures have, in colours that follow the reader's theme.
//!
//! Colours are CSS variables with a second value for dark themes, which browsers heed in an `<img>`, too. Coordinates have one digit behind
//! the point, so that the last bit of a logarithm does not show.

use std::fmt::Write as _;

use crate::look::{Look, Mark};

/// Of every picture.
pub const WIDTH: f64 = 800.0;

const LIGHT: &str = "\
--paper:#ffffff;--ink:#1f2328;--quiet:#59636e;--grid:#d8dee4;--gray:#7d8590;--blue:#0072b2;--red:#d55e00;--orange:#e69f00;\
--green:#009e73;--sky:#56b4e9;--purple:#cc79a7";
const DARK: &str = "\
--paper:#0d1117;--ink:#e6edf3;--quiet:#9198a1;--grid:#2b323b;--gray:#848d97;--blue:#4aa8ff;\
--red:#f4653a;--orange:#e69f00;--green:#1fbf8f;--sky:#9ad7ff;--purple:#e39bc4";
/// In a page of rustdoc there is its font, which is narrow, as the labels' room wants it.
const FONT_WITHIN: &str = "font:12px 'Fira Sans',system-ui,sans-serif";
const FONT: &str = "font:12px system-ui,-apple-system,'Segoe UI',sans-serif";
const RULES: &str = "\
.paper{fill:var(--paper)}text{fill:var(--ink)}.quiet{fill:var(--quiet)}.title{font-size:16px;font-weight:600}.head{font-weight:600}\n\
.small{font-size:11px}.ours{font-weight:700}.grid{stroke:var(--grid)}.axis{stroke:var(--quiet)}.lead{stroke:var(--quiet);stroke-width:.7}\n\
.end{text-anchor:end}.mid{text-anchor:middle}\n\
.gray{color:var(--gray)}.blue{color:var(--blue)}.red{color:var(--red)}.orange{color:var(--orange)}.green{color:var(--green)}\
.sky{color:var(--sky)}.purple{color:var(--purple)}.ink{color:var(--ink)}\n\
.line{fill:none;stroke:currentColor;stroke-width:1.6;stroke-linejoin:round}.thick{stroke-width:3.4}.dash{stroke-dasharray:6 3}\
.dots{stroke-dasharray:2 2.5}\n\
.mark{fill:currentColor;stroke:var(--paper);stroke-width:.8}.open{fill:var(--paper);stroke:currentColor;stroke-width:1.5}\
.fill{fill:currentColor}.pale{opacity:.4}\n";

/// The style of a picture that is a file of its own.
fn style() -> String {
    format!(
        "<style>\nsvg{{{LIGHT};{FONT}}}\n@media(prefers-color-scheme:dark){{svg{{{DARK}}}}}\n{RULES}</style>\n"
    )
}

/// The class of pictures within a page. Everything in their style is below it, for a style sheet is the whole page's.
const WITHIN: &str = ".tidegate-plot";

/// The style of all pictures in a page of rustdoc, whose theme the reader chooses there; without scripts the system's counts.
pub fn style_within() -> String {
    let mut rules = String::new();
    for line in RULES.lines() {
        for rule in line.split_inclusive('}') {
            write!(rules, "{WITHIN} {rule}").expect(ROOM);
        }
        rules.push('\n');
    }
    format!(
        "<style>\n{WITHIN}{{{LIGHT};{FONT_WITHIN};max-width:100%;height:auto}}\n\
         [data-theme=\"dark\"] {WITHIN},[data-theme=\"ayu\"] {WITHIN}{{{DARK}}}\n\
         @media(prefers-color-scheme:dark){{:root:not([data-theme]) {WITHIN}{{{DARK}}}}}\n{rules}</style>\n"
    )
}

/// A finished picture without its style, to stand in a page that has [`style_within`]; in a block, as Markdown wants it.
pub fn within(svg: &str) -> String {
    let class = WITHIN.trim_start_matches('.');
    let bare = svg.replacen(&style(), "", 1);
    let bare = bare.replacen("<svg ", &format!("<svg class=\"{class}\" "), 1);
    format!("<div>\n{bare}</div>\n")
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
pub struct Svg {
    height: f64,
    title: String,
    description: String,
    body: String,
}

impl Svg {
    /// An empty one with a title, and a line of text below it. `description` is for those who do not see it.
    pub fn new(height: f64, title: &str, text: &str, description: &str) -> Self {
        let (title, description) = (title.to_owned(), description.to_owned());
        let mut svg = Self {
            height,
            title,
            description,
            body: String::new(),
        };
        let heading = svg.title.clone();
        svg.text(16.0, 26.0, Anchor::Start, "title", &heading);
        svg.text(16.0, 45.0, Anchor::Start, "quiet", text);
        svg
    }

    /// A text of this class.
    pub fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => "mid",
            Anchor::End => "end",
        };
        let classes = [anchor, class].join(" ");
        let class = attribute(classes.trim());
        let text = escaped(text);
        self.element(format_args!(
            "<text{class} x=\"{}\" y=\"{}\">{text}</text>",
            Short(x),
            Short(y)
        ));
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
        let class = attribute(class);
        self.element(format_args!(
            "<path{class} d=\"M{} {}L{} {}\"/>",
            Short(x1),
            Short(y1),
            Short(x2),
            Short(y2)
        ));
    }

    /// A line through points.
    pub fn path(&mut self, look: Look, points: &[[f64; 2]]) {
        let mut path = String::new();
        for (at, [x, y]) in points.iter().enumerate() {
            let command = if at == 0 { 'M' } else { 'L' };
            write!(path, "{command}{} {}", Short(*x), Short(*y)).expect(ROOM);
        }
        self.draw(look, &path);
    }

    /// A line that goes sideways to the next point, and then up or down to it.
    pub fn steps(&mut self, look: Look, points: &[[f64; 2]]) {
        let mut path = String::new();
        let mut last = None;
        for &[x, y] in points {
            match last {
                None => write!(path, "M{} {}", Short(x), Short(y)).expect(ROOM),
                Some(level) if Short(level).to_string() == Short(y).to_string() => {}
                Some(_) => write!(path, "H{}V{}", Short(x), Short(y)).expect(ROOM),
            }
            last = Some(y);
        }
        if let Some([x, _]) = points.last() {
            write!(path, "H{}", Short(*x)).expect(ROOM);
        }
        self.draw(look, &path);
    }

    fn draw(&mut self, look: Look, path: &str) {
        let thick = if look.ours { "thick" } else { "" };
        let classes = ["line", look.color, look.dash, thick];
        let classes: Vec<&str> = classes
            .into_iter()
            .filter(|class| !class.is_empty())
            .collect();
        let class = attribute(&classes.join(" "));
        self.element(format_args!("<path{class} d=\"{path}\"/>"));
    }

    /// A filled box.
    pub fn bar(&mut self, class: &str, [x, y]: [f64; 2], width: f64, height: f64) {
        let class = attribute(class);
        self.element(format_args!(
            "<rect{class} x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
            Short(x),
            Short(y),
            Short(width),
            Short(height)
        ));
    }

    /// A point: `class` says whether it is filled.
    pub fn mark(&mut self, class: &str, color: &str, mark: Mark, size: f64, [x, y]: [f64; 2]) {
        let class = attribute(&[class, color].join(" "));
        let r = size;
        let path = match mark {
            Mark::Circle => {
                self.element(format_args!(
                    "<circle{class} cx=\"{}\" cy=\"{}\" r=\"{}\"/>",
                    Short(x),
                    Short(y),
                    Short(r)
                ));
                return;
            }
            Mark::Square => {
                let r = r * 0.9;
                format!("h{0}v{0}h-{0}z", Short(2.0 * r))
            }
            Mark::Diamond => {
                let r = r * 1.2;
                format!("l{0} {0}l-{0} {0}l-{0} -{0}z", Short(r))
            }
            Mark::Triangle => {
                let r = r * 1.1;
                format!("l{0} {1}h-{1}z", Short(r), Short(2.0 * r))
            }
        };
        let start = match mark {
            Mark::Square => [x - r * 0.9, y - r * 0.9],
            Mark::Diamond => [x, y - r * 1.2],
            _ => [x, y - r * 1.2],
        };
        self.element(format_args!(
            "<path{class} d=\"M{} {}{path}\"/>",
            Short(start[0]),
            Short(start[1])
        ));
    }

    fn element(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.body, "{element}").expect(ROOM);
    }

    /// The file, with where the numbers are from in its last line.
    pub fn finish(mut self, caption: &str) -> String {
        let bottom = self.height - 12.0;
        self.text(16.0, bottom, Anchor::Start, "quiet small", caption);
        let (title, description) = (escaped(&self.title), escaped(&self.description));
        let height = Short(self.height);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
             <title>{title}</title>\n<desc>{description}</desc>\n{}\
             <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\" rx=\"8\"/>\n{}</svg>\n",
            style(),
            self.body
        )
    }
}

const ROOM: &str = "a string has room";

/// A coordinate.
struct Short(f64);

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{:.1}", self.0);
        let text = text.strip_suffix(".0").unwrap_or(&text);
        f.write_str(if text == "-0" { "0" } else { text })
    }
}

fn attribute(classes: &str) -> String {
    if classes.is_empty() {
        String::new()
    } else {
        format!(" class=\"{classes}\"")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{Anchor, Short, Svg, WITHIN, style_within, within};

    #[test]
    fn coordinates_are_short() {
        let shown: Vec<String> = [1.0, -0.04, 2.25, 99.96]
            .map(|x| Short(x).to_string())
            .into();
        assert_eq!(shown, ["1", "0", "2.2", "100"]);
    }

    #[test]
    fn text_cannot_break_the_file() {
        let mut svg = Svg::new(100.0, "<a>", "b & c", "\"d\"");
        svg.text(0.0, 0.0, Anchor::Middle, "small", "</text>");
        assert!(roxmltree::Document::parse(&svg.finish("<e>")).is_ok());
    }
    /// Nothing in it is for other elements of the page, and Markdown takes it for one block.
    #[test]
    fn a_picture_within_a_page_keeps_to_itself() {
        let style = style_within();
        for line in style.lines().filter(|line| !line.ends_with("style>")) {
            let line = line.replace("@media(prefers-color-scheme:dark){", "");
            for rule in line.split('}').filter(|rule| !rule.is_empty()) {
                let selectors = rule.split('{').next().expect("a first part");
                for selector in selectors.split(',') {
                    assert!(selector.contains(WITHIN), "{selector}");
                }
            }
        }
        let svg = Svg::new(100.0, "a", "b", "c").finish("d");
        let inner = within(&svg);
        assert!(
            inner.starts_with("<div>\n<svg class=\"tidegate-plot\" ") && !inner.contains("style")
        );
        assert!(!inner.contains("\n\n") && !style.contains("\n\n"));
        assert!(roxmltree::Document::parse(&inner).is_ok());
    }
}
