//! Edits in place: each becomes a choice at run time.

use std::cmp::Reverse;
use std::ops::Range;

use super::code::Code;
use super::edits::Edit;
use super::error;

/// A range of a source text, and the edit that replaces it. Without an edit the range is left out.
struct Place<'a> {
    range: Range<usize>,
    edit: Option<&'a Edit>,
}

/// Returns a source text as it is compiled into module `root` of the models' crate, with all edits
/// of it.
pub fn mutate(text: &str, root: &str, edits: &mut [Edit]) -> String {
    let text = in_module(text, root);
    for edit in &mut *edits {
        edit.find = in_module(&edit.find, root);
        edit.replace = in_module(&edit.replace, root);
    }
    let code = Code::of(&text);
    let mut places = Vec::new();
    for edit in &*edits {
        let functions = code.functions(&edit.function);
        let matches = functions.iter().flat_map(|function| {
            let ranges = code.find(&edit.find, function).into_iter();
            ranges.map(|range| (function.start, range))
        });
        let [(function, ref range)] = matches.collect::<Vec<_>>()[..] else {
            let function = &edit.function;
            let find: Vec<_> = edit.find.split_whitespace().collect();
            error(&format!(
                "mutant {}: `{}` does not occur exactly once in `fn {function}` of {}",
                edit.mutant,
                find.join(" "),
                edit.file
            ));
            continue;
        };
        places.push(Place {
            range: range.clone(),
            edit: Some(edit),
        });
        // A choice is no constant expression.
        if let Some(before) = text[..function].trim_end().strip_suffix("const") {
            places.push(Place {
                range: before.len()..function,
                edit: None,
            });
        }
    }
    places.sort_by_key(|place| (place.range.start, Reverse(place.range.end)));
    places.dedup_by(|a, b| a.edit.is_none() && b.edit.is_none() && a.range == b.range);
    with_choices(&text, 0..text.len(), &places)
}

/// Rewrites paths that begin at the crate's root, and leaves out what an included root file cannot
/// have (documentation and attributes of the crate), lints, and the crate's own tests.
fn in_module(text: &str, root: &str) -> String {
    let mut result = String::new();
    let mut is_left_out = false;
    for line in text.split_inclusive('\n') {
        let starts = ["#![no_std]", "#![cfg_attr", "#![deny"];
        is_left_out |= starts.iter().any(|start| line.starts_with(start));
        if is_left_out || line.starts_with("//!") {
            // An attribute may take several lines.
            is_left_out &= !line.trim_end().ends_with(']');
            continue;
        }
        let line = line.replace("#[cfg(test)]", "#[cfg(any())]");
        for (index, part) in line.split("crate::").enumerate() {
            if index > 0 {
                let is_word = result.ends_with(|last: char| last.is_alphanumeric() || last == '_');
                result += "crate::";
                if !is_word {
                    result += root;
                    result += "::";
                }
            }
            result += part;
        }
    }
    result
}

/// Returns a range of the text with the places inside it, which are sorted, outer ones before inner
/// ones.
fn with_choices(text: &str, range: Range<usize>, mut places: &[Place<'_>]) -> String {
    let mut result = String::new();
    let mut from = range.start;
    while let Some((Place { range, edit }, rest)) = places.split_first() {
        let inside = rest
            .iter()
            .take_while(|place| place.range.start < range.end);
        let (inside, rest) = rest.split_at(inside.count());
        places = rest;
        result += &text[from..range.start];
        from = range.end;
        if let Some(edit) = edit {
            if inside.iter().any(|place| place.range.end > range.end) {
                error(&format!("mutant {}: overlaps with another", edit.mutant));
            }
            result += &choice(edit, &with_choices(text, range.clone(), inside));
        }
    }
    result + &text[from..range.end]
}

fn choice(edit: &Edit, shipped: &str) -> String {
    let (mutant, replace) = (&edit.mutant, &edit.replace);
    let choose = format!("if crate::mutant::is({mutant:?})");
    if let Some(names) = &edit.bindings {
        return format!(
            "let {names} = {choose} {{ {replace} {names} }} else {{ {shipped} {names} }};"
        );
    }
    let choice = format!("{choose} {{ {replace} }} else {{ {shipped} }}");
    if edit.find.trim_end().ends_with([';', '}']) {
        choice
    } else {
        format!("({choice})")
    }
}
