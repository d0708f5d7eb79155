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
        let program = Program::new()
            .with("HOBNOB_REDIS_URL", "redis://127.0.0.1:1")
            .with("HOBNOB_MONGODB_URI", "mongodb://127.0.0.1:1/hobnob")
            .with("HOBNOB_JWT_SECRET", SECRET)
            .with(name, value);
        refuses(&program, &["serve"], name).await;
        refuses(&program, &["check-config"], name).await;
    }
}

/// What `check-config` lets pass, the start takes: both read an address by the same parser. The right form is told.
#[tokio::test]
async fn addresses_of_redis_that_no_server_could_have() {
    for (url, says) in [
        ("redis://:hunter2@a,b", "the form is redis[s]://"),
        ("redis://a/256", "the form is redis[s]://"),
        (
            "redis-cluster://a:1?node=b:2",
            "the form is redis[s]-cluster://",
        ),
        ("redis-cluster://a:1/1", "the form is redis[s]-cluster://"),
        (
            "redis-sentinel://:hunter2@s1,s2",
            "?sentinelServiceName=name",
        ),
        (
            "redis-sentinel://s1,s2:x?sentinelServiceName=hobnob",
            "the port of s2",
        ),
    ] {
        let program = Program::new()
            .with("HOBNOB_REDIS_URL", url)
            .with("HOBNOB_MONGODB_URI", "mongodb://127.0.0.1:1/hobnob")
            .with("HOBNOB_JWT_SECRET", SECRET);
        for command in ["check-config", "serve"] {
            let line = refuses(&program, &[command], "HOBNOB_REDIS_URL").await;
            assert!(line.contains(says), "{line}");
            assert_eq!(line.matches("HOBNOB_REDIS_URL").count(), 1, "{line}");
        }
    }
}

#[tokio::test]
async fn every_fault_is_told_at_once() {
    let program = Program::new()
        .with("HOBNOB_LISTNE", "127.0.0.1:0")
        .with("HOBNOB_REDIS_URL", "redis://a,b")
        .with("HOBNOB_JWT_SECRET", "hunter2")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", "nonsense");
    let file = "[server]\nlistne = 1\ndrain_grace = \"2h\"\n[sever]\n[logging]\nlog = \"loud\"\n";
    let path = program.file("hobnob.toml", file);
    let arguments = [
        "check-config",
        "--config",
        &path,
        "--ping-timeout",
        "6m",
        "--content-limit",
        "2MiB",
    ];
    let outcome = program.run(&arguments).await;
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    let told = [
        "[sever]: there is no such section",
        "server.listne: there is no such key",
        "HOBNOB_LISTNE: there is no such setting",
        "HOBNOB_REDIS_URL (backends.redis_url): redis:// takes one host",
        "HOBNOB_MONGODB_URI (backends.mongodb_uri): missing",
        "HOBNOB_JWT_SECRET (auth.jwt_secret): a secret needs",
        "HOBNOB_DRAIN_GRACE (server.drain_grace): 2h is not between 0s and 1h",
        "HOBNOB_PING_TIMEOUT (sessions.ping_timeout): 6m is not between 1s and 5m (set by --ping-timeout)",
        "HOBNOB_CONTENT_LIMIT (limits.content_limit): 2 MiB is not between 1 and 1 MiB",
        "HOBNOB_LOG (logging.log): \"loud\" is not a log filter",
        "OTEL_EXPORTER_OTLP_ENDPOINT: ",
    ];
    for fault in told {
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with(&format!("hobnob: {fault}"))),
            "{fault}: {lines:#?}"
        );
    }
    assert_eq!(
        (lines.len(), outcome.status),
        (told.len(), Some(2)),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn settings_that_do_not_go_together_blame_the_one_that_was_set() {
    let refused = async |arguments: &[&str], named: &str| {
        let arguments = [&["check-config"], arguments].concat();
        refuses(&Program::new(), &arguments, named).await
    };
    let content = Program::new()
        .run(&["check-config", "--content-limit", "256KiB"])
        .await;
    let lines: Vec<&str> = content.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    for (line, other) in lines.iter().zip(["frame_limit", "outbox_bytes"]) {
        assert!(
            line.starts_with("hobnob: HOBNOB_CONTENT_LIMIT (limits.content_limit): "),
            "{line}"
        );
        let needs = format!("a content_limit of 256 KiB needs {other} to be at least ");
        assert!(line.contains(&needs), "{line}");
    }
    let both = [
        "--content-limit",
        "256KiB",
        "--frame-limit",
        "200000",
        "--outbox-bytes",
        "8MiB",
    ];
    refused(&both, "HOBNOB_FRAME_LIMIT").await;
    refused(&["--lease-ttl", "8s"], "HOBNOB_LEASE_TTL").await;
    refused(&["--lease-heartbeat", "8s"], "HOBNOB_LEASE_HEARTBEAT").await;
    refused(&["--presence-ttl", "3s"], "HOBNOB_PRESENCE_TTL").await;
    for (listen, admin) in [
        ("127.0.0.1:3000", "127.0.0.1:3000"),
        ("0.0.0.0:3000", "127.0.0.1:3000"),
        ("127.0.0.1:3000", "[::]:3000"),
    ] {
        let arguments = ["--listen", listen, "--admin-listen", admin];
        let line = refused(&arguments, "HOBNOB_ADMIN_LISTEN").await;
        assert!(line.contains("the same port"), "{line}");
    }
    let line = refused(&["--listen", "localhost"], "HOBNOB_LISTEN").await;
    assert!(line.contains("is not an IP address and port"), "{line}");
    // Two addresses of this machine, and ports that are taken free.
    for (listen, admin) in [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.0.0.1:3000", "127.0.0.2:3000"),
    ] {
        let outcome = Program::new()
            .run(&["check-config", "--listen", listen, "--admin-listen", admin])
            .await;
        assert_eq!(outcome.status, Some(0), "{}", outcome.stderr);
    }
}

#[tokio::test]
async fn a_command_line_that_lacks_something() {
    refuses(&Program::new(), &["config"], "--default").await;
    refuses(&Program::new(), &["--listen"], "--listen").await;
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
