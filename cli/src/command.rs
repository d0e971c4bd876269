//! What each command does with its arguments.

use std::path::Path;

use crate::args::{Command, Log, Replay, Suggest};
use crate::failure::Failure;
use crate::log::mishaps::say;
use crate::log::read::Read;
use crate::output::{csv, file, stdout, text};
use crate::replay::need::Rate;
use crate::suggest::{Wish, suggest};
use crate::{completions, explain, man, page, picture, shape};

/// Runs a command.
///
/// # Errors
///
/// Why it ended early.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Replay(args) => run_replay(args),
        Command::Suggest(args) => run_suggest(args),
        Command::Shape(args) => shape::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    }
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

fn run_replay(args: &Replay) -> Result<(), Failure> {
    let to_stdout = |path: &&std::path::PathBuf| is_stdout(path);
    let outputs = [&args.csv, &args.svg, &args.html];
    let taken = outputs.iter().copied().flatten().filter(to_stdout).count();
    if taken + usize::from(args.json) > 1 {
        let text = "only one of --json and the files can be on standard output";
        return Err(Failure::Usage(text.to_owned()));
    }
    check_log(&args.log)?;
    let limits = args.limits()?;
    if limits
        .quota
        .is_some_and(|quota| !Rate::new(quota).is_exact())
    {
        say(
            "at this rate tokens may come 2 ns late, which shows where many requests share an instant",
        );
    }
    for path in outputs.into_iter().flatten() {
        if !is_stdout(path) {
            file::check(path)?;
        }
    }

    let replayed = crate::replay::replay(&args.log.options(), &limits)?;
    let nothing = nothing_read(&replayed.read, replayed.span.is_none());
    let per_key = match &args.csv {
        Some(_) => csv::keys(replayed.keys())?,
        None => Vec::new(),
    };
    let report = replayed.into_report(args.top);
    if let Some(path) = &args.csv {
        put(path, &per_key)?;
    }
    if let Some(path) = &args.svg {
        put(path, picture::timeline_svg(&report).as_bytes())?;
    }
    if let Some(path) = &args.html {
        put(path, page::html(&report).as_bytes())?;
    }
    if args.json {
        print_json(&report)?;
    } else if taken == 0 {
        stdout::print(&text::replay(&report, stdout::width()))?;
    }
    nothing
}

fn run_suggest(args: &Suggest) -> Result<(), Failure> {
    check_log(&args.log)?;
    let wish = Wish {
        share: args.refuse_at_most.clone(),
        periods: args.per.clone(),
        bursts: args.bursts.clone(),
    };
    let (found, read) = suggest(&args.log.options(), &wish)?;
    let missing = wish.periods.len() * wish.bursts.len() - found.suggestions.len();
    if missing > 0 {
        say(&format!(
            "{missing} of the quotas would be beyond what a quota can be"
        ));
    }
    if args.json {
        print_json(&found)?;
    } else {
        stdout::print(&text::suggest(&found, stdout::width()))?;
    }
    nothing_read(&read, found.requests == 0)
}

/// What clap cannot know.
fn check_log(log: &Log) -> Result<(), Failure> {
    if log.logs.iter().filter(|path| is_stdout(path)).count() > 1 {
        return Err(Failure::Usage(
            "standard input can be read only once".to_owned(),
        ));
    }
    Ok(())
}

/// A log of which nothing could be used was perhaps not meant so. An empty one is no problem.
fn nothing_read(read: &Read, nothing: bool) -> Result<(), Failure> {
    let (unreadable, without_key) = (read.unreadable, read.without_key);
    if !nothing || unreadable + without_key == 0 {
        return Ok(());
    }
    Err(Failure::Problem(format!(
        "no request was found: {unreadable} lines cannot be read, {without_key} have no key"
    )))
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if is_stdout(path) {
        stdout::write(bytes)
    } else {
        file::write(path, bytes)
    }
}

fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| Failure::at("JSON", error))?;
    text.push(b'\n');
    stdout::write(&text)
}
