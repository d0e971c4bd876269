//! Time and memory of limiters with many keys.

use std::path::Path;

use super::remember;
use crate::look;
use crate::panel::grouped;
use crate::svg::{Anchor, Svg};
use crate::table::{Error, Machine, Table};

const LEFT: f64 = 152.0;
const WIDTH: f64 = 172.0;
const TOP: f64 = 96.0;
const STEP: f64 = 17.0;
const GROUP: f64 = 30.0;

/// Groups of `keyed.csv`, and what they are called here.
const GROUPS: [(&str, &str); 4] = [
    ("hit, 1000 keys, uniform", "A known key of 1 000"),
    ("hit, 1000000 keys, uniform", "A known key of a million"),
    ("refuse, 1000 keys, uniform", "Refused, 1 000 keys"),
    ("insert", "A new key, growth included"),
];

/// Keys of `keyed_memory.csv`.
const KEYS: [(&str, &str); 3] = [
    ("String(36)", "Strings of 36 bytes"),
    ("u64", "Numbers of 8 bytes"),
    ("IpKey", "Addresses"),
];

/// One bar.
struct Bar<'a> {
    group: &'a str,
    limiter: &'a str,
    /// With one thread, and with all of them, where that differs.
    values: Vec<f64>,
}

/// `keyed.svg`, of `keyed.csv` and `keyed_memory.csv`.
pub fn draw(folder: &Path, machine: &Machine) -> Result<Option<String>, Error> {
    let head = ["group", "limiter", "threads", "estimate_ns"];
    let Some(times) = Table::read(folder, "keyed.csv", &head)? else {
        return Ok(None);
    };
    let head = ["limiter", "key", "keys", "bytes_per_key"];
    let Some(memory) = Table::read(folder, "keyed_memory.csv", &head)? else {
        return Ok(None);
    };
    let mut counts = Vec::new();
    for row in times.rows() {
        counts.push(row.count("threads")?);
    }
    let most = counts.iter().copied().max().unwrap_or(1);
    let mut bars: Vec<Bar<'_>> = Vec::new();
    for row in times.rows() {
        let (group, limiter, threads) = (
            row.text("group"),
            row.text("limiter"),
            row.count("threads")?,
        );
        let nanos = row.positive("estimate_ns")?;
        if !is_shown(limiter) || (threads != 1 && threads != most) {
            continue;
        }
        match bars
            .iter_mut()
            .find(|bar| bar.group == group && bar.limiter == limiter)
        {
            Some(bar) => bar.values.push(nanos),
            None => bars.push(Bar {
                group,
                limiter,
                values: vec![nanos],
            }),
        }
    }
    let mut sizes: Vec<Bar<'_>> = Vec::new();
    let mut keys = 0;
    for row in memory.rows() {
        keys = keys.max(row.count("keys")?);
    }
    for row in memory.rows() {
        let (group, limiter) = (row.text("key"), row.text("limiter"));
        if is_shown(limiter) && row.count("keys")? == keys {
            sizes.push(Bar {
                group,
                limiter,
                values: vec![row.positive("bytes_per_key")?],
            });
        }
    }
    let left = drawn(&bars, &GROUPS);
    let right = drawn(&sizes, &KEYS);
    if left.is_empty() || right.is_empty() {
        return Err(times.wrong("none of the groups that are drawn"));
    }

    let height = |groups: &[Group<'_>]| {
        let lines: usize = groups.iter().map(|(_, bars)| bars.len()).sum();
        STEP * lines as f64 + GROUP * groups.len() as f64
    };
    let bottom = TOP + height(&left).max(height(&right));
    let mut svg = Svg::new(
        bottom + 60.0,
        "A limiter for every key",
        "Shorter is better; each group of bars has its own scale.",
        "Bar charts per limiter of many keys: nanoseconds per call with one and all threads, and bytes per key.",
    );
    let threads = if most == 1 {
        String::new()
    } else {
        format!(", pale: {most} threads")
    };
    svg.text(
        16.0,
        76.0,
        Anchor::Start,
        "head",
        &format!("ns per call and thread: 1 thread{threads}"),
    );
    svg.text(
        440.0,
        76.0,
        Anchor::Start,
        "head",
        &format!("Bytes per key, {} keys", grouped(keys)),
    );
    groups(&mut svg, 16.0, &left, if most == 1 { 1 } else { 2 });
    groups(&mut svg, 440.0, &right, 1);
    svg.text(
        16.0,
        bottom + 32.0,
        Anchor::Start,
        "quiet small",
        "FixedKeyed allocates nothing later: its bytes are for as many keys as it was made for. Other hashes and groups: keyed.csv.",
    );
    Ok(Some(svg.finish(&machine.caption())))
}

/// What is drawn together, and its title.
type Group<'a> = (&'static str, Vec<&'a Bar<'a>>);

fn is_shown(limiter: &str) -> bool {
    // The keys alone are in every row, and SipHash is a variant of ours.
    limiter != "keys alone" && !limiter.contains("SipHash")
}

/// The groups that there are, with the same limiters in the same order.
fn drawn<'a>(bars: &'a [Bar<'a>], names: &[(&'static str, &'static str)]) -> Vec<Group<'a>> {
    let mut limiters = Vec::new();
    bars.iter()
        .for_each(|bar| remember(&mut limiters, bar.limiter));
    let groups = names.iter().map(|(name, title)| {
        let here = |limiter: &&str| {
            bars.iter()
                .find(|bar| bar.group == *name && bar.limiter == *limiter)
        };
        (*title, limiters.iter().filter_map(here).collect::<Vec<_>>())
    });
    groups.filter(|(_, bars)| !bars.is_empty()).collect()
}

fn groups(svg: &mut Svg, x: f64, groups: &[Group<'_>], per_row: usize) {
    let mut y = TOP + 4.0;
    for (title, bars) in groups {
        svg.text(x, y + 4.0, Anchor::Start, "quiet", title);
        y += GROUP - 10.0;
        let most = bars
            .iter()
            .flat_map(|bar| &bar.values)
            .copied()
            .fold(0.0, f64::max);
        for bar in bars {
            let look = look::of(bar.limiter);
            let class = if look.ours { "ours" } else { "" };
            svg.text(x + LEFT - 8.0, y + 4.0, Anchor::End, class, bar.limiter);
            let values: Vec<f64> = bar.values.iter().copied().take(per_row).collect();
            // That of one thread above the other.
            for value in values.iter().rev() {
                let pale = if Some(value) == values.first() {
                    "fill"
                } else {
                    "fill pale"
                };
                let class = [pale, look.color].join(" ");
                svg.bar(&class, [x + LEFT, y - 6.0], value / most * WIDTH, 12.0);
            }
            let longest = values.iter().copied().fold(0.0, f64::max);
            let shown: Vec<String> = values.iter().map(|value| format!("{value:.0}")).collect();
            let end = x + LEFT + longest / most * WIDTH + 5.0;
            svg.text(
                end,
                y + 4.0,
                Anchor::Start,
                "quiet small",
                &shown.join(" / "),
            );
            y += STEP;
        }
        y += 10.0;
    }
}
