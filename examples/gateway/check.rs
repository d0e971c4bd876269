//! A claim that is checked at the end of a run.

use std::fmt;

/// A claim, and what speaks against it.
pub(crate) struct Check {
    pub(crate) claim: &'static str,
    pub(crate) objections: Vec<String>,
}

impl Check {
    pub(crate) fn passed(&self) -> bool {
        self.objections.is_empty()
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed() { "ok" } else { "FAILED" };
        writeln!(f, "{verdict:<8}{}", self.claim)?;
        for objection in &self.objections {
            writeln!(f, "{:8}- {objection}", "")?;
        }
        Ok(())
    }
}
