//! Checks of server addresses, so that a wrong one is named by `check-config` and at start, in the same words. Knows
//! MongoDB's form; the adapters, which will read the addresses again, have the last word.

use super::secret::ServerUrl;
use crate::redis::{RedisAddress, RedisConfig};
use crate::store::mongo::MongoConfig;

/// The pieces of `scheme://credentials@hosts/path?query`.
struct UrlParts<'a> {
    scheme: &'a str,
    hosts: Vec<&'a str>,
    path: &'a str,
}

/// Reads a Redis address, as the connections will.
///
/// # Errors
/// What is wrong with it, without quoting credentials.
pub(super) fn redis(text: &str) -> Result<ServerUrl, String> {
    RedisAddress::parse(text).map(|_| ServerUrl::checked(text.to_owned()))
}

/// Reads what the keys and channels in Redis begin with.
///
/// # Errors
/// What is wrong with it.
pub(super) fn redis_prefix(text: &str) -> Result<String, String> {
    RedisConfig::check_prefix(text)
        .map(|()| text.to_owned())
        .map_err(|error| error.to_string())
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
    // The driver's own reading, and what hobnob's promises need (D1).
    MongoConfig::new(text)
        .check()
        .map_err(|error| error.to_string())?;
    Ok(ServerUrl::checked(text.to_owned()))
}

fn split(text: &str) -> Result<UrlParts<'_>, String> {
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
    Ok(UrlParts {
        scheme,
        hosts: hosts.split(',').collect(),
        path,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_documented_forms_are_taken() {
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
            (mongodb("mongodb://h/db?w=1"), "w=majority"),
            (mongodb("mongodb://h/db?maxPoolSize=hunter"), "maxpoolsize"),
            (mongodb("redis://h"), "mongodb://"),
            (mongodb("mongodb://h/db?journal=false"), "journal"),
        ];
        for (result, expected) in cases {
            let message = result.unwrap_err();
            assert!(message.contains(expected), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
