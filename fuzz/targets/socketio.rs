//! Socket.IO packets, their arguments, and what is written back of them.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hobnob::fuzzing::socketio(bytes));

/// Without the fuzzer's instrumentation there is nothing to run; `fuzz/run.sh` builds with it.
#[cfg(not(fuzzing))]
fn main() {}
