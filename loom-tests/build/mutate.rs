//! Edits in place: each becomes a choice at run time.

use std::cmp::Reverse;
use std::ops::Range;

use super::code::Code;
use super::edits::Edit;

/// A source text as it is compiled into module `root` of the models' crate, with all edits of it.
pub fn mutate(text: &str, root: &str, edits: Vec<Edit>) -> String {
    let text = in_module(text, root);
    let code = Code::of(&text);
    let mut plain = Vec::new();
    let mut found: Vec<(Range<usize>, Edit)> = Vec::new();
    for mut edit in edits {
        edit.find = in_module(&edit.find, root);
        edit.replace = in_module(&edit.replace, root);
        let functions = code.functions(&text, &edit.function);
        let mut places = functions.iter().flat_map(|function| {
            let matches = code.find(&text, &edit.find, function);
            matches.into_iter().map(move |place| (function, place))
        });
        let (function, place) = match (places.next(), places.count()) {
            (Some(only), 0) => only,
            (first, others) => {
                super::error(&format!(
                    "mutant {}: {} matches, not one, in `fn {}` of {}, of `{}`",
                    edit.mutant,
                    others + usize::from(first.is_some()),
                    edit.function,
                    edit.file,
                    edit.find.split_whitespace().collect::<Vec<_>>().join(" ")
                ));
                continue;
            }
        };
        // The choice is no constant expression.
        let before = text[..function.start].trim_end();
        if before.ends_with("const") {
            plain.push(before.len() - "const".len()..before.len());
        }
        found.push((place, edit));
    }
    found.sort_by_key(|(place, _)| (place.start, Reverse(place.end)));
    plain.sort_by_key(|place| place.start);
    plain.dedup();
    let mut places = found
        .iter()
        .map(|(place, edit)| (place.clone(), Some(edit)))
        .collect::<Vec<_>>();
    places.extend(plain.into_iter().map(|place| (place, None)));
    places.sort_by_key(|(place, _)| (place.start, Reverse(place.end)));
    with_choices(&text, 0..text.len(), &places)
}

/// Rewrites paths that begin at the crate's root, and leaves out what the root file cannot have once it is included: attributes of
/// the crate, lints, and the crate's own tests.
fn in_module(text: &str, root: &str) -> String {
    let mut result = String::new();
    for line in text.split_inclusive('\n') {
        let is_of_crate = ["#![no_std]", "#![cfg_attr", "#![deny", "//!"];
        if is_of_crate.iter().any(|start| line.starts_with(start)) {
            continue;
        }
        let line = line.replace("#[cfg(test)]", "#[cfg(any())]");
        for (index, part) in line.split("crate::").enumerate() {
            if index > 0 {
                let is_word = result.ends_with(|last: char| last.is_alphanumeric() || last == '_');
                result += if is_word { "crate::" } else { "crate::ROOT::" };
            }
            result += part;
        }
    }
    result.replace("crate::ROOT::", &format!("crate::{root}::"))
}

/// A range of the text with the edits inside it, which are sorted, the outermost first. `None` leaves a range out.
fn with_choices(
    text: &str,
    range: Range<usize>,
    mut places: &[(Range<usize>, Option<&Edit>)],
) -> String {
    let mut result = String::new();
    let mut from = range.start;
    while let Some((place, edit)) = places.first() {
        let inside = places
            .iter()
            .take_while(|(other, _)| other.start < place.end)
            .count();
        let (here, rest) = places.split_at(inside);
        places = rest;
        result += &text[from..place.start];
        from = place.end;
        if let Some(edit) = edit {
            let last = &here[here.len() - 1].0;
            assert!(
                last.end <= place.end,
                "mutant {}: overlaps with another",
                edit.mutant
            );
            let shipped = with_choices(text, place.clone(), &here[1..]);
            result += &choice(edit, &shipped);
        }
    }
    result + &text[from..range.end]
}

fn choice(edit: &Edit, shipped: &str) -> String {
    let Edit {
        mutant,
        bindings,
        find,
        replace,
        ..
    } = edit;
    if let Some(bindings) = bindings {
        return format!(
            "let {bindings} = if crate::mutant::is({mutant:?}) {{ {replace} {bindings} }} else {{ {shipped} {bindings} }};"
        );
    }
    let choice = format!("if crate::mutant::is({mutant:?}) {{ {replace} }} else {{ {shipped} }}");
    if find.trim_end().ends_with([';', '}']) {
        choice
    } else {
        format!("({choice})")
    }
}
