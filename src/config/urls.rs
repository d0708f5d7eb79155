//! Cheap checks of server addresses, so that a wrong one is named at start instead of failing to connect for ever.
//! Knows the forms, not the servers; the adapters' libraries have the last word.

use super::secret::ServerUrl;

/// The schemes of `redis_url`; a second `s` means TLS.
const REDIS_SCHEMES: &[&str] = &[
    "redis",
    "rediss",
    "redis-cluster",
    "rediss-cluster",
    "redis-sentinel",
    "rediss-sentinel",
];

/// What MongoDB URIs may not ask for, because the promises rest on the opposite (D1): every read is majority-committed
/// and from the primary, every write is acknowledged by a majority's journal.
const REQUIRED_OPTIONS: &[(&str, &str)] = &[
    ("readPreference", "primary"),
    ("readConcernLevel", "majority"),
    ("w", "majority"),
    ("journal", "true"),
];

/// The pieces of `scheme://credentials@hosts/path?query`.
struct Parts<'a> {
    scheme: &'a str,
    hosts: Vec<&'a str>,
    path: &'a str,
    query: &'a str,
}

/// Reads a Redis address.
///
/// # Errors
/// What is wrong with it, without quoting credentials.
pub(super) fn redis(text: &str) -> Result<ServerUrl, String> {
    let parts = split(text)?;
    if !REDIS_SCHEMES.contains(&parts.scheme) {
        return Err(format!(
            "the scheme must be one of {}",
            REDIS_SCHEMES.join(", ")
        ));
    }
    check_hosts(&parts.hosts)?;
    if !parts.path.is_empty() && parts.path.parse::<u16>().is_err() {
        return Err("what follows the host must be a database number, such as /0".to_owned());
    }
    Ok(ServerUrl::checked(text.to_owned()))
}

/// Reads a MongoDB connection string.
///
/// # Errors
/// What is wrong with it, without quoting credentials.
pub(super) fn mongodb(text: &str) -> Result<ServerUrl, String> {
    let parts = split(text)?;
    match parts.scheme {
        "mongodb" => check_hosts(&parts.hosts)?,
        "mongodb+srv" => check_srv(&parts.hosts)?,
        _ => return Err("it must begin with mongodb:// or mongodb+srv://".to_owned()),
    }
    check_database(parts.path)?;
    for (option, required) in REQUIRED_OPTIONS {
        check_option(parts.query, option, required)?;
    }
    Ok(ServerUrl::checked(text.to_owned()))
}

fn split(text: &str) -> Result<Parts<'_>, String> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("it contains white space".to_owned());
    }
    let (scheme, rest) = text
        .split_once("://")
        .ok_or("it is not a URL of the form scheme://host")?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if path.contains('@') || query.contains('@') {
        return Err("a / ? or @ in the user name or password must be percent-encoded".to_owned());
    }
    let hosts = authority
        .rsplit_once('@')
        .map_or(authority, |(_, hosts)| hosts);
    Ok(Parts {
        scheme,
        hosts: hosts.split(',').collect(),
        path,
        query,
    })
}

fn check_hosts(hosts: &[&str]) -> Result<(), String> {
    for host in hosts {
        let (name, port) = split_port(host);
        if name.is_empty() {
            return Err("a host name is missing".to_owned());
        }
        if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
            return Err(format!(
                "the port of {name} is not a number from 1 to 65535"
            ));
        }
    }
    Ok(())
}

/// `host:port`, `host`, `[::1]:port` or `[::1]`.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    }
}

fn check_srv(hosts: &[&str]) -> Result<(), String> {
    match hosts {
        [host] if !host.is_empty() && !host.contains(':') => Ok(()),
        _ => Err("mongodb+srv:// takes exactly one host name, without a port".to_owned()),
    }
}

fn check_database(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("the database's name is missing, as in mongodb://host/hobnob".to_owned());
    }
    if name.len() > 63 || name.contains(['/', '\\', '.', '"', '$', '*', '<', '>', ':', '|']) {
        return Err(
            "the database's name contains a character that MongoDB does not allow, or is too long"
                .to_owned(),
        );
    }
    Ok(())
}

fn check_option(query: &str, option: &str, required: &str) -> Result<(), String> {
    // Option names are compared without case, as the connection string specification has it.
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key.eq_ignore_ascii_case(option) && !value.eq_ignore_ascii_case(required) {
            return Err(format!(
                "{option} must be {required} or left out: hobnob's promises depend on it"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_documented_forms_are_taken() {
        for url in [
            "redis://127.0.0.1:6379",
            "rediss://user:pass@cache.example.org:6380/2",
            "redis-cluster://a:7000,b:7001",
            "redis-sentinel://s1:26379,s2:26379/0?sentinelServiceName=main",
            "redis://[::1]:6379",
            "redis://[::1]",
        ] {
            assert_eq!(redis(url).unwrap().expose(), url);
        }
        for uri in [
            "mongodb://127.0.0.1:27017/hobnob?replicaSet=rs0",
            "mongodb://u:p%40ss@a:1,b,c:3/chat?w=majority&readPreference=primary",
            "mongodb+srv://u:p@cluster.example.org/chat",
        ] {
            assert_eq!(mongodb(uri).unwrap().expose(), uri);
        }
    }

    #[test]
    fn others_are_refused_with_a_reason_that_shows_no_password() {
        let cases = [
            (redis("127.0.0.1:6379"), "scheme://host"),
            (redis("http://host"), "scheme"),
            (redis("redis://"), "host name"),
            (redis("redis://u:hunter2@:6379"), "host name"),
            (redis("redis://host:99999"), "port"),
            (redis("redis://host:0"), "port"),
            (redis("redis://host/main"), "database number"),
            (redis("redis://u:hunter2/x@host"), "percent-encoded"),
            (redis("redis://ho st"), "white space"),
            (mongodb("postgres://h/db"), "mongodb://"),
            (mongodb("mongodb://u:hunter2@h"), "database"),
            (mongodb("mongodb://h/"), "database"),
            (mongodb("mongodb://h/a.b"), "database"),
            (mongodb("mongodb://h,/db"), "host name"),
            (mongodb("mongodb+srv://h:27017/db"), "without a port"),
            (
                mongodb("mongodb://h/db?readConcernLevel=local"),
                "readConcernLevel",
            ),
            (
                mongodb("mongodb://h/db?readpreference=nearest"),
                "readPreference",
            ),
            (mongodb("mongodb://h/db?w=1"), "w must be majority"),
            (mongodb("mongodb://h/db?journal=false"), "journal"),
        ];
        for (result, expected) in cases {
            let message = result.unwrap_err();
            assert!(message.contains(expected), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
