//! The table of settings: the one place that knows the name, the variable, the flag, the default and the meaning of
//! each. Files, variables, flags, `--help` and `config --default` are all read from it; it knows no values.
//!
//! The rule of names: a setting `name` is `name` in its section of the file, `HOBNOB_NAME` in the environment and
//! `--name` (with hyphens) on the command line. The flag and the variable are written out so that they can be found.

/// What a setting holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SettingKind {
    /// A string.
    Text,
    /// A whole number, bare in a file; byte counts may be strings with a unit.
    Number,
    /// An array of strings in a file, separated by commas elsewhere.
    List,
    /// The path of a file that holds another setting, which is a secret.
    FileOf(&'static str),
}

#[derive(Debug)]
pub(super) struct Setting {
    /// Its table in the file.
    pub(super) section: &'static str,
    /// Its key there; unique over all sections.
    pub(super) name: &'static str,
    /// Its environment variable.
    pub(super) env: &'static str,
    /// Its long flag, without the hyphens before it.
    pub(super) flag: &'static str,
    /// What it holds.
    pub(super) kind: SettingKind,
    /// What a value looks like, for `--help`.
    pub(super) placeholder: &'static str,
    /// The value when none is given.
    pub(super) default: Option<&'static str>,
    /// What it means, in one sentence, with unit and limits.
    pub(super) help: &'static str,
}

macro_rules! setting {
    ($section:literal, $name:literal, $env:literal, $flag:literal, $kind:expr, $placeholder:literal, $default:expr,
     $help:literal) => {
        Setting {
            section: $section,
            name: $name,
            env: $env,
            flag: $flag,
            kind: $kind,
            placeholder: $placeholder,
            default: $default,
            help: $help,
        }
    };
}

use SettingKind::{FileOf, List, Number, Text};

