//! Writes rules of the layers of `tidegate`.

use super::portable::{Portable, Written};

/// Writes the limit.
pub(super) fn write(limit: &Portable) -> Written {
    let (name, key) = key(&limit.by);
    let kind = if limit.is_window { "window" } else { "rate" };
    let mut config = String::new();
    if let Some(key) = key {
        config += &format!("[keys]\n{name} = {key}\n\n");
    }
    config += &format!(
        "[[limits]]\nname = \"{name}\"\n{kind} = \"{}\"\n",
        limit.quota
    );
    if limit.by != "none" {
        config += &format!("key = \"{name}\"\n");
    }
    let mut differences = Vec::new();
    if limit.by == "ip" {
        differences.push("an IPv6 client is its /64, as with `--by ip-prefix`".to_owned());
    }
    if key.is_none() && limit.by != "none" {
        differences.push(format!(
            "the program sets the key `{name}`, with `RulesBuilder::key`"
        ));
    }
    Written {
        target: "tidegate",
        config: Some(config),
        differences,
    }
}

/// The name of the limit and its key, and how the key is found; `None` if the program does that.
fn key(by: &str) -> (&'static str, Option<&'static str>) {
    match by {
        "ip" | "ip-prefix" => ("client", Some("{ peer = true }")),
        "agent" => ("agent", Some("{ header = \"user-agent\" }")),
        "user" => ("user", None),
        "path" => ("path", None),
        "none" => ("everyone", None),
        _ => ("key", None),
    }
}
