//! WebSocket frames as bytes, for clients that say what no library would (RFC 6455, section 5). Knows no connection.

/// In the first byte: the last, or only, frame of a message.
pub(crate) const FINAL: u8 = 0x80;

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;

/// In the second byte: the payload is masked.
const MASKED: u8 = 0x80;

/// A frame with this first byte, masked as a client must (section 5.3).
pub(crate) fn frame(head: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xFA, 0x21, 0x3D];
    let mut frame = vec![head];
    match u16::try_from(payload.len()) {
        Ok(length) if length < 126 => frame.push(MASKED | payload.len() as u8),
        Ok(length) => {
            frame.push(MASKED | 126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(MASKED | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}
