//! The sentence that comes first: how many clients would have noticed a limit.

use super::noun::{noun, nouns};
use super::numbers::{grouped, percent};

/// What a limit refuses, of how much.
#[derive(Clone, Copy, Debug)]
pub struct Noticed<'a> {
    /// What requests are grouped by.
    pub by: &'a str,
    /// The number of requests.
    pub requests: u64,
    /// The number of refused requests.
    pub refused: u64,
    /// The number of keys.
    pub keys: u64,
    /// The number of keys with a refused request.
    pub keys_refused: u64,
}

impl Noticed<'_> {
    /// `9 of 1,753 clients (0.51%) would have noticed: 21 of 10,000 requests refused (0.21%).`
    pub fn sentence(self) -> String {
        if self.requests == 0 {
            return "There was no request.".to_owned();
        }
        let requests = format!(
            "{} of {} requests refused ({})",
            grouped(self.refused),
            grouped(self.requests),
            percent(self.refused, self.requests)
        );
        // One limit for all requests has no clients to count.
        if self.by == "none" {
            return format!("{requests}.");
        }
        // Paths and agents notice nothing.
        let noticed = match noun(self.by) {
            "client" | "user" => "would have noticed",
            _ => "would have been limited",
        };
        let nouns = nouns(self.by);
        let keys = grouped(self.keys);
        if self.refused == 0 {
            let requests = grouped(self.requests);
            return format!("None of {keys} {nouns} {noticed}: all {requests} requests admitted.");
        }
        format!(
            "{} of {keys} {nouns} ({}) {noticed}: {requests}.",
            grouped(self.keys_refused),
            percent(self.keys_refused, self.keys)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Noticed;

    #[test]
    fn sentences() {
        let noticed = Noticed {
            by: "ip",
            requests: 10_000,
            refused: 21,
            keys: 1_753,
            keys_refused: 9,
        };
        assert_eq!(
            noticed.sentence(),
            "9 of 1,753 clients (0.51%) would have noticed: 21 of 10,000 requests refused (0.21%)."
        );
        let by_path = Noticed {
            by: "path",
            refused: 0,
            ..noticed
        };
        assert_eq!(
            by_path.sentence(),
            "None of 1,753 paths would have been limited: all 10,000 requests admitted."
        );
        let all = Noticed {
            by: "none",
            ..noticed
        };
        assert_eq!(all.sentence(), "21 of 10,000 requests refused (0.21%).");
        let none = Noticed {
            requests: 0,
            ..noticed
        };
        assert_eq!(none.sentence(), "There was no request.");
    }
}
