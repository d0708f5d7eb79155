//! The sections of the configuration: what each part of the gateway is given, already checked. Knows nothing of files,
//! variables and flags.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::parsers::{
    LogFormat, parse_address, parse_filter, parse_format, parse_host, parse_last_seen,
    parse_network, parse_origin, parse_prefix, parse_search, parse_secret,
};
use super::reader::{Reader, show_bytes, show_duration};
use super::{Environment, ServerUrl, StartError, urls};
use crate::auth::Secret;
use crate::chat::{LastSeen, UserSearch};
use crate::domain::Network;

/// Where and how clients are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSection {
    /// The public address.
    pub listen: SocketAddr,
    /// The operators' address.
    pub admin_listen: SocketAddr,
    /// What operators' requests that change something must bring; none: they are not served.
    pub admin_token: Option<Secret>,
    /// Names besides addresses and names without a dot under which the admin port may be asked for.
    pub admin_hosts: Vec<String>,
    /// For how long browsers are told to use TLS alone; zero for not at all.
    pub hsts: Duration,
    /// The most client connections at once.
    pub connection_limit: usize,
    /// The most of them from one address.
    pub address_connection_limit: usize,
    /// Origins allowed to call the API from a browser; empty for none but our own page.
    pub cors_origins: Vec<String>,
    /// What the ids of its Socket.IO sessions begin with; none: the gateway's own, random id.
    pub session_prefix: Option<String>,
    /// Proxies that are believed about where a request comes from.
    pub trusted_proxies: Vec<Network>,
    /// For the head of a request, for an idle connection, for a REST request.
    pub client_timeout: Duration,
    /// How long a drain may take.
    pub drain_grace: Duration,
}

/// What holds the truth and carries the hints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backends {
    /// One gateway, with a store of its own.
    Embedded {
        /// Where the store, and the generated secret, are kept.
        data_dir: PathBuf,
    },
    /// Many gateways over Redis and MongoDB.
    Clustered {
        /// Carries hints and presence.
        redis_url: ServerUrl,
        /// What every key and channel there begins with.
        redis_prefix: String,
        /// Holds the truth; names the database.
        mongodb_uri: ServerUrl,
        /// The most connections to each MongoDB server.
        mongodb_pool_size: u32,
    },
}

/// Passwords and tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthSection {
    /// The first signs, all verify. Empty in embedded mode when none is configured: then see
    /// [`super::generated_secret`].
    pub jwt_secrets: Vec<Secret>,
    /// How long an access token is valid.
    pub access_token_lifetime: Duration,
    /// How long a refresh token is valid.
    pub refresh_token_lifetime: Duration,
    /// Threads that hash passwords.
    pub password_threads: usize,
    /// The most requests that wait for them.
    pub password_queue: usize,
}

/// What one request may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsSection {
    /// The longest message, in bytes of UTF-8.
    pub content_bytes: usize,
    /// The most members of a room.
    pub room_members: usize,
    /// The most users one session may watch.
    pub watched_users: usize,
    /// The most requests a second of one session; 0 for no limit.
    pub session_rate: u32,
    /// The most requests a second of one user on this gateway; 0 for no limit.
    pub user_rate: u32,
    /// The most sign-in requests a second from one address; 0 for no limit.
    pub sign_in_rate: u32,
    /// The most rooms a user may make in a day; 0 for no limit.
    pub rooms_made: u32,
    /// The most rooms a user may be in; 0 for no limit.
    pub rooms: usize,
    /// How often a user may be added to rooms by others in a day; 0 for no limit.
    pub additions: u32,
    /// The most direct conversations a user may begin in an hour; 0 for no limit.
    pub new_conversations: u32,
    /// How users may look for others.
    pub user_search: UserSearch,
    /// The most searches a second of one user on this gateway; 0 for no limit.
    pub search_rate: u32,
    /// Who learns when a user was last seen.
    pub last_seen: LastSeen,
    /// The most sessions at once.
    pub sessions: usize,
    /// The most of one user.
    pub user_sessions: usize,
    /// The most from one address.
    pub address_sessions: usize,
    /// The most clients that have not said who they are.
    pub anonymous: usize,
    /// The most of them a second from one address; 0 for no limit.
    pub handshake_rate: u32,
}

/// Client connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionsSection {
    /// How many bytes may wait to be written to one session.
    pub outbox_bytes: usize,
    /// The largest frame or polling payload taken, in bytes.
    pub frame_bytes: usize,
    /// How long a client whose handshake carried no token may take to send one.
    pub hello_timeout: Duration,
    /// Time between two pings to a client.
    pub ping_interval: Duration,
    /// How long a client may take to answer a ping.
    pub ping_timeout: Duration,
}

/// Who counts as online, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceSection {
    /// How long a gateway's lease lives without renewal.
    pub lease_ttl: Duration,
    /// Between two renewals of the lease.
    pub lease_heartbeat: Duration,
    /// How long a user's presence entry lives without renewal.
    pub presence_ttl: Duration,
    /// Between a user's last session and their being shown offline.
    pub offline_grace: Duration,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggingSection {
    /// A filter in tracing-subscriber's syntax, checked.
    pub filter: String,
    /// The form of a line.
    pub format: LogFormat,
}

