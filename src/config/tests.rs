//! What the configuration as a whole promises: the order of the layers, what is refused, what is never shown.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn environment(pairs: &[(&str, &str)]) -> Environment {
    let home = [("HOME".to_owned(), "/home/me".to_owned())];
    let pairs = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Environment::from_pairs(home.into_iter().chain(pairs))
}

/// The only thing that is wrong.
fn only(outcome: Result<Config, StartErrors>) -> StartError {
    let StartErrors(mut faults) = outcome.unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:#?}");
    faults.remove(0)
}

fn load(pairs: &[(&str, &str)]) -> Result<Config, StartErrors> {
    Config::load(&Flags::default(), &environment(pairs))
}

fn with_file(
    text: &str,
    pairs: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<Config, StartErrors> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hobnob.toml");
    std::fs::write(&path, text).unwrap();
    let values = flags
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    let flags = Flags {
        file: Some(path),
        values: values.collect::<BTreeMap<_, _>>(),
    };
    Config::load(&flags, &environment(pairs))
}

#[test]
fn the_printed_default_file_reads_back_as_the_defaults() {
    assert_eq!(with_file(&default_file(), &[], &[]), load(&[]));
    for help in setting_helps() {
        assert!(
            default_file().contains(&format!("{} = ", help.name)),
            "{}",
            help.name
        );
    }
}

#[test]
fn each_layer_overrides_the_one_before() {
    let file = "[server]\nlisten = \"127.0.0.1:1\"\nadmin_listen = \"127.0.0.1:1\"\ndrain_grace = \"1s\"\n";
    let pairs = [
        ("HOBNOB_ADMIN_LISTEN", "127.0.0.1:2"),
        ("HOBNOB_DRAIN_GRACE", "2s"),
    ];
    let config = with_file(file, &pairs, &[("drain_grace", "3s")]).unwrap();
    assert_eq!(config.server.listen.port(), 1);
    assert_eq!(config.server.admin_listen.port(), 2);
    assert_eq!(config.server.drain_grace, Duration::from_secs(3));
    assert_eq!(config.limits.content_bytes, 16_384);
}

#[test]
fn a_secret_may_come_from_a_file_and_a_higher_layer_hides_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secrets");
    std::fs::write(&path, format!("{SECRET}\n\nsecond-{SECRET}\n")).unwrap();
    let path = path.to_str().unwrap();
    let config = load(&[("HOBNOB_JWT_SECRET_FILE", path)]).unwrap();
    assert_eq!(config.auth.jwt_secrets.len(), 2);
    assert_eq!(config.auth.jwt_secrets[0].expose(), SECRET.as_bytes());

    let file = format!("[auth]\njwt_secret_file = {path:?}\n");
    let other = format!("other-{SECRET}");
    let config = with_file(&file, &[("HOBNOB_JWT_SECRET", &other)], &[]).unwrap();
    assert_eq!(config.auth.jwt_secrets[0].expose(), other.as_bytes());

    let both = load(&[
        ("HOBNOB_JWT_SECRET_FILE", path),
        ("HOBNOB_JWT_SECRET", SECRET),
    ]);
    assert!(only(both).message.contains("leave one out"));
    let lines = load(&[("HOBNOB_REDIS_URL_FILE", path)]);
    let StartErrors(faults) = lines.unwrap_err();
    assert!(faults[0].message.contains("more than one line"));
}

#[test]
fn redis_and_mongodb_go_together_and_need_a_secret() {
    let (redis, mongodb) = (
        ("HOBNOB_REDIS_URL", "redis://h"),
        ("HOBNOB_MONGODB_URI", "mongodb://h/chat"),
    );
    let error = only(load(&[redis]));
    assert!(error.setting.starts_with("HOBNOB_MONGODB_URI "), "{error}");
    let error = only(load(&[mongodb]));
    assert!(error.setting.starts_with("HOBNOB_REDIS_URL "), "{error}");
    let error = only(load(&[redis, mongodb]));
    assert!(error.setting.starts_with("HOBNOB_JWT_SECRET "), "{error}");
    let config = load(&[redis, mongodb, ("HOBNOB_JWT_SECRET", SECRET)]).unwrap();
    assert!(matches!(
        config.backends,
        Backends::Clustered {
            mongodb_pool_size: 20,
            ..
        }
    ));
    // Empty variables, as Compose files leave them, are not set.
    let config = load(&[("HOBNOB_REDIS_URL", ""), ("HOBNOB_MONGODB_URI", "")]).unwrap();
    assert!(matches!(config.backends, Backends::Embedded { .. }));
}

#[test]
fn the_data_directory_is_the_users_own() {
    let directory = |pairs: &[(&str, &str)]| match load(pairs).unwrap().backends {
        Backends::Embedded { data_dir } => data_dir,
        Backends::Clustered { .. } => unreachable!("neither Redis nor MongoDB is set"),
    };
    assert_eq!(
        directory(&[]),
        PathBuf::from("/home/me/.local/share/hobnob")
    );
    assert_eq!(
        directory(&[("XDG_DATA_HOME", "/data")]),
        PathBuf::from("/data/hobnob")
    );
    assert_eq!(
        directory(&[("HOBNOB_DATA_DIR", "~/chat")]),
        PathBuf::from("/home/me/chat")
    );
    assert_eq!(
        directory(&[("HOBNOB_DATA_DIR", "/srv/chat")]),
        PathBuf::from("/srv/chat")
    );
    let error = only(Config::load(&Flags::default(), &Environment::default()));
    assert!(error.setting.starts_with("HOBNOB_DATA_DIR "), "{error}");
}

