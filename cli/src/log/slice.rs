//! Chooses which requests count, and for which key.
//!
//! What is not a part of the key is read by parsers of its own, which group by it. So each property
//! is found in every format in which it could be a key, and a replay that needs none of them does
//! not pay for them.

mod args;
mod property;
mod template;

use memchr::memmem::Finder;

use super::Event;
use super::event_parser::{EventParser, FileState};
use super::group_by::GroupBy;
use super::interner::KeyInterner;
pub use args::SliceArgs;
use property::Property;
pub use property::StatusPattern;
use template::Templates;

use crate::failure::Failure;
use crate::values::pattern::Pattern;

/// What a slice remembers of one file.
#[derive(Debug, Default)]
pub struct SliceState {
    states: Vec<FileState>,
}

impl SliceState {
    fn of(&mut self, number: usize) -> &mut FileState {
        while self.states.len() <= number {
            self.states.push(FileState::default());
        }
        &mut self.states[number]
    }
}

/// Decides which requests count, and completes their keys.
#[derive(Debug)]
pub struct Slice {
    /// Nothing but answers of 429 is to be found.
    is_plain: bool,
    too_many: Finder<'static>,
    status: Property,
    filters: Vec<Property>,
    /// The parts of a key after the first.
    parts: Vec<Property>,
    templates: Templates,
    separator: char,
    /// Whether a part of a key after the first may be missing. Then it is empty.
    keeps_incomplete: bool,
    /// The field with costs, and what they are divided by.
    cost: Option<(Property, u64)>,
    /// Whether a line had the field, and whether it was a number there.
    found_cost: [bool; 2],
    /// Whether the first, and which of the other parts, are paths.
    is_path: Vec<bool>,
    only: Vec<Pattern>,
    except: Vec<Pattern>,
    /// Whether the key with this number counts; `None` if that is not known yet.
    counts: Vec<Option<bool>>,
    from: u64,
    until: u64,
    /// The final keys, if they differ from those that were parsed.
    keys: Option<KeyInterner>,
    /// Requests that do not count.
    pub left_out: u64,
    /// Requests that were answered 429, of those that count.
    pub answered_429: u64,
}

/// The parts of a kind of key: `ip,path` has two.
///
/// # Errors
///
/// If a part is empty.
pub fn parts_of(by: &GroupBy) -> Result<Vec<GroupBy>, &'static str> {
    match by {
        GroupBy::Field(text) if text.contains(',') => {
            text.split(',').map(|part| part.trim().parse()).collect()
        }
        by => Ok(vec![by.clone()]),
    }
}

impl Slice {
    /// Chooses by these arguments. `time` reads the limits of time.
    ///
    /// # Errors
    ///
    /// If a time or a part of the key cannot be read.
    pub fn new(
        args: &SliceArgs,
        by: &GroupBy,
        new_parser: impl Fn(GroupBy) -> EventParser,
        mut time: impl FnMut(&str) -> Option<u64>,
    ) -> Result<Self, Failure> {
        let usage = |text: &str| Failure::Usage(text.to_owned());
        let mut limit = |text: &Option<String>, default| match text {
            None => Ok(default),
            Some(text) => time(text).ok_or_else(|| {
                usage(&format!(
                    "`{text}`: expected a time such as `2015-05-17T10:00:00Z`"
                ))
            }),
        };
        let (from, until) = (limit(&args.from, 0)?, limit(&args.until, u64::MAX)?);
        if from >= until {
            return Err(usage("--from is not before --until, so no request counts"));
        }
        let by = parts_of(by).map_err(usage)?;
        let is_path: Vec<bool> = by.iter().map(|by| *by == GroupBy::Path).collect();
        if (args.templates || !args.template.is_empty()) && !is_path.contains(&true) {
            return Err(usage("--templates and --template need `--by path`"));
        }
        if let Some(wrong) = args
            .template
            .iter()
            .find(|text| !template::is_possible(text))
        {
            return Err(usage(&format!(
                "`{wrong}`: no path fits this template. It begins with `/` or `*`, and has neither \
                 `?` nor a `*` before its end"
            )));
        }
        let parts = by.iter().skip(1);
        let field = |name: &str| GroupBy::Field(name.to_owned());
        let property = |by: GroupBy| Property::new(new_parser(by));
        let parts: Vec<Property> = parts.map(|by| property(by.clone())).collect();
        let mut filters = Vec::new();
        if !args.status.is_empty() || !args.not_status.is_empty() {
            filters.push(property(field("status")).status(&args.status, &args.not_status));
        }
        if !args.method.is_empty() {
            filters.push(property(field("method")).method(&args.method));
        }
        if !args.path.is_empty() || !args.not_path.is_empty() {
            filters.push(property(GroupBy::Path).path(&args.path, &args.not_path));
        }
        let templates = Templates::new(args.templates, &args.template);
        let is_templated = templates.is_any() && is_path.contains(&true);
        let is_limited = args.from.is_some() || args.until.is_some();
        let has_keys = !args.only.is_empty() || !args.except.is_empty();
        let cost = args
            .cost
            .as_ref()
            .map(|name| (property(field(name)), args.cost_unit.get()));
        let changes_keys = !parts.is_empty() || is_templated;
        Ok(Self {
            is_plain: filters.is_empty()
                && !changes_keys
                && !is_limited
                && !has_keys
                && cost.is_none(),
            too_many: Finder::new("429"),
            status: property(field("status")),
            filters,
            parts,
            templates,
            separator: args.separator.unwrap_or(' '),
            keeps_incomplete: args.separator.is_some(),
            cost,
            found_cost: [false; 2],
            is_path,
            only: args.only.clone(),
            except: args.except.clone(),
            counts: Vec::new(),
            from,
            until,
            keys: changes_keys.then(KeyInterner::default),
            left_out: 0,
            answered_429: 0,
        })
    }

