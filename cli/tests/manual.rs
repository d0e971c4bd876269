//! Completions and the manual know every command.

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;
use tidegate_cli::args::Cli;
use tidegate_cli::{completions, man};

#[test]
fn every_command_is_known() {
    let commands: Vec<String> = Cli::command()
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    for shell in Shell::value_variants() {
        let text = String::from_utf8(completions::text(*shell, Cli::command())).unwrap();
        assert!(
            commands
                .iter()
                .all(|command| text.contains(command.as_str())),
            "{shell}"
        );
    }
    let text = String::from_utf8(man::text(None, Cli::command()).unwrap()).unwrap();
    assert!(
        commands
            .iter()
            .all(|command| text.contains(command.as_str()))
            && text.contains(".TH tidegate 1")
    );
    for command in &commands {
        let text = String::from_utf8(man::text(Some(command), Cli::command()).unwrap()).unwrap();
        assert!(text.contains(&format!("tidegate\\-{command}")), "{text}");
    }
    assert_eq!(
        man::text(Some("nothing"), Cli::command())
            .unwrap_err()
            .code(),
        2
    );
}
