//! What single values look like as text: addresses, origins, filters. Knows no setting.

use std::net::SocketAddr;

use super::reader::not_a;
use crate::auth::Secret;
use crate::chat::{LastSeen, UserSearch};
use crate::domain::Network;

pub(super) fn parse_secret(text: &str) -> Result<Secret, String> {
    Secret::parse(text).map_err(|error| error.to_string())
}

pub(super) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        not_a(
            text,
            "IP address and port, such as 127.0.0.1:3000 or [::]:3000",
        )
    })
}

pub(super) fn parse_host(text: &str) -> Result<String, String> {
    let is_label = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !text.is_empty() && text.chars().all(is_label) {
        return Ok(text.to_owned());
    }
    Err(not_a(
        text,
        "host name without a port, such as hobnob-admin.prod.svc",
    ))
}

pub(super) fn parse_network(text: &str) -> Result<Network, String> {
    text.parse()
        .map_err(|_| not_a(text, "range of IP addresses, such as 10.0.0.0/8"))
}

pub(super) fn parse_prefix(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if text.len() <= 32 && text.bytes().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err(not_a(
            text,
            "name of 1 to 32 letters, digits and hyphens, such as gateway1",
        ))
    }
}

pub(super) fn parse_origin(text: &str) -> Result<String, String> {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let plain = |host: &str| {
        !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(c))
    };
    if host.is_some_and(plain) {
        return Ok(text.to_owned());
    }
    Err(not_a(
        text,
        "web origin, such as https://chat.example.org (without a path)",
    ))
}

/// A bare word that is no level would be taken for the name of a part, and silence everything else.
pub(super) fn parse_filter(text: &str) -> Result<String, String> {
    let expected = "log filter, such as info or info,hobnob::bus=debug";
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    let known = |directive: &str| {
        directive.contains('=') || levels.contains(&directive.trim().to_ascii_lowercase().as_str())
    };
    let filter = tracing_subscriber::EnvFilter::try_new(text);
    if filter.is_err() || !text.split(',').all(known) {
        return Err(not_a(text, expected));
    }
    Ok(text.to_owned())
}

pub(super) fn parse_search(text: &str) -> Result<UserSearch, String> {
    match text {
        "off" => Ok(UserSearch::Off),
        "exact" => Ok(UserSearch::Exact),
        "prefix" => Ok(UserSearch::Prefix),
        _ => Err(not_a(text, "way to look for users: off, exact or prefix")),
    }
}

pub(super) fn parse_last_seen(text: &str) -> Result<LastSeen, String> {
    match text {
        "contacts" => Ok(LastSeen::Contacts),
        "anybody" => Ok(LastSeen::Anybody),
        _ => Err(not_a(text, "circle of users: contacts or anybody")),
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Lines for people to read.
    Text,
    /// Text on a terminal, JSON otherwise.
    Auto,
}

pub(super) fn parse_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "json" => Ok(LogFormat::Json),
        "text" => Ok(LogFormat::Text),
        "auto" => Ok(LogFormat::Auto),
        _ => Err(not_a(text, "log format: json, text or auto")),
    }
}
