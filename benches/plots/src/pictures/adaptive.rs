//! Draws how a quota that no client knows is used, second by second.

use std::path::Path;

use tidegate_cli::picture::numbers::ticks;
use tidegate_cli::picture::scale::Scale;
use tidegate_cli::picture::svg::{Anchor, Svg};

use crate::panel::{Label, columns, labels, note, rows};
use crate::table::{Machine, Table};
use crate::{Drawn, look};

const HEIGHT: f64 = 492.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 590.0;
const LABELS: f64 = 618.0;
/// Top and bottom of the charts.
const ANSWERED: [f64; 2] = [92.0, 222.0];
const REFUSED: [f64; 2] = [268.0, 402.0];
/// Baselines of the sums, below the labels of the first chart.
const SUMS: f64 = 166.0;

/// The first is drawn on top.
const MODES: [&str; 2] = ["adaptive", "backoff alone"];
const HEADER: [&str; 6] = [
    "second",
    "limit",
    "adaptive answered",
    "adaptive refused",
    "backoff alone answered",
    "backoff alone refused",
];

/// Requests of one mode, by second.
struct Series {
    mode: &'static str,
    counts: Vec<u32>,
}

/// Draws `adaptive.csv`.
///
/// # Errors
///
/// Fails if the file is wrong.
pub fn draw(folder: &Path, machine: &Machine) -> Drawn {
    let Some(table) = Table::read(folder, "adaptive.csv", &HEADER)? else {
        return Ok(None);
    };
    let mut seconds = Vec::new();
    let mut limits = Vec::new();
    for row in table.rows() {
        let second = row.count("second")?;
        if seconds.last().is_some_and(|&last| second <= last) {
            return Err(table.wrong(format!("second does not grow at {second}")));
        }
        seconds.push(second);
        limits.push(row.positive("limit")?);
    }
    let read = |what: &str| {
        let series = MODES.map(|mode| {
            let column = format!("{mode} {what}");
            let counts = table.rows().map(|row| row.count(&column));
            counts
                .collect::<Result<_, _>>()
                .map(|counts| Series { mode, counts })
        });
        series.into_iter().collect::<Result<Vec<_>, _>>()
    };
    let (answered, refused) = (read("answered")?, read("refused")?);

    let mut svg = Svg::new(
        "A quota that no client knows",
        "Two charts over time: requests that the provider answers and refuses per second, in the \
         adaptive mode and with the backoff alone.",
    );
    svg.heading(
        "Eight clients send as fast as they may. The provider refuses what is beyond its limit, \
         and tells no number; a simulation.",
    );
    let last = seconds[seconds.len() - 1] + 1;
    let chart = Chart {
        time: Scale {
            numbers: [seconds[0].into(), last.into()],
            places: [LEFT, RIGHT],
        },
        seconds: &seconds,
    };

    let most = limits.iter().copied().fold(0.0, f64::max);
    let scale = chart.frame(&mut svg, "Answered per second", &answered, most, ANSWERED);
    let names = chart.lines(&mut svg, &scale, &answered);
    labels(&mut svg, names, LABELS, [ANSWERED[0], SUMS - 40.0]);
    let places = seconds.iter().zip(&limits);
    let places = places.map(|(&second, &limit)| [chart.place(second), scale.at(limit)]);
    let places: Vec<[f64; 2]> = places.collect();
    svg.steps(&look::of("").line(), &places, RIGHT);
    // Where the limit is lowest, the chart is empty above it.
    let lowest = |a: &&[f64; 2], b: &&[f64; 2]| a[1].total_cmp(&b[1]);
    if let Some([x, y]) = places.iter().rev().max_by(lowest) {
        let at = [x + 6.0, y - 12.0];
        svg.text(at, Anchor::Start, "small", "the limit");
    }
    sums(&mut svg, limits.iter().sum(), &answered, &refused);

    let scale = chart.frame(&mut svg, "Refused per second", &refused, 1.0, REFUSED);
    let names = chart.lines(&mut svg, &scale, &refused);
    labels(&mut svg, names, LABELS, REFUSED);
    let middle = [f64::midpoint(LEFT, RIGHT), REFUSED[1] + 33.0];
    svg.text(middle, Anchor::Middle, "quiet small", "seconds");
    note(
        &mut svg,
        HEIGHT - 28.0,
        "A call takes 20 ms, and a client makes ten at once. The backoff is from 100 ms to 10 s; \
         adaptive.md also has its default.",
    );
    note(&mut svg, HEIGHT - 12.0, &machine.caption());
    Ok(Some(svg.finish(HEIGHT)))
}

