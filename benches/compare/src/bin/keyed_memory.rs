//! Measures bytes per key: `keyed_memory [FILE.csv]`.
//!
//! Counts the live bytes of the allocator, from before a limiter is made until it holds its keys.
//! They include its copy of each key, but not the caller's own key, and not the allocator's
//! rounding: glibc uses 48 bytes for a key of 36.

use std::alloc::System;
use std::hash::Hash;
use std::net::Ipv4Addr;
use std::process::ExitCode;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tidegate::{DefaultClock, IpKey};
use tidegate_compare::keyed::{
    KeyLimit, KeyedGate, KeyedVisitor, RateNetKey, for_each_limiter, name,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

const COUNTS: [usize; 3] = [1_000, 100_000, 1_000_000];

/// The measurements, one line each.
struct Memory<K> {
    key: &'static str,
    make: fn(u64) -> K,
    keys: usize,
    csv: String,
}

impl<K> KeyedVisitor<K> for Memory<K> {
    fn visit<G: KeyedGate<K>>(&mut self, name: &str, make: impl Fn() -> G) {
        let before = live();
        let gate = make();
        for number in 0..self.keys as u64 {
            let key = (self.make)(number);
            assert!(gate.spend(&key, KeyLimit::HOUR));
        }
        let bytes = live() - before;
        let per_key = bytes as f64 / self.keys as f64;
        let (key, keys) = (self.key, self.keys);
        println!("{name:<24} {key:<12} {keys:>9} {per_key:>10.1}");
        self.csv += &format!("\"{name}\",{key},{keys},{bytes},{per_key:.2}\n");
        drop(gate);
    }
}

fn measure<K>(key: &'static str, make: fn(u64) -> K, csv: &mut String)
where
    K: Clone + Eq + Hash + Send + Sync + RateNetKey + 'static,
{
    for keys in COUNTS {
        let mut memory = Memory {
            key,
            make,
            keys,
            csv: std::mem::take(csv),
        };
        for_each_limiter(KeyLimit::PLENTY, keys, &mut memory);
        *csv = memory.csv;
    }
}

fn main() -> ExitCode {
    // The clock keeps what it allocates.
    DefaultClock::calibrate();
    let mut csv = String::from("limiter,key,keys,bytes,bytes_per_key\n");
    println!(
        "{:<24} {:<12} {:>9} {:>10}",
        "limiter", "key", "keys", "bytes/key"
    );
    measure("String(36)", name, &mut csv);
    measure("u64", |number| number, &mut csv);
    let address = |number| IpKey::from(Ipv4Addr::from_bits(number as u32));
    measure("IpKey", address, &mut csv);
    if let Some(file) = std::env::args_os().nth(1)
        && let Err(error) = std::fs::write(&file, csv)
    {
        eprintln!("{}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
