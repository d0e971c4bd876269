//! Runs everything that the record has, and writes it.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use tidegate::Quota;

use crate::fleet::{BIN, Outcome, Scenario};
use crate::hot_keys::{self, HotKeys};
use crate::scenarios::{
    Case, Effort, crowds, deaths, failures, goodput_of_bins, hot_node, lossy, lossy_and_patient,
    lossy_and_unordered, shard_down, sizes,
};
use crate::zipf::Zipf;
use crate::{contention, fleet, machine};

/// Writes all results into a folder. Returns what is not as it must be.
///
/// # Errors
///
/// If a file cannot be written.
pub fn fill(folder: &Path, effort: Effort, command: &str) -> io::Result<Vec<String>> {
    fs::create_dir_all(folder)?;
    let mut text = String::new();
    let mut wrong = Vec::new();
    let (csv, in_time) = fleets(effort, &mut text, &mut wrong);
    fs::write(folder.join("fleet.csv"), csv)?;
    fs::write(folder.join("fleet_in_time.csv"), in_time)?;
    compare_with_record(effort, &mut text);
    shares_of_hot_keys(&mut text);
    fs::write(
        folder.join("hot_keys.csv"),
        leases_for_hot_keys(effort, &mut text, &mut wrong),
    )?;
    fs::write(folder.join("fleet.md"), text)?;
    let facts = machine::facts(command, effort == Effort::Quick);
    fs::write(folder.join("machine.json"), facts)?;
    Ok(wrong)
}

fn demand(scenario: &Scenario) -> f64 {
    let rate = u32::try_from(scenario.quota.rate()).unwrap_or(u32::MAX);
    scenario.demand.iter().sum::<f64>() / f64::from(rate)
}

/// Simulates all fleets. Returns the table, and the goodput of those with faults over time.
fn fleets(effort: Effort, text: &mut String, wrong: &mut Vec<String>) -> (String, String) {
    let mut cases = sizes(effort);
    cases.push(hot_node(effort));
    cases.extend(crowds(effort));
    cases.push(lossy_and_patient(effort));
    let faults = [deaths, lossy, lossy_and_unordered, shard_down];
    let with_faults = cases.len();
    cases.extend(faults.map(|case| case(effort)));
    let columns = [
        "scenario", "nodes", "demand", "goodput", "bound", "jain", "least", "refills", "busy",
        "queue_ms", "timeouts", "outages",
    ];
    let mut csv = columns.join(",") + "\n";
    text.push_str(
        "| scenario | nodes | demand / quota | goodput, % | bound used, % | Jain's index | least / mean \
         | refills per second | busiest shard, % | longest queue, ms | timeouts | outages |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let (mut series, mut quiet_calls) = (Vec::new(), String::new());
    let outcomes = all_at_once(&cases, |case| fleet::run(&case.scenario));
    for (index, (case, outcome)) in cases.iter().zip(outcomes).enumerate() {
        let cells = cells(case, &outcome);
        csv += &(cells.join(",") + "\n");
        let row = cells.join(" | ");
        let _ = writeln!(text, "| {row} |");
        eprintln!("{row}");
        let name = case.scenario.name;
        wrong.extend(
            failures(case, &outcome)
                .into_iter()
                .map(|failure| format!("{name}: {failure}")),
        );
        if index >= with_faults {
            series.push((name, goodput_of_bins(&case.scenario, &outcome)));
        }
        let quiet = outcome.quiet;
        if quiet.offered > 0 {
            quiet_calls = format!(
                "\nThe quiet nodes beside the hot one made {} calls, of which {} were admitted.\n",
                quiet.offered, quiet.admitted
            );
        }
        if let Some(keyed) = keyed_calls(&case.scenario, &outcome) {
            text.push_str(&keyed);
        }
    }
    text.push_str(&quiet_calls);
    (csv, in_time(&series))
}

/// Runs simulations in threads of their own. Each has its clock and its random numbers.
fn all_at_once<S: Sync, T: Send>(setups: &[S], run: impl Fn(&S) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let run = &run;
        let threads = setups.iter().map(|setup| scope.spawn(move || run(setup)));
        let threads: Vec<_> = threads.collect();
        let results = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        results
            .map(|result| result.expect("the client does not panic"))
            .collect()
    })
}

fn cells(case: &Case, outcome: &Outcome) -> [String; 12] {
    let longest = outcome.loads.iter().map(|load| load.longest_wait).max();
    let longest = Duration::from_nanos(longest.unwrap_or(0));
    [
        case.scenario.name.to_owned(),
        case.scenario.demand.len().to_string(),
        format!("{:.1}", demand(&case.scenario)),
        format!("{:.1}", outcome.goodput),
        format!("{:.1}", outcome.percent_of_capacity),
        format!("{:.4}", outcome.jain),
        format!("{:.2}", outcome.least),
        format!("{:.0}", outcome.refills),
        format!("{:.1}", outcome.busiest),
        format!("{:.1}", longest.as_secs_f64() * 1_000.0),
        outcome.timeouts.to_string(),
        outcome.outages.to_string(),
    ]
}

/// Tells what became of the calls for keys on the shard that could not be reached, and elsewhere.
fn keyed_calls(scenario: &Scenario, outcome: &Outcome) -> Option<String> {
    scenario.keyed?;
    let mut text =
        "\n| calls for keys | offered | admitted | unavailable |\n|---|---|---|---|\n".to_owned();
    for (name, is_down) in [
        ("on the shard that cannot be reached", true),
        ("on the others", false),
    ] {
        let shards = outcome.keyed.iter().enumerate();
        let shards = shards.filter(|(shard, _)| (*shard == outcome.shard_of_bucket) == is_down);
        let mut sum = fleet::Calls::default();
        shards
            .flat_map(|(_, bins)| bins)
            .for_each(|calls| sum.add(*calls));
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} |",
            sum.offered, sum.admitted, sum.unavailable
        );
    }
    Some(text + "\n")
}

