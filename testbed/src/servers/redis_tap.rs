//! Somebody who can reach a Redis: hears every channel, and publishes whatever they like.
//!
//! Speaks just enough of the Redis protocol for payloads of any bytes; refuses to understand them.

use std::io::{BufRead, BufReader, Result, Write};
use std::net::TcpStream;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Redis;

/// What was heard: channels and payloads, in order.
type Heard = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// See the module's documentation. Its thread ends with the server, or the test process.
pub struct RedisTap {
    heard: Heard,
    publisher: Mutex<BufReader<TcpStream>>,
}

impl RedisTap {
    /// Hears everything from now on.
    pub fn on(redis: &Redis) -> Self {
        let connect = || {
            let stream = TcpStream::connect(("127.0.0.1", redis.port())).expect("a connection");
            BufReader::new(stream)
        };
        let (mut subscriber, heard) = (connect(), Heard::default());
        say(subscriber.get_mut(), &[b"PSUBSCRIBE", b"*"]).expect("a command");
        read_array(&mut subscriber).expect("a confirmation");
        let noted = Arc::clone(&heard);
        std::thread::spawn(move || {
            while let Ok(mut message) = read_array(&mut subscriber) {
                // pmessage, pattern, channel, payload.
                let payload = message.pop().unwrap_or_default();
                let channel = String::from_utf8(message.pop().unwrap_or_default());
                noted.lock().push((channel.expect("a name"), payload));
            }
        });
        Self {
            heard,
            publisher: Mutex::new(connect()),
        }
    }

    /// What it has heard on channels whose names contain this.
    pub fn heard(&self, part: &str) -> Vec<(String, Vec<u8>)> {
        let heard = self.heard.lock();
        let of_it = heard.iter().filter(|(channel, _)| channel.contains(part));
        of_it.cloned().collect()
    }

    /// Publishes; returns how many have heard it, itself included.
    pub fn publish(&self, channel: &str, payload: &[u8]) -> i64 {
        let mut publisher = self.publisher.lock();
        say(
            publisher.get_mut(),
            &[b"PUBLISH", channel.as_bytes(), payload],
        )
        .expect("a command");
        let mut line = String::new();
        publisher.read_line(&mut line).expect("an answer");
        let count = line.trim_end().strip_prefix(':');
        count.and_then(|count| count.parse().ok()).expect("a count")
    }
}

fn say(stream: &mut TcpStream, arguments: &[&[u8]]) -> Result<()> {
    let mut request = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        request.extend(format!("${}\r\n", argument.len()).into_bytes());
        request.extend(*argument);
        request.extend(b"\r\n");
    }
    stream.write_all(&request)
}

/// Bulk strings; of an integer its digits.
fn read_array(input: &mut impl BufRead) -> Result<Vec<Vec<u8>>> {
    let count = read_number(input)?.1;
    let mut items = Vec::new();
    for _ in 0..count {
        let (kind, number) = read_number(input)?;
        if kind == b':' {
            items.push(number.to_string().into_bytes());
            continue;
        }
        let mut bytes = vec![0; number + 2];
        input.read_exact(&mut bytes)?;
        bytes.truncate(number);
        items.push(bytes);
    }
    Ok(items)
}

fn read_number(input: &mut impl BufRead) -> Result<(u8, usize)> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let kind = line.as_bytes()[0];
    Ok((kind, line[1..].trim_end().parse().expect("a number")))
}
