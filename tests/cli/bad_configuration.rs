//! Every bad configuration ends with one line on stderr that names the setting, and status 2.

use tokio::net::TcpListener;

use super::program::Program;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Runs it and checks the line and the status; nothing may be said on stderr but that line, and no secret in it.
async fn refuses(program: &Program, arguments: &[&str], named: &str) -> String {
    let outcome = program.run(arguments).await;
    let line = outcome.only_line();
    assert!(
        line.starts_with("hobnob: ") && line.contains(named),
        "{line}"
    );
    assert!(!line.contains("hunter2"), "{line}");
    assert_eq!(outcome.status, Some(2), "{line}");
    line.to_owned()
}

#[tokio::test]
async fn one_of_redis_and_mongodb_without_the_other() {
    let program = Program::new().with("HOBNOB_REDIS_URL", "redis://:hunter2@127.0.0.1:6379");
    let line = refuses(&program, &[], "HOBNOB_MONGODB_URI (backends.mongodb_uri)").await;
    assert!(line.contains("redis_url is set"), "{line}");
    let program = Program::new().with("HOBNOB_MONGODB_URI", "mongodb://127.0.0.1/hobnob");
    refuses(
        &program,
        &["serve"],
        "HOBNOB_REDIS_URL (backends.redis_url)",
    )
    .await;
}

#[tokio::test]
async fn a_secret_that_is_short_or_missing() {
    let program = Program::new().with("HOBNOB_JWT_SECRET", "hunter2");
    refuses(&program, &[], "HOBNOB_JWT_SECRET").await;
    let program = Program::new().with("HOBNOB_JWT_SECRET", &format!("{SECRET},hunter2"));
    refuses(&program, &[], "HOBNOB_JWT_SECRET").await;
    let program = Program::new()
        .with("HOBNOB_REDIS_URL", "redis://127.0.0.1:1")
        .with("HOBNOB_MONGODB_URI", "mongodb://127.0.0.1:1/hobnob");
    refuses(&program, &[], "HOBNOB_JWT_SECRET").await;
}

#[tokio::test]
async fn urls_that_cannot_be_read() {
    for (name, value) in [
        ("HOBNOB_REDIS_URL", "127.0.0.1:6379"),
        ("HOBNOB_REDIS_URL", "http://:hunter2@127.0.0.1"),
        ("HOBNOB_REDIS_URL", "redis://:hunter2@127.0.0.1:port"),
        ("HOBNOB_MONGODB_URI", "mongo://me:hunter2@127.0.0.1/hobnob"),
        ("HOBNOB_MONGODB_URI", "mongodb://me:hunter2@127.0.0.1"),
        (
            "HOBNOB_MONGODB_URI",
            "mongodb://me:hunter2@127.0.0.1/hobnob?readPreference=secondary",
        ),
    ] {
        refuses(&Program::new().with(name, value), &[], name).await;
    }
}

#[tokio::test]
async fn names_that_do_not_exist() {
    let program = Program::new().with("HOBNOB_LISTNE", "127.0.0.1:0");
    refuses(&program, &[], "HOBNOB_LISTNE").await;
    let program = Program::new();
    let path = program.file("hobnob.toml", "[server]\nlistne = \"127.0.0.1:0\"\n");
    refuses(&program, &["--config", &path], "server.listne").await;
    refuses(&program, &["--listne", "127.0.0.1:0"], "--listne").await;
    refuses(&program, &["sevre"], "sevre").await;
}

#[tokio::test]
async fn a_file_that_cannot_be_read() {
    let program = Program::new().with("HOBNOB_CONFIG", "/nonexistent/hobnob.toml");
    refuses(&program, &[], "/nonexistent/hobnob.toml").await;
    let program = Program::new();
    let path = program.file("hobnob.toml", "[auth]\njwt_secret = \"hunter2\n");
    refuses(&program, &["--config", &path], "line 2").await;
    let program = Program::new().with("HOBNOB_JWT_SECRET_FILE", "/nonexistent/secret");
    refuses(&program, &[], "HOBNOB_JWT_SECRET_FILE").await;
}

#[tokio::test]
async fn a_port_that_is_taken() {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = other.local_addr().unwrap().to_string();
    let line = refuses(&Program::new(), &["--listen", &address], "HOBNOB_LISTEN").await;
    assert!(line.contains(&address), "{line}");
    refuses(
        &Program::new(),
        &["--admin-listen", &address],
        "HOBNOB_ADMIN_LISTEN",
    )
    .await;
}

#[tokio::test]
async fn a_data_directory_below_a_file() {
    let program = Program::new();
    let directory = format!("{}/data", program.file("file", ""));
    let line = refuses(&program, &["--data-dir", &directory], "HOBNOB_DATA_DIR").await;
    assert!(line.contains(&directory), "{line}");
}

/// D36.
#[tokio::test]
async fn a_data_directory_that_another_gateway_has() {
    let program = Program::new();
    let _other = program.serve().await;
    refuses(&program, &[], "HOBNOB_DATA_DIR").await;
}

#[tokio::test]
async fn every_command_that_needs_the_configuration_checks_it() {
    let program = Program::new().with("HOBNOB_LOG", "loud");
    for command in ["serve", "check-config", "migrate", "healthcheck"] {
        refuses(&program, &[command], "HOBNOB_LOG").await;
    }
}
