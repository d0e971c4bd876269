//! Draws how a simulated fleet uses its quota while something goes wrong, and how busy its server
//! is.

use std::path::Path;

use tidegate_cli::picture::scale::Scale;
use tidegate_cli::picture::svg::{Anchor, Svg};

use super::add_new;
use crate::panel::{Label, LogScale, columns, labels, note, rows, series};
use crate::table::{Error, Machine, Table};
use crate::{Drawn, look};

const LEFT: f64 = 52.0;
const RIGHT: f64 = 570.0;
const LABELS: f64 = 598.0;
/// Top and bottom of the charts.
const GOODPUT: [f64; 2] = [92.0, 262.0];
const BUSY: [f64; 2] = [326.0, 446.0];
const HEIGHT: f64 = 536.0;
/// Between the ends of the lower axis and the first and last points.
const ROOM: f64 = 14.0;
/// The least percent of a core that has a place.
const LEAST_BUSY: f64 = 0.1;

/// Draws `fleet_in_time.csv` and `fleet.csv`.
///
/// # Errors
///
/// Fails if a file is wrong.
pub fn draw(folder: &Path, machine: &Machine) -> Drawn {
    let columns = ["scenario", "nodes", "demand", "busy"];
    let (Some(sizes), Some(in_time)) = (
        Table::read(folder, "fleet.csv", &columns)?,
        Table::read(folder, "fleet_in_time.csv", &["ms"])?,
    ) else {
        return Ok(None);
    };
    let mut svg = Svg::new(
        "A fleet that shares one quota",
        "Two charts: the used percentage of the quota over time, in fleets in which something goes \
         wrong; and how busy the server is, by the number of nodes.",
    );
    svg.heading(
        "Nodes lease tokens of one bucket. The shipped client and the shipped scripts, on a \
         simulated clock and network.",
    );
    goodput(&mut svg, &in_time)?;
    busy(&mut svg, &sizes)?;
    note(
        &mut svg,
        HEIGHT - 28.0,
        "A node is to get 1 000 per second. Above, the fleets want 1.5 times their quota, and the \
         fault begins after 4 s. Exact numbers: fleet.csv.",
    );
    note(&mut svg, HEIGHT - 12.0, &machine.caption());
    Ok(Some(svg.finish(HEIGHT)))
}

/// Draws the goodput of each fleet over time.
fn goodput(svg: &mut Svg, table: &Table) -> Result<(), Error> {
    let title = "Used, % of the quota, every 100 ms";
    svg.text([16.0, GOODPUT[0] - 16.0], Anchor::Start, "head", title);
    let mut seconds = Vec::new();
    for row in table.rows() {
        let second = row.number("ms")? / 1_000.0;
        if seconds.last().is_some_and(|&last| second <= last) {
            return Err(table.wrong(format!("ms does not grow at {}", second * 1_000.0)));
        }
        seconds.push(second);
    }
    let names = table.columns().filter(|name| *name != "ms");
    let read = |name: &str| {
        let values = table.rows().map(|row| row.number(name));
        values.collect::<Result<Vec<f64>, _>>()
    };
    let fleets = names.map(|name| read(name).map(|values| (name.to_owned(), values)));
    let fleets = fleets.collect::<Result<Vec<_>, _>>()?;
    if fleets.is_empty() {
        return Err(table.wrong("no column of a fleet"));
    }
    // The first burst is far above.
    let height = Scale {
        numbers: [0.0, 150.0],
        places: [GOODPUT[1], GOODPUT[0]],
    };
    let ticks = [0, 50, 100, 150].map(|tick| (height.at(tick.into()), tick.to_string()));
    rows(svg, [LEFT, RIGHT], ticks);
    let last = seconds[seconds.len() - 1];
    let time = Scale {
        numbers: [seconds[0], last.max(seconds[0] + 0.1)],
        places: [LEFT, RIGHT],
    };
    let whole = (0..=last as u32).step_by(2).map(f64::from);
    let whole = whole.filter(|second| *second >= seconds[0]);
    columns(
        svg,
        GOODPUT,
        whole.map(|second| (time.at(second), format!("{second}"))),
    );
    let middle = [f64::midpoint(LEFT, RIGHT), GOODPUT[1] + 32.0];
    svg.text(middle, Anchor::Middle, "quiet small", "seconds");
    let names = fleets.into_iter().map(|(name, values)| {
        let points = seconds.iter().zip(&values);
        let points = points.map(|(&second, &value)| [time.at(second), height.at(value.min(150.0))]);
        let points: Vec<[f64; 2]> = points.collect();
        svg.lines(&look::of(&name).line(), &points);
        let end = points[points.len() - 1];
        Label { name, end }
    });
    let names = names.collect();
    labels(svg, names, LABELS, GOODPUT);
    Ok(())
}

/// Draws how busy the server is, by the number of nodes and their demand.
fn busy(svg: &mut Svg, table: &Table) -> Result<(), Error> {
    let title = "The server's core, % busy with scripts";
    svg.text([16.0, BUSY[0] - 16.0], Anchor::Start, "head", title);
    let mut points = Vec::new();
    let mut demands = Vec::new();
    for row in table
        .rows()
        .filter(|row| row.text("scenario") == "all alike")
    {
        let name = format!("demand {}", row.text("demand"));
        add_new(&mut demands, name.clone());
        points.push((name, row.positive("nodes")?, row.number("busy")?));
    }
    if points.is_empty() {
        return Err(table.wrong("no fleets that are all alike"));
    }
    let nodes = points.iter().map(|(_, nodes, _)| *nodes);
    let ends = nodes.fold([f64::INFINITY, 0.0_f64], |[least, most], nodes| {
        [least.min(nodes), most.max(nodes)]
    });
    let place = LogScale::new(
        [ends[0], ends[1].max(ends[0] * 2.0)],
        [LEFT + ROOM, RIGHT - ROOM],
    );
    let height = LogScale::new([LEAST_BUSY, 100.0], [BUSY[1], BUSY[0]]);
    rows(svg, [LEFT, RIGHT], height.ticks());
    columns(svg, BUSY, place.ticks());
    let middle = [f64::midpoint(LEFT, RIGHT), BUSY[1] + 32.0];
    svg.text(middle, Anchor::Middle, "quiet small", "nodes");
    let names = demands.iter().filter_map(|demand| {
        let line = points.iter().filter(|(name, ..)| name == demand);
        let line = line
            .map(|(_, nodes, busy)| [place.at(*nodes), height.at(busy.clamp(LEAST_BUSY, 100.0))]);
        series(svg, demand, &line.collect::<Vec<_>>())
    });
    let names = names.collect();
    labels(svg, names, LABELS, BUSY);
    Ok(())
}
