//! Draws time and memory of limiters with many keys.

use std::path::Path;

use tidegate_cli::picture::numbers::grouped;
use tidegate_cli::picture::svg::{Anchor, Svg};

use super::add_new;
use crate::panel::note;
use crate::table::{Machine, Table};
use crate::{Drawn, look};

const LEFT: f64 = 152.0;
const WIDTH: f64 = 172.0;
const TOP: f64 = 96.0;
const STEP: f64 = 17.0;
const GROUP: f64 = 30.0;

/// Groups of `keyed.csv`, with their titles.
const GROUPS: [(&str, &str); 4] = [
    ("hit, 1000 keys, uniform", "A known key of 1,000"),
    ("hit, 1000000 keys, uniform", "A known key of a million"),
    ("refuse, 1000 keys, uniform", "Refused, 1,000 keys"),
    ("insert", "A new key, growth included"),
];

/// Keys of `keyed_memory.csv`, with their titles.
const KEYS: [(&str, &str); 3] = [
    ("String(36)", "Strings of 36 bytes"),
    ("u64", "Numbers of 8 bytes"),
    ("IpKey", "Addresses"),
];

struct Bar<'a> {
    group: &'a str,
    limiter: &'a str,
    /// With one thread, and with all threads if there are more.
    values: Vec<f64>,
}

/// Draws `keyed.csv` and `keyed_memory.csv`.
///
/// # Errors
///
/// Fails if a file is wrong.
pub fn draw(folder: &Path, machine: &Machine) -> Drawn {
    let header = ["group", "limiter", "threads", "estimate_ns"];
    let Some(times) = Table::read(folder, "keyed.csv", &header)? else {
        return Ok(None);
    };
    let header = ["limiter", "key", "keys", "bytes_per_key"];
    let Some(memory) = Table::read(folder, "keyed_memory.csv", &header)? else {
        return Ok(None);
    };
    let most = |table: &Table, column| {
        let counts = table.rows().map(|row| row.count(column));
        counts.reduce(|a, b| Ok(a?.max(b?))).unwrap_or(Ok(1))
    };
    let (threads, keys) = (most(&times, "threads")?, most(&memory, "keys")?);
    let mut bars: Vec<Bar<'_>> = Vec::new();
    for row in times.rows() {
        let (group, limiter) = (row.text("group"), row.text("limiter"));
        let nanos = row.positive("estimate_ns")?;
        if !is_shown(limiter) || ![1, threads].contains(&row.count("threads")?) {
            continue;
        }
        let same = |bar: &&mut Bar<'_>| bar.group == group && bar.limiter == limiter;
        if let Some(bar) = bars.iter_mut().find(same) {
            bar.values.push(nanos);
        } else {
            let values = vec![nanos];
            bars.push(Bar {
                group,
                limiter,
                values,
            });
        }
    }
    let mut sizes: Vec<Bar<'_>> = Vec::new();
    for row in memory.rows() {
        let (group, limiter) = (row.text("key"), row.text("limiter"));
        if is_shown(limiter) && row.count("keys")? == keys {
            let values = vec![row.positive("bytes_per_key")?];
            sizes.push(Bar {
                group,
                limiter,
                values,
            });
        }
    }
    let (left, right) = (groups(&bars, &GROUPS), groups(&sizes, &KEYS));
    if left.is_empty() || right.is_empty() {
        return Err(times.wrong("none of the groups of the picture"));
    }

    let mut svg = Svg::new(
        "A limiter for every key",
        "Bar charts per limiter of many keys: nanoseconds per call with one and all threads, and \
         bytes per key.",
    );
    svg.heading("Shorter is better; each group of bars has its own scale.");
    let pale = if threads == 1 {
        String::new()
    } else {
        format!(", pale: {threads} threads")
    };
    let title = format!("ns per call and thread: 1 thread{pale}");
    svg.text([16.0, 76.0], Anchor::Start, "head", &title);
    let title = format!("Bytes per key, {} keys", grouped(keys.into()));
    svg.text([440.0, 76.0], Anchor::Start, "head", &title);
    let bottom = draw_groups(&mut svg, 16.0, &left);
    let bottom = draw_groups(&mut svg, 440.0, &right).max(bottom);
    note(
        &mut svg,
        bottom + 32.0,
        "FixedKeyed never allocates later: its bytes are for the keys that it was made for. Other \
         hashes and groups: keyed.csv.",
    );
    note(&mut svg, bottom + 48.0, &machine.caption());
    Ok(Some(svg.finish(bottom + 60.0)))
}

/// A title, and the bars below it.
type Group<'a> = (&'static str, Vec<&'a Bar<'a>>);

/// Leaves out the keys alone, which are in every row, and the variant with SipHash.
fn is_shown(limiter: &str) -> bool {
    limiter != "keys alone" && !limiter.contains("SipHash")
}

/// Returns the groups that have bars, with the limiters in the same order in each.
fn groups<'a>(bars: &'a [Bar<'a>], names: &[(&'static str, &'static str)]) -> Vec<Group<'a>> {
    let mut limiters = Vec::new();
    bars.iter()
        .for_each(|bar| add_new(&mut limiters, bar.limiter));
    let groups = names.iter().map(|(name, title)| {
        let here = |limiter: &&str| {
            let mut bars = bars.iter();
            bars.find(|bar| bar.group == *name && bar.limiter == *limiter)
        };
        (*title, limiters.iter().filter_map(here).collect::<Vec<_>>())
    });
    groups.filter(|(_, bars)| !bars.is_empty()).collect()
}

/// Draws groups below each other, and returns where they end.
fn draw_groups(svg: &mut Svg, x: f64, groups: &[Group<'_>]) -> f64 {
    let mut y = TOP + 4.0;
    for (title, bars) in groups {
        svg.text([x, y + 4.0], Anchor::Start, "quiet", title);
        y += GROUP - 10.0;
        let values = bars.iter().flat_map(|bar| &bar.values);
        let most = values.copied().fold(0.0, f64::max);
        for Bar {
            limiter, values, ..
        } in bars
        {
            let look = look::of(limiter);
            let at = [x + LEFT - 8.0, y + 4.0];
            svg.text(at, Anchor::End, look.name(), limiter);
            // The bar of one thread lies above the other.
            for (at, value) in values.iter().enumerate().rev() {
                let pale = if at == 0 { "" } else { "pale" };
                let class = format!("fill {pale} {}", look.color);
                let size = [value / most * WIDTH, 12.0];
                svg.bar(&class, [x + LEFT, y - 6.0], size, "");
            }
            let longest = values.iter().copied().fold(0.0, f64::max);
            let shown: Vec<String> = values.iter().map(|value| format!("{value:.0}")).collect();
            let end = [x + LEFT + longest / most * WIDTH + 5.0, y + 4.0];
            svg.text(end, Anchor::Start, "quiet small", &shown.join(" / "));
            y += STEP;
        }
        y += 10.0;
    }
    y - 4.0
}
