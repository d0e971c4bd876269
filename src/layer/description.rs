//! The header fields for all limits on a request.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use super::field_values::{list_value, put_limit, put_policy};
use super::response_headers::{HeaderStyle, Headers};
use crate::denied::Denied;
use crate::snapshot::Snapshot;

/// Describes all limits of a request. Most have one, which needs no list.
pub(super) struct Description<'a> {
    style: HeaderStyle,
    name: &'a str,
    describes_all: bool,
    /// The limit that has refused.
    refusal: Option<(Snapshot, Denied)>,
    only: Option<Snapshot>,
    /// How many limits without a name of their own do not limit the request, and came first.
    skipped: u32,
    list: Option<List>,
}

/// The items of several limits.
#[derive(Default)]
struct List {
    policies: Vec<u8>,
    limits: Vec<u8>,
    /// How many limits without a name of their own there were.
    unnamed: u32,
    /// The limit that the fields are about, with its number among the unnamed ones: the tightest
    /// one, or the one that has refused.
    shown: Option<(Snapshot, u32)>,
}

impl<'a> Description<'a> {
    #[inline]
    pub(super) const fn new(
        style: HeaderStyle,
        name: &'a str,
        describes_all: bool,
        refusal: Option<(Snapshot, Denied)>,
    ) -> Self {
        Self {
            style,
            name,
            describes_all,
            refusal,
            only: None,
            skipped: 0,
            list: None,
        }
    }

    #[inline]
    pub(super) fn add(&mut self, snapshot: Option<Snapshot>) {
        match snapshot {
            Some(first) if self.only.is_none() && self.list.is_none() && self.skipped == 0 => {
                self.only = Some(first);
            }
            Some(further) => self.add_to_list(further),
            None => match &mut self.list {
                Some(list) => list.unnamed += 1,
                None => self.skip(),
            },
        }
    }

    #[cold]
    fn skip(&mut self) {
        if let Some(only) = self.only.take() {
            self.add_to_list(only);
        }
        match &mut self.list {
            Some(list) => list.unnamed += 1,
            None => self.skipped += 1,
        }
    }

    #[cold]
    fn add_to_list(&mut self, snapshot: Snapshot) {
        let mut list = self.list.take().unwrap_or_else(|| List {
            unnamed: self.skipped,
            ..List::default()
        });
        for snapshot in self.only.take().into_iter().chain([snapshot]) {
            self.put(&mut list, snapshot);
        }
        self.list = Some(list);
    }

    fn put(&self, list: &mut List, snapshot: Snapshot) {
        list.unnamed += u32::from(snapshot.limit.is_none());
        let number = list.unnamed;
        let mut wait = snapshot.next_permit_in;
        let is_shown = match (&self.refusal, &list.shown) {
            // Of several with the same numbers, it is the one with the same left.
            (Some((refused, denied)), None)
                if refused.is_of_same_limit(&snapshot)
                    && refused.available == snapshot.available =>
            {
                wait = denied.retry_after();
                true
            }
            (Some(_), _) => false,
            (None, Some((tightest, _))) => tightest.tighter(snapshot) != *tightest,
            (None, None) => true,
        };
        if is_shown {
            list.shown = Some((snapshot, number));
        }
        if self.style.is_draft() {
            let name = name_of(&snapshot, self.name, number);
            put_policy(&mut list.policies, &name, &snapshot);
            if self.describes_all {
                put_limit(&mut list.limits, &name, snapshot.available, wait);
            }
        }
    }

    /// Sets the fields, unless there is no limit on the request.
    pub(super) fn set(self, headers: &mut Headers) {
        let denied = self.refusal.map(|(_, denied)| denied);
        let refused = self.refusal.map(|(snapshot, _)| snapshot);
        let Some(list) = self.list else {
            if let Some(snapshot) = refused.or(self.only) {
                headers.set(self.style, self.name, &snapshot, denied);
            }
            return;
        };
        let (shown, number) = match (list.shown, refused) {
            (Some((_, number)), Some(refused)) => (refused, number),
            (Some(shown), None) => shown,
            (None, Some(refused)) => (refused, 1),
            (None, None) => return,
        };
        let name = name_of(&shown, self.name, number);
        headers.set(self.style, &name, &shown, denied);
        if let Some((policies, limits)) = &mut headers.draft {
            *policies = list_value(list.policies);
            if self.describes_all {
                *limits = list_value(list.limits);
            }
        }
    }
}

/// The name of a limit. Of several without one, each has a number, as a client would otherwise take
/// them for one.
fn name_of<'a>(snapshot: &Snapshot, name: &'a str, number: u32) -> Cow<'a, str> {
    match snapshot.limit {
        Some(own) => Cow::Borrowed(own),
        None if number > 1 => Cow::Owned(format!("{name}-{number}")),
        None => Cow::Borrowed(name),
    }
}