/// Every setting, in the order of `config --default`.
#[rustfmt::skip]
pub(super) const SETTINGS: &[Setting] = &[
    setting!("server", "listen", "HOBNOB_LISTEN", "listen", Text, "ADDRESS", Some("127.0.0.1:3000"),
        "Where clients connect: IP address and port. Port 0 takes a free one."),
    setting!("server", "admin_listen", "HOBNOB_ADMIN_LISTEN", "admin-listen", Text, "ADDRESS", Some("127.0.0.1:9090"),
        "Where /livez, /readyz, /metrics and /version are served. Not for the public."),
    setting!("server", "admin_token", "HOBNOB_ADMIN_TOKEN", "admin-token", Text, "SECRET", None,
        "What /admin/drain, /admin/connections and /admin/disconnect ask for (Authorization: Bearer), at least 32 bytes. \
         Without it there are none. A flag shows in the process list: prefer a file."),
    setting!("server", "admin_token_file", "HOBNOB_ADMIN_TOKEN_FILE", "admin-token-file", FileOf("admin_token"), "PATH", None,
        "A file that holds admin_token."),
    setting!("server", "admin_hosts", "HOBNOB_ADMIN_HOSTS", "admin-hosts", List, "NAMES", Some(""),
        "Names with a dot under which the admin port is asked for, such as hobnob-admin.prod.svc. IP addresses and names \
         without a dot are always taken; any other is refused, so that no web page can reach the port through its own name."),
    setting!("server", "hsts", "HOBNOB_HSTS", "hsts", Text, "DURATION", Some("0s"),
        "How long browsers that reach us over TLS are told to use nothing else (Strict-Transport-Security, up to 730d). 0s: \
         not at all. Only for a host whose every service has TLS."),
    setting!("server", "connection_limit", "HOBNOB_CONNECTION_LIMIT", "connection-limit", Number, "COUNT", Some("10000"),
        "The most client connections at once; further ones are answered 503. From nine tenths of it on the gateway is unready."),
    setting!("server", "address_connection_limit", "HOBNOB_ADDRESS_CONNECTION_LIMIT", "address-connection-limit", Number, "COUNT", Some("2500"),
        "The most client connections from one address (IPv6: one /64) at once; further ones are answered 503. 0 for no limit. \
         Those of trusted_proxies are not counted: a proxy limits its clients itself."),
    setting!("server", "cors_origins", "HOBNOB_CORS_ORIGINS", "cors-origins", List, "ORIGINS", Some(""),
        "Web origins, besides our own, whose pages may call the API, such as https://chat.example.org."),
    setting!("server", "session_prefix", "HOBNOB_SESSION_PREFIX", "session-prefix", Text, "NAME", None,
        "What the ids of this gateway's Socket.IO sessions begin with, before a dot: 1 to 32 letters, digits and hyphens, \
         another one on each gateway, so that a proxy can find the gateway of a session (deploy/nginx). Unset: random."),
    setting!("server", "trusted_proxies", "HOBNOB_TRUSTED_PROXIES", "trusted-proxies", List, "RANGES", Some(""),
        "Addresses of the proxies before the gateway, such as 10.1.2.0/24: from them, a request comes from the last address \
         in X-Forwarded-For that is none of theirs. They must append to that header, or set it; whoever else has an address \
         in these ranges can evade the limits of an address by it."),
    setting!("server", "client_timeout", "HOBNOB_CLIENT_TIMEOUT", "client-timeout", Text, "DURATION", Some("75s"),
        "How long the head of a request, an idle connection, a whole REST request or a write without progress may take (1s \
         to 10m). Longer than a proxy keeps its idle connections, and than ping_interval + ping_timeout."),
    setting!("server", "drain_grace", "HOBNOB_DRAIN_GRACE", "drain-grace", Text, "DURATION", Some("25s"),
        "How long a stopping gateway takes to hand its clients over, at most (up to 1h)."),

    setting!("backends", "redis_url", "HOBNOB_REDIS_URL", "redis-url", Text, "URL", None,
        "Redis, for more than one gateway: redis://, rediss://, redis-cluster:// or redis-sentinel://. Needs mongodb_uri."),
    setting!("backends", "redis_url_file", "HOBNOB_REDIS_URL_FILE", "redis-url-file", FileOf("redis_url"), "PATH", None,
        "A file that holds redis_url."),
    setting!("backends", "redis_prefix", "HOBNOB_REDIS_PREFIX", "redis-prefix", Text, "TEXT", Some("hobnob:"),
        "What every key and channel in Redis begins with, before the log's own name: another one for each deployment on one \
         Redis, whatever their databases, since pub/sub does not know those."),
    setting!("backends", "mongodb_uri", "HOBNOB_MONGODB_URI", "mongodb-uri", Text, "URI", None,
        "MongoDB, with the database's name: mongodb://host/name or mongodb+srv://host/name. Needs redis_url."),
    setting!("backends", "mongodb_uri_file", "HOBNOB_MONGODB_URI_FILE", "mongodb-uri-file", FileOf("mongodb_uri"), "PATH", None,
        "A file that holds mongodb_uri."),
    setting!("backends", "mongodb_pool_size", "HOBNOB_MONGODB_POOL_SIZE", "mongodb-pool-size", Number, "COUNT", Some("20"),
        "The most connections to each MongoDB server, 2 to 1000. Batches make a few enough."),
    setting!("backends", "data_dir", "HOBNOB_DATA_DIR", "data-dir", Text, "PATH", None,
        "Where the embedded store keeps its data when neither Redis nor MongoDB is set. A leading ~/ is the home \
         directory. Unset: $XDG_DATA_HOME/hobnob, else ~/.local/share/hobnob."),

    setting!("auth", "jwt_secret", "HOBNOB_JWT_SECRET", "jwt-secret", List, "SECRETS", None,
        "Secrets that sign access tokens, of at least 32 bytes each: the first signs, all verify, so that they can be \
         rotated. Needed with Redis and MongoDB; else one is generated and kept in the data directory. A flag shows in \
         the process list: prefer a file."),
    setting!("auth", "jwt_secret_file", "HOBNOB_JWT_SECRET_FILE", "jwt-secret-file", FileOf("jwt_secret"), "PATH", None,
        "A file that holds jwt_secret, one secret a line."),
    setting!("auth", "access_token_lifetime", "HOBNOB_ACCESS_TOKEN_LIFETIME", "access-token-lifetime", Text, "DURATION", Some("15m"),
        "How long an access token is valid (10s to 1d)."),
    setting!("auth", "refresh_token_lifetime", "HOBNOB_REFRESH_TOKEN_LIFETIME", "refresh-token-lifetime", Text, "DURATION", Some("30d"),
        "How long a refresh token is valid (1m to 400d)."),
    setting!("auth", "password_threads", "HOBNOB_PASSWORD_THREADS", "password-threads", Number, "COUNT", Some("2"),
        "Threads that hash passwords, 1 to 64; each takes 20 MB and does about 70 hashes a second."),
    setting!("auth", "password_queue", "HOBNOB_PASSWORD_QUEUE", "password-queue", Number, "COUNT", Some("256"),
        "The most log-ins and registrations that wait for such a thread; further ones are told to try again."),

    setting!("limits", "content_limit", "HOBNOB_CONTENT_LIMIT", "content-limit", Number, "BYTES", Some("16384"),
        "The longest message, in bytes of UTF-8 (1 to 1 MiB)."),
    setting!("limits", "room_member_limit", "HOBNOB_ROOM_MEMBER_LIMIT", "room-member-limit", Number, "COUNT", Some("1000"),
        "The most members of a room (2 to 100000)."),
    setting!("limits", "watch_limit", "HOBNOB_WATCH_LIMIT", "watch-limit", Number, "COUNT", Some("500"),
        "The most users whose presence one session may watch (1 to 10000)."),
    setting!("limits", "session_rate", "HOBNOB_SESSION_RATE", "session-rate", Number, "COUNT", Some("1000"),
        "The most requests a second of one session, five seconds' worth at once; 0 for no limit."),
    setting!("limits", "user_rate", "HOBNOB_USER_RATE", "user-rate", Number, "COUNT", Some("2000"),
        "The same for one user on this gateway, over all their sessions and REST."),
    setting!("limits", "sign_in_rate", "HOBNOB_SIGN_IN_RATE", "sign-in-rate", Number, "COUNT", Some("10"),
        "The same for registrations, log-ins and refreshes from one address (IPv6: one /64), over all gateways. Behind a proxy that is not \
         among trusted_proxies every client has the proxy's address."),

    setting!("limits", "rooms_made_limit", "HOBNOB_ROOMS_MADE_LIMIT", "rooms-made-limit", Number, "COUNT", Some("500"),
        "The most rooms one user may make in a day (UTC), over all gateways; 0 for no limit."),
    setting!("limits", "rooms_limit", "HOBNOB_ROOMS_LIMIT", "rooms-limit", Number, "COUNT", Some("5000"),
        "The most rooms one user may be in; 0 for no limit."),
    setting!("limits", "additions_limit", "HOBNOB_ADDITIONS_LIMIT", "additions-limit", Number, "COUNT", Some("200"),
        "How often one user may be added to rooms by others in a day (UTC), by one of them a quarter of it; 0 for no limit."),
    setting!("limits", "new_conversations_limit", "HOBNOB_NEW_CONVERSATIONS_LIMIT", "new-conversations-limit", Number, "COUNT", Some("200"),
        "The most direct conversations one user may begin in an hour, over all gateways; 0 for no limit."),
    setting!("limits", "user_search", "HOBNOB_USER_SEARCH", "user-search", Text, "HOW", Some("prefix"),
        "How users may look for others by name: off, exact or prefix (by what a name begins with, at most 20 at a time)."),
    setting!("limits", "search_rate", "HOBNOB_SEARCH_RATE", "search-rate", Number, "COUNT", Some("2"),
        "The most searches a second of one user on this gateway, five seconds' worth at once; 0 for no limit."),
    setting!("limits", "last_seen", "HOBNOB_LAST_SEEN", "last-seen", Text, "WHO", Some("contacts"),
        "Who learns when a user was last seen: contacts (who shares a conversation with them) or anybody."),
    setting!("limits", "session_limit", "HOBNOB_SESSION_LIMIT", "session-limit", Number, "COUNT", Some("10000"),
        "The most sessions at once, on both protocols; further ones are told to try elsewhere. From nine tenths of it on the \
         gateway is unready."),
    setting!("limits", "user_session_limit", "HOBNOB_USER_SESSION_LIMIT", "user-session-limit", Number, "COUNT", Some("100"),
        "The most sessions of one user on this gateway; the next one is refused (too_many_sessions), and those that are open \
         stay. 0 for no limit."),
    setting!("limits", "address_session_limit", "HOBNOB_ADDRESS_SESSION_LIMIT", "address-session-limit", Number, "COUNT", Some("2500"),
        "The same for one address (IPv6: one /64), as trusted_proxies name it."),
    setting!("limits", "anonymous_limit", "HOBNOB_ANONYMOUS_LIMIT", "anonymous-limit", Number, "COUNT", Some("2000"),
        "The most clients at once that have not said who they are yet, on both protocols, a tenth of it from one address; \
         further ones are answered 503. They are none of session_limit's."),
    setting!("limits", "handshake_rate", "HOBNOB_HANDSHAKE_RATE", "handshake-rate", Number, "COUNT", Some("50"),
        "The most of them a second from one address, five seconds' worth at once, not counting those who then do say it; \
         further ones are answered 429. 0 for no limit."),

    setting!("sessions", "outbox_bytes", "HOBNOB_OUTBOX_BYTES", "outbox-bytes", Number, "BYTES", Some("1048576"),
        "How much may wait to be written to one session (64 KiB to 256 MiB); a client that reads too slowly is closed."),
    setting!("sessions", "frame_limit", "HOBNOB_FRAME_LIMIT", "frame-limit", Number, "BYTES", Some("131072"),
        "The largest frame a client may send, on polling the largest packet, of which one request may hold several, 1 MB together; at least content_limit + 1 KiB, at most 16 MiB."),
    setting!("sessions", "hello_timeout", "HOBNOB_HELLO_TIMEOUT", "hello-timeout", Text, "DURATION", Some("20s"),
        "How long a connected client may take to say who it is: `hello` on /ws, CONNECT on Socket.IO (1s to 5m)."),
    setting!("sessions", "ping_interval", "HOBNOB_PING_INTERVAL", "ping-interval", Text, "DURATION", Some("25s"),
        "How often a client is pinged (1s to 5m)."),
    setting!("sessions", "ping_timeout", "HOBNOB_PING_TIMEOUT", "ping-timeout", Text, "DURATION", Some("20s"),
        "How long its answer may take before the connection counts as dead (1s to 5m)."),

    setting!("presence", "lease_ttl", "HOBNOB_LEASE_TTL", "lease-ttl", Text, "DURATION", Some("15s"),
        "How long a gateway that stopped counts as alive (2s to 5m)."),
    setting!("presence", "lease_heartbeat", "HOBNOB_LEASE_HEARTBEAT", "lease-heartbeat", Text, "DURATION", Some("5s"),
        "How often a gateway renews its lease; at most half of lease_ttl."),
    setting!("presence", "presence_ttl", "HOBNOB_PRESENCE_TTL", "presence-ttl", Text, "DURATION", Some("24h"),
        "How long a user's presence entry lasts in Redis without renewal (lease_ttl to 1d): a backstop, since an entry counts only while its gateway's lease lives."),
    setting!("presence", "offline_grace", "HOBNOB_OFFLINE_GRACE", "offline-grace", Text, "DURATION", Some("5s"),
        "How long after their last session a user is shown offline (0s to 5m), so that a reconnect does not flap."),

    setting!("logging", "log", "HOBNOB_LOG", "log", Text, "FILTER", Some("info"),
        "What is logged: a level (off, error, warn, info, debug, trace), or per part: info,hobnob::bus=debug."),
    setting!("logging", "log_format", "HOBNOB_LOG_FORMAT", "log-format", Text, "FORMAT", Some("auto"),
        "json, text, or auto: text on a terminal, json otherwise."),
];

