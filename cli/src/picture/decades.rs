//! A logarithmic scale of shares, from a power of ten to another.

/// The powers of ten between which shares are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decades {
    /// The exponent at the top, 0 for 100%.
    top: i32,
    /// The exponent at the bottom, below the top.
    bottom: i32,
}

/// Smaller shares are drawn at the bottom: one in a million.
const LOWEST: i32 = -6;

impl Decades {
    /// The powers of ten around all shares above zero; `None` without any.
    pub fn new(shares: impl Iterator<Item = f64>) -> Option<Self> {
        let exponents = shares.filter(|share| *share > 0.0).map(f64::log10);
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for exponent in exponents {
            least = least.min(exponent);
            most = most.max(exponent);
        }
        if !least.is_finite() {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "between -20 and 0")]
        let [top, bottom] = [most.ceil() as i32, least.floor() as i32];
        let top = top.clamp(LOWEST + 1, 0);
        let bottom = bottom.clamp(LOWEST, top - 1);
        Some(Self { top, bottom })
    }

    /// The number of powers of ten between the ends.
    pub const fn count(&self) -> usize {
        self.top.abs_diff(self.bottom) as usize
    }

    /// The place of a share above zero: 0 at the bottom, 1 at the top.
    pub fn position(&self, share: f64) -> f64 {
        let (top, bottom) = (f64::from(self.top), f64::from(self.bottom));
        ((share.log10() - bottom) / (top - bottom)).clamp(0.0, 1.0)
    }

    /// The share at a line, counted from the top: `10%`.
    pub fn label(&self, line: usize) -> String {
        let exponent = self.top - i32::try_from(line).unwrap_or(0) + 2;
        let places = usize::try_from(-exponent).unwrap_or(0);
        format!("{:.places$}%", 10_f64.powi(exponent))
    }
}

#[cfg(test)]
mod tests {
    use super::Decades;

    #[test]
    fn scales_enclose_the_shares() {
        let decades = Decades::new([0.2, 0.004, 0.0].into_iter()).unwrap();
        let labels = [0, 1, 2, 3].map(|line| decades.label(line));
        assert_eq!(labels, ["100%", "10%", "1%", "0.1%"]);
        assert_eq!(decades.count(), 3);
        assert!((decades.position(0.1) - 2.0 / 3.0).abs() < 1e-9);
        let one = Decades::new([1.0].into_iter()).unwrap();
        assert_eq!((one.count(), one.label(1)), (1, "10%".to_owned()));
        let tiny = Decades::new([1e-9].into_iter()).unwrap();
        assert_eq!((tiny.count(), tiny.label(1)), (1, "0.0001%".to_owned()));
        assert_eq!(Decades::new([0.0].into_iter()), None);
    }
}
