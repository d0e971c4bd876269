//! Numbers that people write into configuration files.

/// The leading digits of round numbers.
const ROUND: [u64; 4] = [10, 20, 30, 50];
/// The leading digits of the points of a curve: at most a third apart.
const FINE: [u64; 10] = [10, 12, 15, 20, 25, 30, 40, 50, 60, 80];

/// All whole numbers with these two leading digits, in ascending order.
fn series(digits: &'static [u64]) -> impl Iterator<Item = u64> {
    (0..20).flat_map(|power| {
        digits.iter().filter_map(move |digits| {
            let number = digits.checked_mul(10_u64.checked_pow(power)?)?;
            number.is_multiple_of(10).then_some(number / 10)
        })
    })
}

/// Round numbers: 1, 2, 3 and 5, with zeros.
pub fn rounds() -> impl Iterator<Item = u64> {
    series(&ROUND)
}

/// Ten numbers per power of ten.
pub fn fine() -> impl Iterator<Item = u64> {
    series(&FINE)
}

#[cfg(test)]
mod tests {
    use super::{fine, rounds};

    #[test]
    fn series_ascend() {
        let first: Vec<u64> = rounds().take(10).collect();
        assert_eq!(first, [1, 2, 3, 5, 10, 20, 30, 50, 100, 200]);
        let first: Vec<u64> = fine().take(9).collect();
        assert_eq!(first, [1, 2, 3, 4, 5, 6, 8, 10, 12]);
        for series in [rounds().collect::<Vec<_>>(), fine().collect()] {
            assert!(series.is_sorted() && series.last() >= Some(&10_u64.pow(18)));
        }
    }
}