/// The variable that names the configuration file; not a setting, since a file cannot name itself.
pub(super) const FILE_ENV: &str = "HOBNOB_CONFIG";

/// What every variable of ours begins with.
pub(super) const PREFIX: &str = "HOBNOB_";

/// The setting of this name. The names come from the table, so an unknown one is a fault of ours; the first setting
/// stands in for it, and a test looks every name up.
pub(super) fn setting(name: &str) -> &'static Setting {
    SETTINGS
        .iter()
        .find(|setting| setting.name == name)
        .unwrap_or(&SETTINGS[0])
}

impl Setting {
    /// Whether its value must not be printed as it is: the URLs may hold credentials.
    pub(super) fn is_secret(&self) -> bool {
        SETTINGS.iter().any(|other| other.kind == FileOf(self.name))
    }

    /// How messages name it: by its variable, and its place in the file.
    pub(super) fn title(&self) -> String {
        format!("{} ({}.{})", self.env, self.section, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_flags_follow_from_the_name_and_are_unique() {
        let mut names: Vec<&str> = Vec::new();
        for setting in SETTINGS {
            assert_eq!(
                setting.env,
                format!("{PREFIX}{}", setting.name.to_uppercase())
            );
            assert_eq!(setting.flag, setting.name.replace('_', "-"));
            names.push(setting.name);
        }
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn what_a_file_may_hold_is_secret() {
        let secrets: Vec<&str> = SETTINGS
            .iter()
            .filter(|setting| setting.is_secret())
            .map(|setting| setting.name)
            .collect();
        assert_eq!(
            secrets,
            ["admin_token", "redis_url", "mongodb_uri", "jwt_secret"]
        );
        for setting in SETTINGS {
            if let FileOf(name) = setting.kind {
                assert_eq!(super::setting(name).name, name);
            }
        }
    }
}
