//! Frames of `/ws`: the head of a request and every request's parameters.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hobnob::fuzzing::native(bytes));

/// Without the fuzzer's instrumentation there is nothing to run; `fuzz/run.sh` builds with it.
#[cfg(not(fuzzing))]
fn main() {}
