//! `main → app → {api, gateway, adapters} → fanout → {chat → commit, transport} → {ports, auth, wire} → domain`, and nobody
//! else names an adapter's library.
//!
//! Knows the folders of `src`; what a test module imports is its own business.

use super::{Source, assert_none, sources};

/// What each folder may import of the crate, besides itself. A folder that is not listed is the outermost layer
/// (`app`, `main`, configuration, life cycle), which may import anything.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("metrics", &["domain"]),
    ("traces", &["domain", "metrics"]),
    ("redis", &["domain", "metrics"]),
    ("bus", &["domain", "metrics", "logging::served", "redis"]),
    ("presence", &["domain", "metrics", "redis"]),
    ("throttle", &["domain", "metrics", "redis"]),
    ("store", &["domain", "metrics", "traces", "logging::served"]),
    (
        "commit",
        &["domain", "metrics", "traces", "logging::served", "store"],
    ),
    ("auth", &["domain", "metrics"]),
    (
        "chat",
        &[
            "domain", "metrics", "traces", "auth", "store", "commit", "presence", "throttle",
        ],
    ),
    ("wire", &["domain"]),
    ("refusal", &["domain", "chat", "wire"]),
    (
        "api",
        &[
            "domain",
            "metrics",
            "traces",
            "logging::served",
            "auth",
            "store",
            "chat",
            "wire",
            "refusal",
        ],
    ),
    // Bytes to and from clients: what is said is not known here.
    (
        "transport",
        &[
            "domain",
            "metrics",
            "logging::served",
            "throttle",
            "auth::bearer",
        ],
    ),
    (
        "fanout",
        &[
            "domain",
            "metrics",
            "traces",
            "logging::served",
            "store",
            "bus",
            "presence",
            "throttle",
            "commit",
            "chat",
            "wire",
            "transport",
        ],
    ),
    (
        "gateway",
        &[
            "domain",
            "metrics",
            "traces",
            "logging::served",
            "auth",
            "chat",
            "wire",
            "refusal",
            "transport",
            "fanout",
        ],
    ),
];

/// Where each adapter's library may be named.
const LIBRARIES: &[(&str, &[&str])] = &[
    (
        "fred",
        &[
            "src/redis/",
            "src/bus/redis",
            "src/presence/redis",
            "src/throttle/redis",
            "src/app",
        ],
    ),
    ("mongodb", &["src/store/mongo", "src/app"]),
    ("rusqlite", &["src/store/sqlite", "src/app"]),
    ("opentelemetry", &["src/traces/"]),
];

/// Adapters, which only the composition root may name.
const ADAPTERS: &[&str] = &[
    "store::mongo",
    "store::sqlite",
    "bus::redis",
    "presence::redis",
    "throttle::redis",
];

/// Besides: an address is checked by the parser that will read it.
const READS_ADDRESSES: &str = "src/config/urls.rs";

impl Source {
    /// The first folder or file below `src`.
    fn layer(&self) -> &str {
        let below = self.path.trim_start_matches("src/");
        below
            .split('/')
            .next()
            .unwrap_or(below)
            .trim_end_matches(".rs")
    }

    /// The paths after `crate::` in a line, as far as they are plain: `store::mongo`, `commit::Announce`.
    fn imports(line: &str) -> impl Iterator<Item = &str> {
        line.split("crate::").skip(1).map(|rest| {
            let end = rest.find(|sign: char| !sign.is_alphanumeric() && !"_:".contains(sign));
            rest[..end.unwrap_or(rest.len())].trim_end_matches(':')
        })
    }
}

fn allowed(layer: &str, import: &str) -> bool {
    let within =
        |permitted: &str| import == permitted || import.starts_with(&format!("{permitted}::"));
    let rule = MAY_IMPORT.iter().find(|(name, _)| *name == layer);
    rule.is_none_or(|(_, permitted)| within(layer) || permitted.iter().any(|other| within(other)))
}

/// One line per line of code in which `offends` finds something.
fn offences(offends: impl Fn(&Source, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in sources(&["src"]).iter().filter(|file| !file.is_test()) {
        let lines = file.code().filter(|(_, line)| offends(file, line));
        found
            .extend(lines.map(|(number, line)| format!("{}:{number}: {}", file.path, line.trim())));
    }
    found
}

#[test]
fn dependencies_point_one_way() {
    let wrong =
        offences(|file, line| Source::imports(line).any(|import| !allowed(file.layer(), import)));
    assert_none("this layer may not import that one", &wrong);
}

#[test]
fn only_the_composition_root_names_an_adapter() {
    let wrong = offences(|file, line| {
        let own = |adapter: &str| {
            file.path
                .starts_with(&format!("src/{}", adapter.replace("::", "/")))
        };
        let names =
            |adapter: &&&str| Source::imports(line).any(|import| import.starts_with(**adapter));
        let adapter = ADAPTERS.iter().find(names);
        let may = file.layer() == "app" || file.path == READS_ADDRESSES;
        !may && adapter.is_some_and(|adapter| !own(adapter))
    });
    assert_none("ask for the port instead", &wrong);
}

#[test]
fn only_an_adapter_names_its_library() {
    let wrong = offences(|file, line| {
        let names = |library: &str| {
            line.contains(&format!("{library}::")) || line.contains(&format!("use {library}"))
        };
        let at_home = |homes: &[&str]| homes.iter().any(|home| file.path.starts_with(home));
        LIBRARIES
            .iter()
            .any(|(library, homes)| names(library) && !at_home(homes))
    });
    assert_none("this library belongs to an adapter", &wrong);
}

#[test]
fn the_rules_would_notice() {
    let line = "use crate::fanout::hub::Hub; let x: crate::domain::UserId;";
    assert_eq!(
        Source::imports(line).collect::<Vec<_>>(),
        ["fanout::hub::Hub", "domain::UserId"]
    );
    assert!(!allowed("api", "gateway::hub::Hub"));
    assert!(!allowed("gateway", "api"));
    assert!(!allowed("domain", "store"));
    assert!(!allowed("store", "chat::Chat"));
    assert!(!allowed("transport", "chat::ChatError"));
    assert!(!allowed("fanout", "gateway::requests"));
    assert!(allowed("domain", "domain::ids"));
    assert!(allowed("chat", "commit::Committer"));
    assert!(allowed("app", "store::mongo"));
}
