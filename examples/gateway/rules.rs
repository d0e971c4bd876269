//! The limits of routes.

use std::fmt;
use std::time::Duration;

use tidegate::SlidingWindow;

/// At most `limit` requests for a route in any interval of `window`.
pub(crate) struct Rule {
    /// A path, except for the last rule.
    pub(crate) name: &'static str,
    pub(crate) limit: u64,
    pub(crate) window: Duration,
}

/// The last is for every path that the others do not name, so that nobody gets around the limits by inventing paths.
pub(crate) const RULES: [Rule; 4] = [
    Rule::new("/", 400, Duration::from_secs(1)),
    Rule::new("/search", 150, Duration::from_secs(1)),
    Rule::new("/upload", 20, Duration::from_secs(2)),
    Rule::new("unknown", 50, Duration::from_secs(1)),
];

impl Rule {
    const fn new(name: &'static str, limit: u64, window: Duration) -> Self {
        Self {
            name,
            limit,
            window,
        }
    }

    pub(crate) fn window(&self) -> SlidingWindow {
        SlidingWindow::new(self.limit, self.window).expect("the rules are valid")
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in any {:?}", self.limit, self.window)
    }
}
