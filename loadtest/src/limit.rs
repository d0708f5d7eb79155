//! The limit: a server that does nothing but write one pre-built frame to the sockets of a room, at a pace. Whatever has to
//! parse, store, order or count cannot be cheaper. Knows WebSocket's handshake and no chat.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::{Invalid, Verdict};

/// As small as the product's: an idle connection is to cost the least.
const READ_BUFFER: usize = 1024;
/// How often it is looked whether everybody has come.
const LOOK: Duration = Duration::from_millis(20);
/// A WebSocket frame's opcode for text, with the bit that says it is whole.
const WHOLE_TEXT: u8 = 0x81;
/// Payloads below this have their length in the second byte; those of 16 bits have this one there.
const SHORT: usize = 126;

/// `hobnob-load limit`.
#[derive(Debug, Clone, clap::Args)]
pub struct LimitOptions {
    /// Where it listens, on 127.0.0.1
    #[arg(long)]
    pub port: u16,
    /// Rooms; connections are put into them one room after the other
    #[arg(long, default_value_t = 10)]
    pub rooms: usize,
    /// Members of each; writing begins when all have come
    #[arg(long, default_value_t = 100)]
    pub members: usize,
    /// Messages a second over all rooms; 0 for as many as go
    #[arg(long, default_value_t = 100.0)]
    pub rate: f64,
    /// Bytes of a frame's payload
    #[arg(long, default_value_t = 300)]
    pub bytes: usize,
    /// How long it writes, in seconds; the connections stay
    #[arg(long, default_value_t = 30)]
    pub seconds: u64,
}

/// Serves until it is killed.
///
/// # Errors
/// When it cannot listen.
pub async fn command(options: &LimitOptions) -> Result<Verdict, Invalid> {
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
    let sockets = Arc::new(Mutex::new(Vec::new()));
    tokio::spawn(accept(listener, Arc::clone(&sockets)));
    let wanted = options.rooms * options.members;
    while sockets.lock().await.len() < wanted || wanted == 0 {
        tokio::time::sleep(LOOK).await;
    }
    let mut sockets = std::mem::take(&mut *sockets.lock().await);
    write(&mut sockets, options).await?;
    std::future::pending().await
}

async fn accept(listener: TcpListener, sockets: Arc<Mutex<Vec<TcpStream>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let sockets = Arc::clone(&sockets);
        tokio::spawn(async move {
            // Latency only.
            let _ = stream.set_nodelay(true);
            let config = WebSocketConfig::default()
                .read_buffer_size(READ_BUFFER)
                .write_buffer_size(0);
            let opened = tokio_tungstenite::accept_async_with_config(stream, Some(config)).await;
            if let Ok(socket) = opened {
                sockets.lock().await.push(socket.into_inner());
            }
        });
    }
}

async fn write(sockets: &mut [TcpStream], options: &LimitOptions) -> Result<(), Invalid> {
    let (frame, begin) = (frame(options.bytes), Instant::now());
    let end = begin + Duration::from_secs(options.seconds);
    let interval = match options.rate > 0.0 {
        true => Duration::from_secs_f64(1.0 / options.rate),
        false => Duration::ZERO,
    };
    let mut due = begin;
    for room in (0..options.rooms).cycle() {
        if due >= end || Instant::now() >= end {
            return Ok(());
        }
        if !interval.is_zero() {
            sleep_until(due).await;
        }
        for socket in &mut sockets[room * options.members..(room + 1) * options.members] {
            socket.write_all(&frame).await?;
        }
        due += interval;
    }
    Ok(())
}

/// One unmasked text frame; RFC 6455, section 5.2.
fn frame(bytes: usize) -> Vec<u8> {
    let mut frame = vec![WHOLE_TEXT];
    match (u8::try_from(bytes), u16::try_from(bytes)) {
        (Ok(length), _) if bytes < SHORT => frame.push(length),
        (_, length) => {
            frame.push(126);
            frame.extend(length.unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    frame.resize(frame.len() + bytes.min(usize::from(u16::MAX)), b'x');
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_say_their_length() {
        assert_eq!(frame(5), [0x81, 5, b'x', b'x', b'x', b'x', b'x']);
        assert_eq!(frame(300)[..4], [0x81, 126, 1, 44]);
        assert_eq!(frame(300).len(), 304);
        assert_eq!(frame(126)[..4], [0x81, 126, 0, 126]);
    }
}