    /// Returns the event of a line, with its final key, if it counts. `keys` are those of parsed
    /// events.
    #[inline]
    pub fn apply(
        &mut self,
        line: &[u8],
        event: Event,
        file: &mut SliceState,
        keys: &KeyInterner,
    ) -> Option<Event> {
        if self.is_plain {
            self.count_429(line, file);
            return Some(event);
        }
        let sliced = self.slice(line, event, file, keys);
        match sliced {
            Some(_) => self.count_429(line, file),
            None => self.left_out += 1,
        }
        sliced
    }

    /// Most lines do not even have the digits.
    #[inline]
    fn count_429(&mut self, line: &[u8], file: &mut SliceState) {
        if self.too_many.find(line).is_some() && self.status.text(line, file.of(0)) == Some("429") {
            self.answered_429 += 1;
        }
    }

    fn slice(
        &mut self,
        line: &[u8],
        event: Event,
        file: &mut SliceState,
        keys: &KeyInterner,
    ) -> Option<Event> {
        if event.time < self.from || event.time >= self.until || !self.counts(event.key, keys) {
            return None;
        }
        let filters = self.filters.iter_mut().zip(1..);
        for (filter, number) in filters {
            if !filter.keeps(line, file.of(number)) {
                return None;
            }
        }
        let cost = self.cost(line, event, file)?;
        let event = Event { cost, ..event };
        let Some(finals) = &mut self.keys else {
            return Some(event);
        };
        let first = keys.text(event.key);
        let is_path = self.is_path.first() == Some(&true);
        let mut text = self.templates.apply(&first, is_path).into_owned();
        let after = 1 + self.filters.len();
        for (at, part) in self.parts.iter_mut().enumerate() {
            let part = match part.text(line, file.of(after + at)) {
                None if self.keeps_incomplete => "",
                part => part?,
            };
            let is_path = self.is_path.get(at + 1) == Some(&true);
            text.push(self.separator);
            text += &self.templates.apply(part, is_path);
        }
        let key = finals.intern(text.as_bytes())?;
        Some(Event { key, ..event })
    }

    /// The cost of a request; `None` if the field is not a number.
    fn cost(&mut self, line: &[u8], event: Event, file: &mut SliceState) -> Option<u32> {
        let Some((property, unit)) = &mut self.cost else {
            return Some(event.cost);
        };
        let number = 1 + self.filters.len() + self.parts.len();
        let Some(text) = property.text(line, file.of(number)) else {
            return Some(0);
        };
        self.found_cost[0] = true;
        // Some programs write whole numbers as `12.0`.
        let whole = text.strip_suffix(".0").unwrap_or(text);
        let cost = whole.parse::<u64>().ok()?.div_ceil(*unit);
        self.found_cost[1] = true;
        Some(u32::try_from(cost).unwrap_or(u32::MAX))
    }

    /// Whether a key counts.
    fn counts(&mut self, key: u32, keys: &KeyInterner) -> bool {
        if self.only.is_empty() && self.except.is_empty() {
            return true;
        }
        let index = key as usize;
        if self.counts.len() <= index {
            self.counts.resize(index + 1, None);
        }
        *self.counts[index].get_or_insert_with(|| {
            let text = keys.text(key);
            let fits = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.fits(&text));
            (self.only.is_empty() || fits(&self.only)) && !fits(&self.except)
        })
    }

    /// Why all costs would be wrong, if they would.
    pub const fn no_cost(&self) -> Option<&'static str> {
        match (&self.cost, self.found_cost) {
            (None, _) | (_, [_, true]) => None,
            (_, [true, false]) => Some("is a whole number in no line"),
            (_, [false, _]) => Some("has a value in no line"),
        }
    }

    /// The fields of the log, for a message about that with costs.
    pub fn cost_advice(&self) -> String {
        let cost = self.cost.as_ref();
        cost.map_or_else(String::new, |(cost, _)| {
            cost.advice("--cost FIELD names the field with the cost")
        })
    }

    /// Takes a line that is no request: the columns of those that follow, or a part of one.
    #[cold]
    pub fn skip(&mut self, line: &[u8], file: &mut SliceState) {
        let all = std::iter::once(&mut self.status).chain(&mut self.filters);
        let all = all.chain(&mut self.parts);
        let all = all.chain(self.cost.as_mut().map(|(cost, _)| cost));
        for (number, property) in all.enumerate() {
            property.text(line, file.of(number));
        }
    }

    /// Why the filters say nothing about this log.
    pub fn objection(&self) -> Option<String> {
        self.filters.iter().find_map(Property::objection)
    }

    /// What became of lines that the filters could not test.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.filters.iter().filter_map(Property::warning)
    }

    /// Takes the final keys, if they differ from those that were parsed.
    pub const fn take_keys(&mut self) -> Option<KeyInterner> {
        self.keys.take()
    }
}