const fn seconds(least: u64, most: u64) -> RangeInclusive<Duration> {
    Duration::from_secs(least)..=Duration::from_secs(most)
}

const DAY: u64 = 86_400;
const MIB: usize = 1024 * 1024;
/// More connections or sessions than any gateway has.
const MOST: usize = 10_000_000;

/// How many one user or address may have; 0 is as many as they want.
fn most_of_one(reader: &Reader<'_>, name: &'static str) -> Result<usize, StartError> {
    let most = reader.number(name, 0..=MOST)?;
    Ok(if most == 0 { usize::MAX } else { most })
}

impl ServerSection {
    pub(super) fn read(reader: &Reader<'_>) -> Result<Self, StartError> {
        let listen = reader.required("listen", parse_address)?;
        let admin_listen = reader.required("admin_listen", parse_address)?;
        if overlap(listen, admin_listen) {
            let message =
                format!("listen ({listen}) and admin_listen ({admin_listen}) take the same port");
            reader.contradict(("listen", "admin_listen"), &message);
        }
        Ok(Self {
            listen,
            admin_listen,
            admin_token: reader.optional("admin_token", parse_secret),
            admin_hosts: reader.list("admin_hosts", parse_host),
            hsts: reader.duration("hsts", seconds(0, 730 * DAY))?,
            connection_limit: reader.number("connection_limit", 1..=MOST)?,
            address_connection_limit: most_of_one(reader, "address_connection_limit")?,
            cors_origins: reader.list("cors_origins", parse_origin),
            session_prefix: reader.optional("session_prefix", parse_prefix),
            trusted_proxies: reader.list("trusted_proxies", parse_network),
            client_timeout: reader.duration("client_timeout", seconds(1, 600))?,
            drain_grace: reader.duration("drain_grace", seconds(0, 3600))?,
        })
    }
}

/// Whether two sockets cannot both be had: of one port, when the addresses are the same, or one of them is all.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    // An unspecified IPv6 address takes IPv4 as well.
    let covers = |all: SocketAddr, part: SocketAddr| {
        all.ip().is_unspecified() && (all.is_ipv6() || part.is_ipv4())
    };
    let same = one.ip() == other.ip() || covers(one, other) || covers(other, one);
    one.port() != 0 && one.port() == other.port() && same
}

impl Backends {
    pub(super) fn read(reader: &Reader<'_>, environment: &Environment) -> Result<Self, StartError> {
        let redis_url = reader.optional("redis_url", urls::redis);
        let redis_prefix = reader.required("redis_prefix", urls::redis_prefix)?;
        let mongodb_uri = reader.optional("mongodb_uri", urls::mongodb);
        let pool_size = reader.number("mongodb_pool_size", 2..=1000)?;
        // One that is wrong has been noted; it is not missing.
        let is_set = |name| reader.text(name).is_some();
        match (is_set("redis_url"), is_set("mongodb_uri")) {
            (false, true) => reader.note(partner_missing("redis_url", "mongodb_uri")),
            (true, false) => reader.note(partner_missing("mongodb_uri", "redis_url")),
            _ => {}
        }
        if let (Some(redis_url), Some(mongodb_uri)) = (redis_url, mongodb_uri) {
            return Ok(Self::Clustered {
                redis_url,
                redis_prefix,
                mongodb_uri,
                mongodb_pool_size: u32::try_from(pool_size).unwrap_or(u32::MAX),
            });
        }
        let data_dir = data_dir(reader, environment).unwrap_or_else(|fault| {
            if !is_set("redis_url") && !is_set("mongodb_uri") {
                reader.note(fault);
            }
            PathBuf::new()
        });
        Ok(Self::Embedded { data_dir })
    }
}

fn partner_missing(missing: &'static str, present: &str) -> StartError {
    let message =
        format!("missing, although {present} is set; the two are set together or not at all");
    StartError::of(missing, message)
}

fn data_dir(reader: &Reader<'_>, environment: &Environment) -> Result<PathBuf, StartError> {
    let home = || {
        let message = "HOME is not set, so there is no default: set the directory";
        let home = environment.get("HOME").map(PathBuf::from);
        home.ok_or_else(|| reader.error("data_dir", message))
    };
    match (reader.text("data_dir"), environment.get("XDG_DATA_HOME")) {
        (Some(path), _) => match path.strip_prefix("~/") {
            Some(rest) => Ok(home()?.join(rest)),
            None => Ok(PathBuf::from(path)),
        },
        // The XDG base directory specification has relative paths ignored.
        (None, Some(data)) if data.starts_with('/') => Ok(PathBuf::from(data).join("hobnob")),
        (None, _) => Ok(home()?.join(".local/share/hobnob")),
    }
}

