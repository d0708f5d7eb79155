//! Texts that become values: names, contents, ids, tokens, traceparents, addresses of servers.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hobnob::fuzzing::text(bytes));

/// Without the fuzzer's instrumentation there is nothing to run; `fuzz/run.sh` builds with it.
#[cfg(not(fuzzing))]
fn main() {}
