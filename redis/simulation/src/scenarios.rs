//! The scenarios of the record, and what each of them must show.

use std::time::Duration;

use tidegate::Quota;
use tidegate_redis::LeaseOptions;

use crate::figures::percent;
use crate::fleet::{BIN, Calls, Fault, KeyedTraffic, Outcome, Scenario};
use crate::network::Link;

/// How much is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// As in the record.
    Full,
    /// Fewer nodes and less time, to see that it runs.
    Quick,
}

/// A scenario, and what its results must be at least.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is simulated.
    pub scenario: Scenario,
    /// The goodput in percent.
    pub goodput: f64,
    /// Jain's index.
    pub jain: f64,
}

/// What each node is to get per second if all want the same.
const PER_NODE: u64 = 1_000;

impl Effort {
    const fn nodes(self) -> [usize; 3] {
        match self {
            Self::Full => [10, 100, 1_000],
            Self::Quick => [5, 10, 20],
        }
    }

    /// Returns so many seconds, or less.
    pub const fn seconds(self, full: u64) -> Duration {
        match self {
            Self::Full => Duration::from_secs(full),
            Self::Quick => Duration::from_secs(2),
        }
    }
}

/// A fleet in which all nodes want the same.
fn fleet(name: &'static str, nodes: usize, demand: f64, effort: Effort) -> Scenario {
    let quota = PER_NODE * u64::try_from(nodes).expect("few nodes");
    Scenario {
        name,
        seed: 1,
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        demand: vec![demand * PER_NODE as f64; nodes],
        quota: Quota::per_second(quota),
        link: Link::DATA_CENTER,
        // The default.
        timeout: Duration::from_millis(100),
        lease: LeaseOptions::new(),
        shards: 1,
        fault: None,
        keyed: None,
        warm_up: effort.seconds(2),
        measured: effort.seconds(8),
    }
}

/// Fleets of several sizes, whose nodes want half of the quota, all of it, and three times as much.
pub fn sizes(effort: Effort) -> Vec<Case> {
    let mut cases = Vec::new();
    for nodes in effort.nodes() {
        for demand in [0.5, 1.0, 3.0] {
            cases.push(Case {
                scenario: fleet("all alike", nodes, demand, effort),
                goodput: 98.0,
                jain: 0.98,
            });
        }
    }
    cases
}

/// Fleets that keep a server busy, with the default interval between refills and a longer one.
pub fn crowds(effort: Effort) -> Vec<Case> {
    let nodes = effort.nodes()[2];
    let slow = LeaseOptions::new().refill_interval(Duration::from_millis(100));
    let case = |name, nodes, lease, goodput| Case {
        scenario: Scenario {
            lease,
            ..fleet(name, nodes, 1.5, effort)
        },
        goodput,
        jain: 0.9,
    };
    vec![
        case("refills at 100 ms", nodes, slow, 98.0),
        // Each waits for the others: too long, from about 2 200 nodes on.
        Case {
            jain: 0.0,
            ..case("a crowd", 3 * nodes, LeaseOptions::new(), 0.0)
        },
        case("a crowd at 100 ms", 3 * nodes, slow, 98.0),
    ]
}

/// One node that wants the whole quota, beside others that make a call in ten seconds.
pub fn hot_node(effort: Effort) -> Case {
    let nodes = effort.nodes()[1];
    let mut scenario = fleet("one hot node", nodes, 0.0001, effort);
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    {
        scenario.demand[0] = scenario.quota.rate() as f64;
    }
    Case {
        scenario,
        goodput: 98.0,
        jain: 0.98,
    }
}

/// A tenth of the nodes die, and their callers go to the others.
pub fn deaths(effort: Effort) -> Case {
    let nodes = effort.nodes()[2];
    let mut scenario = fleet("a tenth dies", nodes, 1.5, effort);
    scenario.fault = Some(Fault::Deaths {
        at: scenario.warm_up + scenario.measured / 4,
        nodes: nodes / 10,
    });
    Case {
        scenario,
        goodput: 95.0,
        jain: 0.98,
    }
}

/// A twentieth of all packets are lost, and TCP sends them again.
pub fn lossy(effort: Effort) -> Case {
    let mut scenario = fleet("lossy TCP", effort.nodes()[1], 1.5, effort);
    scenario.link = Link::DATA_CENTER.losing(0.05);
    Case {
        scenario,
        goodput: 40.0,
        jain: 0.0,
    }
}

/// The same, with nodes that wait until TCP has sent a packet again.
pub fn lossy_and_patient(effort: Effort) -> Case {
    let mut case = lossy(effort);
    case.scenario.name = "lossy TCP and patient";
    case.scenario.timeout = Duration::from_secs(1);
    case
}

/// A twentieth of all messages are lost for good, and the others overtake each other.
pub fn lossy_and_unordered(effort: Effort) -> Case {
    let nodes = effort.nodes()[1];
    let mut scenario = fleet("lossy and unordered", nodes, 1.5, effort);
    scenario.link = Link::DATA_CENTER
        .unordered(Duration::from_millis(5))
        .losing(0.05);
    Case {
        scenario,
        goodput: 50.0,
        jain: 0.0,
    }
}

/// A cluster of eight shards. The one with the bucket cannot be reached for two seconds, while
/// calls for keys go to all of them.
pub fn shard_down(effort: Effort) -> Case {
    let mut scenario = fleet("shard down", effort.nodes()[1], 1.5, effort);
    scenario.shards = 8;
    scenario.fault = Some(Fault::Outage {
        at: scenario.warm_up + scenario.measured / 4,
        lasts: match effort {
            Effort::Full => Duration::from_secs(2),
            Effort::Quick => Duration::from_millis(500),
        },
    });
    scenario.keyed = Some(KeyedTraffic {
        keys: 10_000,
        calls: 8_000.0,
        quota: Quota::per_minute(600),
    });
    Case {
        scenario,
        goodput: 70.0,
        jain: 0.9,
    }
}

/// Returns the goodput of each bin, in percent of the quota or the demand, whichever is less.
#[expect(clippy::cast_precision_loss, reason = "for people")]
pub fn goodput_of_bins(scenario: &Scenario, outcome: &Outcome) -> Vec<f64> {
    let quota = scenario.quota.rate() as f64 / scenario.quota.period().as_secs_f64();
    let quota = quota * BIN.as_secs_f64();
    let of_bin = |calls: &Calls| percent(calls.admitted as f64, (calls.offered as f64).min(quota));
    outcome.bins.iter().map(of_bin).collect()
}

/// Returns what a case's results lack; nothing if they are as they must be.
pub fn failures(case: &Case, outcome: &Outcome) -> Vec<String> {
    let mut failures = Vec::new();
    if !outcome.bound_holds {
        let percent = outcome.percent_of_capacity;
        failures.push(format!(
            "the bound is exceeded: {percent} % of the capacity"
        ));
    }
    if outcome.goodput < case.goodput {
        let (goodput, least) = (outcome.goodput, case.goodput);
        failures.push(format!("goodput is {goodput} %, less than {least} %"));
    }
    if outcome.jain < case.jain {
        let (jain, least) = (outcome.jain, case.jain);
        failures.push(format!("Jain's index is {jain}, less than {least}"));
    }
    let Calls {
        offered, admitted, ..
    } = outcome.quiet;
    if admitted * 20 < offered * 19 {
        failures.push(format!("quiet nodes got {admitted} of {offered}"));
    }
    failures
}