impl AuthSection {
    pub(super) fn read(reader: &Reader<'_>) -> Result<Self, StartError> {
        let is_set = |name| reader.text(name).is_some();
        if is_set("redis_url") && is_set("mongodb_uri") && !is_set("jwt_secret") {
            let message =
                "missing: with Redis and MongoDB, all gateways must be given the same secret";
            reader.note(StartError::of("jwt_secret", message));
        }
        let jwt_secrets = reader.list("jwt_secret", parse_secret);
        Ok(Self {
            jwt_secrets,
            access_token_lifetime: reader.duration("access_token_lifetime", seconds(10, DAY))?,
            refresh_token_lifetime: reader
                .duration("refresh_token_lifetime", seconds(60, 400 * DAY))?,
            password_threads: reader.number("password_threads", 1..=64)?,
            password_queue: reader.number("password_queue", 1..=100_000)?,
        })
    }
}

impl LimitsSection {
    pub(super) fn read(reader: &Reader<'_>) -> Result<Self, StartError> {
        let rate = |name| -> Result<u32, StartError> {
            let rate = reader.number(name, 0..=1_000_000)?;
            Ok(u32::try_from(rate).unwrap_or(u32::MAX))
        };
        Ok(Self {
            session_rate: rate("session_rate")?,
            user_rate: rate("user_rate")?,
            sign_in_rate: rate("sign_in_rate")?,
            rooms_made: rate("rooms_made_limit")?,
            rooms: reader.number("rooms_limit", 0..=100_000)?,
            additions: rate("additions_limit")?,
            new_conversations: rate("new_conversations_limit")?,
            user_search: reader.required("user_search", parse_search)?,
            search_rate: rate("search_rate")?,
            last_seen: reader.required("last_seen", parse_last_seen)?,
            handshake_rate: rate("handshake_rate")?,
            sessions: reader.number("session_limit", 1..=MOST)?,
            user_sessions: most_of_one(reader, "user_session_limit")?,
            address_sessions: most_of_one(reader, "address_session_limit")?,
            anonymous: reader.number("anonymous_limit", 10..=MOST)?,
            content_bytes: reader.number("content_limit", 1..=MIB)?,
            room_members: reader.number("room_member_limit", 2..=100_000)?,
            watched_users: reader.number("watch_limit", 1..=10_000)?,
        })
    }
}

/// The smallest outbox whatever the limit on messages.
const LEAST_OUTBOX: usize = 64 * 1024;

impl SessionsSection {
    pub(super) fn read(reader: &Reader<'_>, limits: &LimitsSection) -> Result<Self, StartError> {
        let frame_bytes = reader.number("frame_limit", 1024..=16 * MIB)?;
        let outbox_bytes = reader.number("outbox_bytes", LEAST_OUTBOX..=256 * MIB)?;
        let fits = |name: &'static str, is: usize, least: usize| {
            if is < least {
                let (content, is) = (show_bytes(&limits.content_bytes), show_bytes(&is));
                let message = format!(
                    "a content_limit of {content} needs {name} to be at least {least}, and it is {is}"
                );
                reader.contradict(("content_limit", name), &message);
            }
        };
        // A message's frame holds the content and a little more; JSON escapes may need more than this, which the
        // default leaves room for.
        fits("frame_limit", frame_bytes, limits.content_bytes + 1024);
        // Backlog goes out while at most half is queued: two of the largest frames must fit, escapes included.
        let two_frames = 2 * (6 * limits.content_bytes + 1024);
        fits("outbox_bytes", outbox_bytes, two_frames);
        Ok(Self {
            outbox_bytes,
            frame_bytes,
            hello_timeout: reader.duration("hello_timeout", seconds(1, 300))?,
            ping_interval: reader.duration("ping_interval", seconds(1, 300))?,
            ping_timeout: reader.duration("ping_timeout", seconds(1, 300))?,
        })
    }
}

impl PresenceSection {
    pub(super) fn read(reader: &Reader<'_>) -> Result<Self, StartError> {
        let lease_ttl = reader.duration("lease_ttl", seconds(2, 300))?;
        let least = Duration::from_millis(100);
        let lease_heartbeat =
            reader.duration("lease_heartbeat", least..=Duration::from_secs(150))?;
        if lease_heartbeat > lease_ttl / 2 {
            let (ttl, heartbeat) = (show_duration(&lease_ttl), show_duration(&lease_heartbeat));
            let message =
                format!("lease_heartbeat ({heartbeat}) is more than half of lease_ttl ({ttl})");
            reader.contradict(("lease_ttl", "lease_heartbeat"), &message);
        }
        let presence_ttl = reader.duration("presence_ttl", seconds(2, DAY))?;
        if presence_ttl < lease_ttl {
            let (ttl, presence) = (show_duration(&lease_ttl), show_duration(&presence_ttl));
            let message = format!("presence_ttl ({presence}) is less than lease_ttl ({ttl})");
            reader.contradict(("lease_ttl", "presence_ttl"), &message);
        }
        Ok(Self {
            lease_ttl,
            lease_heartbeat,
            presence_ttl,
            offline_grace: reader.duration("offline_grace", seconds(0, 300))?,
        })
    }
}

impl LoggingSection {
    pub(super) fn read(reader: &Reader<'_>) -> Result<Self, StartError> {
        Ok(Self {
            filter: reader.required("log", parse_filter)?,
            format: reader.required("log_format", parse_format)?,
        })
    }
}
