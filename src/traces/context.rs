//! A place in a trace, as it travels: in an envelope between gateways, in the header `traceparent` from a client. Knows no
//! span.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// The header of W3C Trace Context (<https://www.w3.org/TR/trace-context/>).
pub const TRACE_PARENT: &str = "traceparent";

/// A place in a trace: what a further span hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace: TraceId,
    span: SpanId,
    flags: TraceFlags,
}

impl TraceContext {
    /// How many bytes [`Self::to_bytes`] gives.
    pub const BYTES: usize = 25;

    pub(super) fn of(context: &SpanContext) -> Self {
        Self {
            trace: context.trace_id(),
            span: context.span_id(),
            flags: context.trace_flags(),
        }
    }

    pub(super) fn to_span_context(self) -> SpanContext {
        SpanContext::new(self.trace, self.span, self.flags, true, TraceState::NONE)
    }

    /// The trace's id, the span's and the flags, as they are.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.trace.to_bytes());
        bytes[16..24].copy_from_slice(&self.span.to_bytes());
        bytes[24] = self.flags.to_u8();
        bytes
    }

    /// What [`Self::to_bytes`] gave; none when it is no place in a trace.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (trace, rest) = bytes.split_first_chunk::<16>()?;
        let (span, rest) = rest.split_first_chunk::<8>()?;
        let [flags] = rest else { return None };
        Self::valid(
            TraceId::from_bytes(*trace),
            SpanId::from_bytes(*span),
            *flags,
        )
    }

    /// A `traceparent` header: version, trace id, parent id and flags in lower-case hexadecimal. A later version may say
    /// more after the flags.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let mut next = |digits: usize| {
            let is_hex = |part: &str| {
                part.bytes()
                    .all(|sign| matches!(sign, b'0'..=b'9' | b'a'..=b'f'))
            };
            parts
                .next()
                .filter(|part| part.len() == digits && is_hex(part))
        };
        let (version, trace, span, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        let is_over = parts.next().is_none();
        if version == "ff" || (version == "00" && !is_over) {
            return None;
        }
        Self::valid(
            TraceId::from_hex(trace).ok()?,
            SpanId::from_hex(span).ok()?,
            u8::from_str_radix(flags, 16).ok()?,
        )
    }

    fn valid(trace: TraceId, span: SpanId, flags: u8) -> Option<Self> {
        let is_valid = trace != TraceId::INVALID && span != SpanId::INVALID;
        is_valid.then_some(Self {
            trace,
            span,
            // Bits that nobody has defined yet are not passed on.
            flags: TraceFlags::new(flags) & TraceFlags::SAMPLED,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_is_read_and_survives_the_envelope() {
        let context = TraceContext::parse(HEADER).unwrap();
        let bytes = context.to_bytes();
        assert_eq!((bytes[0], bytes[16], bytes[24]), (0x4b, 0x00, 1));
        assert_eq!(TraceContext::from_bytes(&bytes), Some(context));
        assert_eq!(TraceContext::from_bytes(&bytes[1..]), None);
        assert_eq!(TraceContext::from_bytes(&[0; 25]), None);
        let later = HEADER.replacen("00", "01", 1) + "-more";
        assert_eq!(TraceContext::parse(&later), Some(context));
    }

    #[test]
    fn what_is_no_header_is_ignored() {
        for wrong in [
            "",
            "00",
            &HEADER.to_uppercase(),
            &HEADER.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &HEADER.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &HEADER.replacen("00", "ff", 1),
            &HEADER[..HEADER.len() - 1],
            &format!("{HEADER}-more"),
        ] {
            assert_eq!(TraceContext::parse(wrong), None, "{wrong}");
        }
    }
}
