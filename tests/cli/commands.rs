//! The commands that do something else than serve.

use super::program::Program;

#[tokio::test]
async fn help_names_the_variable_of_every_flag() {
    let outcome = Program::new().run(&["--help"]).await;
    assert_eq!(outcome.status, Some(0));
    // Long lines are broken at spaces.
    let words: Vec<&str> = outcome.stdout.split_whitespace().collect();
    let text = words.join(" ");
    let flags: Vec<&str> = words
        .iter()
        .filter_map(|word| word.strip_prefix("--"))
        .filter(|flag| !["help", "version", "default`"].contains(flag))
        .collect();
    assert!(flags.len() > 25, "{flags:?}");
    for flag in flags {
        let name = flag.to_uppercase().replace('-', "_");
        let variable = format!("[env: HOBNOB_{name}]");
        assert!(text.contains(&variable), "--{flag} without {variable}");
    }
}

#[tokio::test]
async fn the_default_file_can_be_used_and_changes_nothing() {
    let program = Program::new();
    let file = program.run(&["config", "--default"]).await;
    assert_eq!(file.status, Some(0));
    let shipped = include_str!("../../deploy/hobnob.toml");
    assert_eq!(
        file.stdout, shipped,
        "hobnob config --default >deploy/hobnob.toml"
    );
    let path = program.file("hobnob.toml", &file.stdout);
    let without = program.run(&["check-config"]).await;
    let with = program.run(&["check-config", "--config", &path]).await;
    assert_eq!(with.status, Some(0), "{}", with.stderr);
    let values = |text: &str| -> toml::Table { toml::from_str(text).unwrap() };
    assert_eq!(values(&with.stdout), values(&without.stdout));
    assert!(with.stdout.contains(&path), "{}", with.stdout);
}

#[tokio::test]
async fn check_config_shows_what_is_in_force_without_secrets() {
    let program = Program::new()
        .with(
            "HOBNOB_REDIS_URL",
            "rediss://me:hunter2@cache.example.org:6380",
        )
        .with(
            "HOBNOB_MONGODB_URI",
            "mongodb://me:hunter2@db.example.org/hobnob?replicaSet=rs0",
        )
        .with(
            "HOBNOB_JWT_SECRET",
            "hunter2-hunter2-hunter2-hunter2-hunter2",
        );
    let outcome = program
        .run(&["check-config", "--room-member-limit", "77"])
        .await;
    assert_eq!(outcome.status, Some(0), "{}", outcome.stderr);
    assert!(!outcome.stdout.contains("hunter2"), "{}", outcome.stdout);
    assert!(
        outcome
            .stdout
            .contains("rediss://[redacted]@cache.example.org:6380")
    );
    assert!(outcome.stdout.contains("room_member_limit = 77 # flag"));
    assert_eq!(outcome.stderr, "");
}

#[tokio::test]
async fn the_version_is_printed() {
    for arguments in [["version"], ["--version"]] {
        let outcome = Program::new().run(&arguments).await;
        assert_eq!(outcome.status, Some(0));
        assert_eq!(
            outcome.stdout,
            format!("hobnob {}\n", env!("CARGO_PKG_VERSION"))
        );
    }
}
