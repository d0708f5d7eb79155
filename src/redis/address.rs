//! The forms of a Redis address, each read in one place: `check-config` and the connections share it. Knows no I/O, and
//! quotes nothing that may be a password.

/// Where a Redis listens when its address names no port.
const SERVER_PORT: u16 = 6379;
/// The port of a Sentinel whose address names none.
const SENTINEL_PORT: u16 = 26379;
/// The parameter that names what the Sentinels watch.
const SERVICE: &str = "sentinelServiceName";

/// A Redis address that was understood.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress {
    pub(super) deployment: Deployment,
    pub(super) tls: bool,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    /// Of a cluster and of Sentinels as many as are named; otherwise one.
    pub(super) hosts: Vec<Host>,
    pub(super) database: Option<u8>,
}

/// What answers at the hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deployment {
    /// One Redis server.
    Single,
    /// Some nodes of a cluster, which knows the others.
    Cluster,
    /// Sentinels, which know the primary by this name.
    Sentinel(String),
}

/// One server's name and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    /// A name, an IPv4 address, or an IPv6 address in brackets.
    pub(super) name: String,
    pub(super) port: u16,
}

/// A scheme, without the second `s` that means TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Single,
    Cluster,
    Sentinel,
}

impl Scheme {
    const ALL: [Self; 3] = [Self::Single, Self::Cluster, Self::Sentinel];

    /// The scheme, and whether it asks for TLS.
    fn read(text: &str) -> Option<(Self, bool)> {
        let found = |tls: bool| Self::ALL.into_iter().find(|it| it.name(tls) == text);
        found(false)
            .map(|scheme| (scheme, false))
            .or_else(|| found(true).map(|scheme| (scheme, true)))
    }

    const fn name(self, tls: bool) -> &'static str {
        match (self, tls) {
            (Self::Single, false) => "redis",
            (Self::Single, true) => "rediss",
            (Self::Cluster, false) => "redis-cluster",
            (Self::Cluster, true) => "rediss-cluster",
            (Self::Sentinel, false) => "redis-sentinel",
            (Self::Sentinel, true) => "rediss-sentinel",
        }
    }

    /// How an address of this scheme is written.
    const fn form(self) -> &'static str {
        match self {
            Self::Single => "redis[s]://[user:password@]host[:port][/database]",
            Self::Cluster => "redis[s]-cluster://[user:password@]host[:port][,host[:port]...]",
            Self::Sentinel => {
                "redis[s]-sentinel://[user:password@]sentinel[:port][,sentinel[:port]...][/database]\
                 ?sentinelServiceName=name"
            }
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Single | Self::Cluster => SERVER_PORT,
            Self::Sentinel => SENTINEL_PORT,
        }
    }
}

impl RedisAddress {
    /// Reads an address. Of `redis://` there is one host, of `redis-cluster://` and `redis-sentinel://` there are one or
    /// more, separated by commas.
    ///
    /// # Errors
    /// What is wrong with it and how it is written, without quoting credentials.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, tls, rest) = split_scheme(text)?;
        Self::after_scheme(scheme, tls, rest)
            .map_err(|fault| format!("{fault}; the form is {}", scheme.form()))
    }

    fn after_scheme(scheme: Scheme, tls: bool, text: &str) -> Result<Self, String> {
        let (rest, query) = text.split_once('?').unwrap_or((text, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.contains('@') || query.contains('@') {
            let fault = "a / ? or @ in the user name or password must be percent-encoded";
            return Err(fault.to_owned());
        }
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (credentials, hosts),
            None => ("", authority),
        };
        let (username, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        Ok(Self {
            deployment: deployment(scheme, query)?,
            tls,
            username: decoded(username)?,
            password: decoded(password)?,
            hosts: read_hosts(scheme, hosts)?,
            database: read_database(scheme, path)?,
        })
    }
}

impl std::fmt::Debug for RedisAddress {
    /// Prints the address without its credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisAddress")
            .field("deployment", &self.deployment)
            .field("tls", &self.tls)
            .field("hosts", &self.hosts)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

fn split_scheme(text: &str) -> Result<(Scheme, bool, &str), String> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("it contains white space".to_owned());
    }
    let (name, rest) = text
        .split_once("://")
        .ok_or("it is not a URL of the form scheme://host")?;
    let (scheme, tls) = Scheme::read(name).ok_or_else(|| {
        let names = Scheme::ALL.map(|scheme| [scheme.name(false), scheme.name(true)].join(", "));
        format!("the scheme must be one of {}", names.join(", "))
    })?;
    Ok((scheme, tls, rest))
}

fn deployment(scheme: Scheme, query: &str) -> Result<Deployment, String> {
    let mut service = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some((SERVICE, name)) if scheme == Scheme::Sentinel => service = decoded(name)?,
            // Its value may be anything.
            key => {
                let name = key.map_or(pair, |(name, _)| name);
                return Err(format!("it has no parameter {name}"));
            }
        }
    }
    match (scheme, service) {
        (Scheme::Single, _) => Ok(Deployment::Single),
        (Scheme::Cluster, _) => Ok(Deployment::Cluster),
        (Scheme::Sentinel, Some(name)) => Ok(Deployment::Sentinel(name)),
        (Scheme::Sentinel, None) => Err(format!("{SERVICE} is missing")),
    }
}

