//! The health check of containers: asks a gateway's admin port with a few lines of HTTP/1.0, so that an image needs no
//! other tool. Knows nothing of what makes a gateway healthy.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// For connecting, for writing and for each read.
const PATIENCE: Duration = Duration::from_secs(2);

/// The most of an answer that is read.
const ANSWER_LIMIT: u64 = 64 * 1024;

/// Asks for a path at the admin address.
///
/// # Errors
/// When there is no answer, or another status than 200; the text says what came instead.
pub fn ask(admin: SocketAddr, path: &str) -> Result<(), String> {
    let address = reachable(admin);
    let answer =
        request(address, path).map_err(|error| format!("no answer from {address}: {error}"))?;
    let mut lines = answer.lines();
    let status = lines.next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    let body = lines.next_back().unwrap_or_default();
    Err(format!("{path} at {address}: {status}: {body}"))
}

/// An address that means "all of this machine's" is asked at the loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

fn request(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_LIMIT).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
