//! Collects a number per round, of each limiter in each case.

use std::io;

use crate::figures::median;
use crate::suite::bold;
use crate::suite::report::{Report, number, pivot};

/// The numbers of all rounds, in the order of their first round.
#[derive(Default)]
pub(super) struct Results(Vec<Result>);

struct Result {
    limiter: String,
    case: String,
    rounds: Vec<f64>,
}

impl Results {
    pub(super) fn add(&mut self, limiter: &str, case: &str, result: f64) {
        let mut known = self.0.iter_mut();
        match known.find(|known| known.limiter == limiter && known.case == case) {
            Some(known) => known.rounds.push(result),
            None => self.0.push(Result {
                limiter: limiter.to_owned(),
                case: case.to_owned(),
                rounds: vec![result],
            }),
        }
    }

    /// Writes `name.csv` with median, least and most of the rounds, and a table of the medians
    /// with a row per limiter and a column per case.
    pub(super) fn write(
        &self,
        report: &Report,
        (name, case, digits): (&str, &str, usize),
        title: &str,
        text: &str,
    ) -> io::Result<()> {
        let header = format!("limiter,{case},median,least,most");
        report.csv(name, &header, &self.rows(digits))?;
        let cell = |result: &Result| {
            let cell = number(median(&result.rounds), digits);
            (bold(&result.limiter), result.case.clone(), cell)
        };
        let cells: Vec<_> = self.0.iter().map(cell).collect();
        let (head, rows) = pivot("limiter", &cells);
        report.markdown(title, text, &head, &rows);
        Ok(())
    }

    fn rows(&self, digits: usize) -> Vec<Vec<String>> {
        let row = |result: &Result| {
            let rounds = || result.rounds.iter().copied();
            let least = rounds().fold(f64::INFINITY, f64::min);
            let most = rounds().fold(f64::NEG_INFINITY, f64::max);
            let numbers = [median(&result.rounds), least, most];
            let names = [result.limiter.clone(), result.case.clone()].into_iter();
            let numbers = numbers.map(|value| number(value, digits));
            names.chain(numbers).collect()
        };
        self.0.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Results;

    #[test]
    fn rounds_become_a_median_and_a_range() {
        let mut results = Results::default();
        for (limiter, result) in [("a", 3.0), ("b", 7.0), ("a", 1.0), ("a", 2.0)] {
            results.add(limiter, "x", result);
        }
        let rows = results.rows(1);
        assert_eq!(rows[0], ["a", "x", "2.0", "1.0", "3.0"]);
        assert_eq!(rows[1], ["b", "x", "7.0", "7.0", "7.0"]);
    }
}
