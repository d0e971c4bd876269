//! Completions and manual pages contain every command.

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;
use tidegate_cli::args::Cli;
use tidegate_cli::manual;

#[test]
fn every_command_is_included() {
    let commands = Cli::command();
    let commands: Vec<&str> = commands
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    let page = |name| String::from_utf8(manual::page(name, Cli::command()).unwrap()).unwrap();
    let mut texts = vec![page(None)];
    assert!(texts[0].contains(".TH tidegate 1"));
    for shell in Shell::value_variants() {
        let text = manual::completions(*shell, Cli::command());
        texts.push(String::from_utf8(text).unwrap());
    }
    for command in commands {
        assert!(texts.iter().all(|text| text.contains(command)), "{command}");
        assert!(page(Some(command)).contains(&format!("tidegate\\-{command}")));
    }
    #[cfg(feature = "redis")]
    for part in ["ls", "show", "reset", "set"] {
        let name = format!("redis-{part}");
        let text = manual::page(Some(&name), Cli::command()).unwrap();
        let page = String::from_utf8(text).unwrap();
        assert!(
            page.contains(&format!("tidegate\\-redis\\-{part}")),
            "{page}"
        );
    }
    let unknown = manual::page(Some("unknown"), Cli::command());
    assert_eq!(unknown.unwrap_err().code(), 2);
}