/// Writes the goodput of each bin, in a column for each scenario.
fn in_time(series: &[(&str, Vec<f64>)]) -> String {
    let names: Vec<&str> = series.iter().map(|(name, _)| *name).collect();
    let mut csv = format!("ms,{}\n", names.join(","));
    let bins = series.iter().map(|(_, bins)| bins.len()).min().unwrap_or(0);
    for bin in 0..bins {
        let values = series.iter().map(|(_, bins)| format!("{:.1}", bins[bin]));
        let values: Vec<String> = values.collect();
        let _ = writeln!(
            csv,
            "{},{}",
            BIN.as_millis() * bin as u128,
            values.join(",")
        );
    }
    csv
}

/// Refills per second and admissions that `server_time` measured on two cores, clients included.
const MEASURED: [(usize, u64, u64); 5] = [
    (1, 85, 34_993),
    (10, 868, 35_021),
    (100, 8_296, 35_149),
    (500, 20_944, 35_700),
    (1_000, 20_242, 36_211),
];

fn compare_with_record(effort: Effort, text: &mut String) {
    text.push_str(
        "\nThe benchmark `server_time`, simulated, beside what it measured:\n\n\
         | nodes | refills per second | measured | admitted | measured | of a core, % |\n\
         |---|---|---|---|---|---|\n",
    );
    let most = if effort == Effort::Quick {
        10
    } else {
        usize::MAX
    };
    let measured = MEASURED.into_iter().filter(|(nodes, ..)| *nodes <= most);
    let measured: Vec<_> = measured.collect();
    let outcomes = all_at_once(&measured, |(nodes, ..)| contention::run(*nodes));
    for ((nodes, refills, admitted), outcome) in measured.into_iter().zip(outcomes) {
        let _ = writeln!(
            text,
            "| {nodes} | {:.0} | {refills} | {} | {admitted} | {:.0} |",
            outcome.refills, outcome.admitted, outcome.busy
        );
    }
}

const KEYS: usize = 100_000;

fn shares_of_hot_keys(text: &mut String) {
    text.push_str(
        "\nShare of all calls that go to the hottest of 100 000 keys, in percent:\n\n\
         | exponent | hottest | 10 hottest | 100 hottest | 1 000 hottest |\n|---|---|---|---|---|\n",
    );
    for exponent in [1.0, 1.1, 1.2] {
        let zipf = Zipf::new(KEYS, exponent);
        let shares = [1, 10, 100, 1_000].map(|keys| 100.0 * zipf.share_of_hottest(keys));
        let shares = shares.map(|share| format!("{share:.1}"));
        let _ = writeln!(text, "| {exponent} | {} |", shares.join(" | "));
    }
}

/// Compares tables whose hottest keys are leased with one that calls the server for all.
fn leases_for_hot_keys(effort: Effort, text: &mut String, wrong: &mut Vec<String>) -> String {
    text.push_str(
        "\nA table of 100 000 keys, whose hottest keys every node leases:\n\n\
         | nodes | calls per second | quota per key | leased keys | round trips per 1 000 calls \
         | server, us per 1 000 calls | of a core, % | admitted, % | hottest key: of what it may, % \
         | hottest key: Jain's index | keys | bytes |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let columns = [
        "nodes",
        "calls",
        "quota",
        "leased",
        "round_trips",
        "server_us",
        "busy",
        "admitted",
        "hottest",
        "hottest_jain",
        "keys",
        "bytes",
    ];
    let mut csv = columns.join(",") + "\n";
    let setups: &[(usize, u32, u64)] = match effort {
        Effort::Full => &[
            (4, 40_000, 20_000),
            (20, 40_000, 20_000),
            (100, 40_000, 20_000),
            (20, 40_000, 500),
            (20, 40_000, 50),
        ],
        Effort::Quick => &[(4, 2_000, 500)],
    };
    let setups = setups.iter().flat_map(|&(nodes, calls, quota)| {
        [0, 1, 10, 100].map(|leased| HotKeys {
            seed: 1,
            nodes,
            keys: KEYS,
            exponent: 1.1,
            calls: calls.into(),
            quota: Quota::per_second(quota),
            leased,
            warm_up: effort.seconds(2),
            measured: effort.seconds(4),
        })
    });
    let setups: Vec<HotKeys> = setups.collect();
    for (setup, outcome) in setups.iter().zip(all_at_once(&setups, hot_keys::run)) {
        let cells = hot_cells(setup, &outcome);
        if !outcome.hottest_bound_holds {
            wrong.push(format!("the bound is exceeded: {cells:?}"));
        }
        let row = cells.join(" | ");
        eprintln!("{row}");
        let _ = writeln!(text, "| {row} |");
        csv += &(cells.join(",") + "\n");
    }
    csv
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn hot_cells(setup: &HotKeys, outcome: &hot_keys::Outcome) -> [String; 12] {
    let percent = |part: u64, whole: f64| format!("{:.1}", 100.0 * part as f64 / whole);
    [
        setup.nodes.to_string(),
        setup.calls.to_string(),
        setup.quota.rate().to_string(),
        setup.leased.to_string(),
        format!("{:.0}", outcome.round_trips),
        format!("{:.0}", outcome.server_us),
        format!("{:.1}", outcome.busy),
        percent(outcome.admitted, outcome.offered as f64),
        percent(outcome.hottest_admitted, outcome.hottest_could),
        format!("{:.3}", outcome.hottest_jain),
        outcome.size.0.to_string(),
        outcome.size.1.to_string(),
    ]
}