fn read_hosts(scheme: Scheme, text: &str) -> Result<Vec<Host>, String> {
    let hosts: Vec<Host> = text
        .split(',')
        .map(|host| read_host(host, scheme.port()))
        .collect::<Result<_, _>>()?;
    if scheme == Scheme::Single && hosts.len() > 1 {
        return Err("redis:// takes one host".to_owned());
    }
    Ok(hosts)
}

/// `host:port`, `host`, `[::1]:port` or `[::1]`.
fn read_host(text: &str, port: u16) -> Result<Host, String> {
    let (name, given) = match text.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (text, None),
    };
    if name.is_empty() {
        return Err("a host name is missing".to_owned());
    }
    let inner = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    let is_name = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    if !inner.map_or_else(
        || is_name(name),
        |ip| ip.parse::<std::net::Ipv6Addr>().is_ok(),
    ) {
        return Err(
            "a host must be a name, an IPv4 address or an IPv6 address in brackets".to_owned(),
        );
    }
    let port = match given.map(str::parse::<u16>) {
        None => port,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => {
            return Err(format!(
                "the port of {name} is not a number from 1 to 65535"
            ));
        }
    };
    let name = name.to_owned();
    Ok(Host { name, port })
}

fn read_database(scheme: Scheme, path: &str) -> Result<Option<u8>, String> {
    match (scheme, path) {
        (_, "") => Ok(None),
        (Scheme::Cluster, _) => Err("a cluster has no databases".to_owned()),
        (_, path) => path
            .parse()
            .map(Some)
            .map_err(|_| "what follows the host must be a database number, such as /0".to_owned()),
    }
}

/// A percent-encoded part (RFC 3986, 2.1); an empty one is none.
fn decoded(text: &str) -> Result<Option<String>, String> {
    let wrong = || "a % in it must begin a percent-encoded byte, such as %25".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        let digits = after
            .get(..2)
            .filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
        let digits = digits.ok_or_else(wrong)?;
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        Host {
            name: name.to_owned(),
            port,
        }
    }

    #[test]
    fn every_documented_form_is_read() {
        let single = RedisAddress::parse("rediss://me:p%40s%2Fs@cache.example.org/2").unwrap();
        assert!(single.tls && single.deployment == Deployment::Single);
        assert_eq!(single.hosts, [host("cache.example.org", 6379)]);
        assert_eq!(single.username.as_deref(), Some("me"));
        assert_eq!(single.password.as_deref(), Some("p@s/s"));
        assert_eq!(single.database, Some(2));
        let cluster = RedisAddress::parse("redis-cluster://:p@a:7000,[::1]:7001,c").unwrap();
        assert_eq!(cluster.deployment, Deployment::Cluster);
        let hosts = [host("a", 7000), host("[::1]", 7001), host("c", 6379)];
        assert_eq!(cluster.hosts, hosts);
        assert_eq!(cluster.username, None);
        let text = "redis-sentinel://s1:26379,s2/0?sentinelServiceName=my%20main";
        let sentinel = RedisAddress::parse(text).unwrap();
        assert_eq!(
            sentinel.deployment,
            Deployment::Sentinel("my main".to_owned())
        );
        assert_eq!(sentinel.hosts, [host("s1", 26379), host("s2", 26379)]);
        assert!(!sentinel.tls && sentinel.database == Some(0));
        for (text, tls) in [("redis://[::1]", false), ("rediss-cluster://h", true)] {
            assert_eq!(RedisAddress::parse(text).unwrap().tls, tls);
        }
    }

    #[test]
    fn others_are_refused_with_the_form_and_without_the_password() {
        let cases = [
            ("", "scheme://host"),
            ("127.0.0.1:6379", "scheme://host"),
            (
                "http://:hunter2@host",
                "one of redis, rediss, redis-cluster",
            ),
            ("redis://ho st", "white space"),
            (
                "redis://",
                "a host name is missing; the form is redis[s]://",
            ),
            ("redis://u:hunter2@:6379", "a host name is missing"),
            ("redis://host:99999", "the port of host"),
            ("redis://host:0", "the port of host"),
            ("redis://:hunter2@host:port", "the port of host"),
            ("redis://::1:6379", "in brackets"),
            ("redis://[hunter]", "in brackets"),
            ("redis://host/main", "a database number"),
            ("redis://host/256", "a database number"),
            ("redis://host/0/1", "a database number"),
            ("redis://u:hunter2/x@host", "percent-encoded"),
            ("redis://u:hunter2%4@host", "percent-encoded"),
            ("redis://u:hunter2%é1@host", "percent-encoded"),
            ("redis://u:hunter2%ff@host", "percent-encoded"),
            ("redis://a,b", "takes one host; the form is redis[s]://"),
            ("redis://host?timeout=hunter2", "no parameter timeout"),
            ("redis-cluster://a,", "a host name is missing"),
            (
                "redis-cluster://a/0",
                "no databases; the form is redis[s]-cluster://",
            ),
            ("redis-cluster://a?node=b:7001", "no parameter node"),
            (
                "redis-sentinel://:hunter2@a",
                "sentinelServiceName is missing",
            ),
            (
                "redis-sentinel://a?sentinelServiceName=",
                "sentinelServiceName is missing",
            ),
            (
                "redis-sentinel://a?sentinelServiceName=m&node=b",
                "no parameter node",
            ),
            (
                "redis://a?sentinelServiceName=m",
                "no parameter sentinelServiceName",
            ),
        ];
        for (text, expected) in cases {
            let message = RedisAddress::parse(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