#[test]
fn wrong_values_are_refused_by_name() {
    let cases = [
        ("HOBNOB_LISTEN", "localhost"),
        ("HOBNOB_ADMIN_LISTEN", "127.0.0.1:99999"),
        ("HOBNOB_CONNECTION_LIMIT", "0"),
        ("HOBNOB_CORS_ORIGINS", "https://a.example/path"),
        ("HOBNOB_CORS_ORIGINS", "*"),
        ("HOBNOB_DRAIN_GRACE", "25"),
        ("HOBNOB_JWT_SECRET", "too-short"),
        ("HOBNOB_JWT_SECRET_FILE", "/nonexistent/secret"),
        ("HOBNOB_FRAME_LIMIT", "16384"),
        ("HOBNOB_LEASE_HEARTBEAT", "8s"),
        ("HOBNOB_LOG", "verbose"),
        ("HOBNOB_LOG", "info,hobnob=loud"),
        ("HOBNOB_LOG_FORMAT", "xml"),
        ("HOBNOB_REDIS_URL", "127.0.0.1"),
        ("HOBNOB_MONGODB_URI", "mongodb://h"),
        ("HOBNOB_CONFIG", "/nonexistent/hobnob.toml"),
        ("HOBNOB_LISTEM", "127.0.0.1:3000"),
    ];
    for (name, value) in cases {
        let StartErrors(faults) = load(&[(name, value)]).unwrap_err();
        let error = &faults[0];
        assert!(error.setting.starts_with(name), "{name}={value}: {error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

/// The limits in a message are written as the help writes them.
#[test]
fn limits_have_the_units_of_the_help() {
    let mut checked = 0;
    for help in setting_helps() {
        let too_much = match help.placeholder {
            "DURATION" => "999d",
            "BYTES" | "COUNT" => "999999999999",
            _ => continue,
        };
        let name = format!("HOBNOB_{}", help.name.to_uppercase());
        let StartErrors(faults) = load(&[(&name, too_much)]).unwrap_err();
        let limits = faults[0]
            .message
            .split_once(" is not between ")
            .expect("limits")
            .1;
        let (least, most) = limits.split_once(" and ").expect("two");
        // Where the help gives both as figures.
        if let Some((_, said)) = help.text.split_once(&format!("({least} to ")) {
            assert!(
                said.starts_with(most),
                "{}: {limits}: {}",
                help.name,
                help.text
            );
            checked += 1;
        }
    }
    assert!(checked >= 8, "{checked} settings");
}

#[test]
fn wrong_files_are_refused_without_quoting_them() {
    let cases = [
        ("[server]\nlistne = \"127.0.0.1:3000\"\n", "server.listne"),
        ("[sever]\nlisten = \"127.0.0.1:3000\"\n", "[sever]"),
        ("listen = \"127.0.0.1:3000\"\n", "[listen]"),
        ("[server]\nlisten = true\n", "HOBNOB_LISTEN"),
        (
            "[auth]\njwt_secret = [[\"hunter2\"]]\n",
            "HOBNOB_JWT_SECRET",
        ),
        ("[auth]\njwt_secret = \"hunter2\n", "HOBNOB_CONFIG"),
        ("[auth]\njwt_secret = hunter2\n", "HOBNOB_CONFIG"),
    ];
    for (text, named) in cases {
        let error = with_file(text, &[], &[]).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn variables_that_kubernetes_makes_for_a_service_are_left_alone() {
    let links = [
        ("HOBNOB_SERVICE_HOST", "10.0.0.1"),
        ("HOBNOB_SERVICE_PORT", "3000"),
        ("HOBNOB_SERVICE_PORT_HTTP", "3000"),
        ("HOBNOB_PORT", "tcp://10.0.0.1:3000"),
        ("HOBNOB_PORT_3000_TCP_ADDR", "10.0.0.1"),
    ];
    assert_eq!(load(&links), load(&[]));
    let error = only(load(&[links[0], ("HOBNOB_LISTEM", "x")]));
    assert_eq!(error.setting, "HOBNOB_LISTEM");
    assert!(load(&[("HOBNOB_PORT", "3000")]).is_err());
}

#[test]
fn what_is_printed_has_no_secret() {
    let secret = format!("hunter2-{SECRET}");
    let pairs = [
        ("HOBNOB_REDIS_URL", "redis://:hunter2@cache:6379"),
        ("HOBNOB_MONGODB_URI", "mongodb://me:hunter2@db/chat"),
        ("HOBNOB_JWT_SECRET", secret.as_str()),
    ];
    let (config, text) = Config::explain(&Flags::default(), &environment(&pairs)).unwrap();
    for shown in [format!("{config:?}"), text.clone()] {
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("[redacted]@cache:6379"), "{shown}");
    }
    assert!(text.contains("listen = \"127.0.0.1:3000\"\n"), "{text}");
    assert!(text.contains(" # environment"), "{text}");
}