/// The axis that both charts share.
struct Chart<'a> {
    time: Scale,
    seconds: &'a [u32],
}

impl Chart<'_> {
    fn place(&self, second: u32) -> f64 {
        self.time.at(second.into())
    }

    /// Draws the title and the grid, with room for these numbers and for `most`.
    fn frame(
        &self,
        svg: &mut Svg,
        title: &str,
        series: &[Series],
        most: f64,
        bounds: [f64; 2],
    ) -> Scale {
        let at = [LEFT, bounds[0] - 12.0];
        svg.text(at, Anchor::Start, "head", title);
        let counts = series.iter().flat_map(|series| &series.counts);
        let most = counts.fold(most, |most, &count| most.max(count.into()));
        let scale = Scale::up_to(most.ceil() as u64, bounds);
        let levels = ticks(most.ceil() as u64, 4).into_iter();
        let levels = levels.map(|level| (scale.of(level), level.to_string()));
        rows(svg, [LEFT, RIGHT], levels);
        let [first, last] = self.time.numbers;
        let marks = ticks(last as u64, 8).into_iter();
        let marks = marks.filter(|&mark| mark as f64 >= first);
        let label = |mark: u64| {
            if bounds == REFUSED {
                mark.to_string()
            } else {
                String::new()
            }
        };
        columns(
            svg,
            bounds,
            marks.map(|mark| (self.time.of(mark), label(mark))),
        );
        scale
    }

    /// Draws the lines, and returns their labels.
    fn lines(&self, svg: &mut Svg, scale: &Scale, series: &[Series]) -> Vec<Label> {
        let line = |Series { mode, counts }: &Series| {
            let points = self.seconds.iter().zip(counts);
            let points =
                points.map(|(&second, &count)| [self.place(second), scale.of(count.into())]);
            let points: Vec<[f64; 2]> = points.collect();
            svg.steps(&look::of(mode).line(), &points, RIGHT);
            Label {
                name: (*mode).to_owned(),
                end: [RIGHT, points[points.len() - 1][1]],
            }
        };
        series.iter().rev().map(line).collect()
    }
}

/// Writes the share of the quota that was answered, and the refusals beside it.
fn sums(svg: &mut Svg, quota: f64, answered: &[Series], refused: &[Series]) {
    let percent = |series: &Series| {
        let sum: f64 = series.counts.iter().copied().map(f64::from).sum();
        format!("{:.0}", 100.0 * sum / quota)
    };
    let ends = [LABELS + 130.0, LABELS + 176.0];
    let title = "percent of the limit";
    svg.text([ends[1], SUMS], Anchor::End, "quiet small", title);
    for (x, title) in ends.into_iter().zip(["answered", "refused"]) {
        svg.text([x, SUMS + 17.0], Anchor::End, "quiet small", title);
    }
    for (line, (answered, refused)) in (0..).zip(answered.iter().zip(refused)) {
        let y = SUMS + 34.0 + 15.0 * f64::from(line);
        for (x, series) in ends.into_iter().zip([answered, refused]) {
            svg.text([x, y], Anchor::End, "", &percent(series));
        }
        svg.text([LABELS, y], Anchor::Start, "", answered.mode);
    }
}
