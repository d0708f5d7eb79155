//! What comes over the bus, behind its seal: events, heads, presence, delegated requests and answers.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hobnob::fuzzing::envelope(bytes));

/// Without the fuzzer's instrumentation there is nothing to run; `fuzz/run.sh` builds with it.
#[cfg(not(fuzzing))]
fn main() {}
