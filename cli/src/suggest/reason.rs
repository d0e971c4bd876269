//! Says why a limit is recommended.

use super::suggestions::{Choice, Suggestions};
use crate::picture::noun::{asked, noun, nouns};
use crate::picture::numbers::{counted, grouped, plain};

/// Says that the log is too short for the recommended limit, if it is.
pub fn too_short(found: &Suggestions) -> Option<String> {
    let period = found.period.filter(|period| found.span < *period)?;
    Some(format!(
        "The log spans only {} s, less than the {} s of this limit's period: a longer log may need \
         another limit.",
        plain(found.span),
        plain(period)
    ))
}

/// The reason, as a sentence with the targets.
pub fn reason(found: &Suggestions, recommended: &Choice) -> String {
    let requests = found.target.zip(found.refuse_at_most.as_ref());
    let requests = requests
        .map(|(target, share)| format!("refuse at most {} ({share})", counted(target, "request")));
    let keys = found.clients_target.zip(found.clients_at_most.as_ref());
    let keys = keys.map(|(target, share)| {
        let nouns = if target == 1 {
            noun(&found.by)
        } else {
            nouns(&found.by)
        };
        format!("hit at most {} {nouns} ({share})", grouped(target))
    });
    let targets: Vec<String> = requests.into_iter().chain(keys).collect();
    format!(
        "Of the round limits that {}, it lets through the least in any minute: {}{}.",
        targets.join(" and "),
        asked(recommended.max_per_minute, found.cost.as_deref()),
        match noun(&found.by) {
            _ if found.by == "none" => String::new(),
            noun => format!(" of one {noun}"),
        }
    )
}
