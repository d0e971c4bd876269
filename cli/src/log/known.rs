//! Formats with fixed places that are recognized without an option.

use super::address;
use super::fields::{Found, WantedFields};
use super::layout::LayoutReader;
use super::notation::Notation;
use super::prefix::is_iso_time;

/// A known format.
struct KnownFormat {
    name: &'static str,
    /// The format in the notation of nginx or GoAccess. What follows the last field may be missing.
    notation: &'static str,
    /// Whether a line has this format.
    is_it: fn(&[u8]) -> bool,
}

/// The formats, from the documentation of their authors.
const FORMATS: [KnownFormat; 8] = [
    KnownFormat {
        name: "AWS application load balancer",
        notation: "$type $response_time $elb $client_addr $target $d1 $d2 $d3 $status $target_status \
                   $received $bytes \"$request\" \"$agent\" $cipher $tls $group \"$trace\" \
                   \"$host\" \"$certificate\" $rule $start_time \"",
        is_it: |line| {
            let types = [&b"http"[..], b"https", b"h2", b"grpcs", b"ws", b"wss"];
            types.contains(&word(line, 0)) && is_iso_time(word(line, 1))
        },
    },
    KnownFormat {
        name: "AWS network load balancer",
        notation: "tls $version $time $elb $listener $client_addr $target $duration ",
        is_it: |line| word(line, 0) == b"tls" && is_iso_time(word(line, 2)),
    },
    KnownFormat {
        name: "AWS classic load balancer",
        notation: "$time $elb $client_addr $target $d1 $d2 $d3 $status $target_status $received \
                   $bytes \"$request\" \"$agent\" ",
        is_it: |line| is_iso_time(word(line, 0)) && address::parse(word(line, 2)).is_some(),
    },
    KnownFormat {
        name: "Amazon S3",
        notation: "$owner $bucket [$time] $client_addr $requester $id $operation $object \
                   \"$request\" $status $error $bytes $size $total $turnaround \"$referer\" \
                   \"$agent\"",
        is_it: |line| {
            let client = word(after(line, b"] "), 0);
            word(line, 2).starts_with(b"[")
                && !word(line, 0).is_empty()
                && (client == b"-" || address::parse(client).is_some())
        },
    },
    KnownFormat {
        name: "Envoy",
        notation: "[$start_time] \"$request\" $status $flags $received $bytes $duration $upstream \
                   \"$x_forwarded_for\" \"$agent\" \"$id\" \"$host\" \"$target\"",
        is_it: |line| envoy_words(line) == Some(6),
    },
    KnownFormat {
        name: "Istio",
        notation: "[$start_time] \"$request\" $status $flags $details $termination \"$failure\" \
                   $received $bytes $duration $upstream \"$x_forwarded_for\" \"$agent\" \"$id\" \
                   \"$host\" \"$target\" $cluster $upstream_local $local $downstream_remote_address ",
        is_it: |line| envoy_words(line) == Some(4),
    },
    KnownFormat {
        name: "Squid",
        notation: "%x %~%L %h %^/%s %b %m %U %e ",
        is_it: |line| {
            let result = line
                .split(|byte| *byte == b' ')
                .find(|word| word.contains(&b'/'));
            let is_result = |word: &[u8]| word.starts_with(b"TCP_") || word.starts_with(b"UDP_");
            line.first().is_some_and(u8::is_ascii_digit) && result.is_some_and(is_result)
        },
    },
    KnownFormat {
        name: "Google Cloud Storage",
        notation: "\"$timestamp\",\"$c_ip\",\"$type\",\"$region\",\"$method\",\"$path\",",
        is_it: |line| {
            let micros = line.get(1..17).unwrap_or_default();
            line.starts_with(b"\"") && micros.iter().all(u8::is_ascii_digit) && micros.len() == 16
        },
    },
];

/// Recognizes and reads known formats.
#[derive(Debug)]
pub struct KnownReader {
    readers: Vec<LayoutReader>,
    /// The format of the last line, which is tried first.
    last: usize,
}

impl KnownReader {
    /// Reads the wanted fields.
    pub fn new(wanted: &WantedFields) -> Self {
        let layouts = FORMATS.iter().map(|format| match format.notation.parse() {
            Ok(Notation::Layout(layout)) => layout,
            // The tests below show that each notation is valid.
            _ => super::layout::Layout::default(),
        });
        Self {
            readers: layouts
                .map(|layout| LayoutReader::new(layout, wanted))
                .collect(),
            last: 0,
        }
    }

    /// Returns the wanted fields of a line and the index of its format, or `None` if the format is
    /// not among the known ones.
    pub fn read<'a>(&mut self, line: &'a [u8]) -> Option<(Found<'a>, usize)> {
        let all = 0..FORMATS.len();
        let index = std::iter::once(self.last)
            .chain(all)
            .find(|index| (FORMATS[*index].is_it)(line))?;
        let found = self.readers[index].read(line)?;
        self.last = index;
        Some((found, index))
    }

    /// The name of a format.
    pub const fn name(index: usize) -> &'static str {
        FORMATS[index].name
    }

    /// The names of the fields of a format.
    pub fn fields(&self, index: usize) -> impl Iterator<Item = &str> {
        self.readers[index].names()
    }
}

fn word(line: &[u8], number: usize) -> &[u8] {
    line.split(|byte| *byte == b' ')
        .nth(number)
        .unwrap_or_default()
}

fn after<'a>(line: &'a [u8], text: &[u8]) -> &'a [u8] {
    memchr::memmem::find(line, text).map_or(&[], |at| &line[at + text.len()..])
}

/// The number of words between the request and the next quoted text of an Envoy line, which tells
/// Envoy's own format from Istio's.
fn envoy_words(line: &[u8]) -> Option<usize> {
    let time = line.strip_prefix(b"[")?;
    if !is_iso_time(time) {
        return None;
    }
    let request = after(time, b"] \"");
    let rest = after(request, b"\" ");
    let until = memchr::memchr(b'"', rest)?;
    Some(
        rest[..until]
            .split(|byte| *byte == b' ')
            .filter(|word| !word.is_empty())
            .count(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notations_are_valid() {
        for format in FORMATS {
            let notation = format.notation.parse();
            assert!(
                matches!(notation, Ok(Notation::Layout(_))),
                "{}",
                format.name
            );
        }
    }
}
