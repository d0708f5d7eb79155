//! One suite per port, run over every adapter.

/// Makes every case a test of its own over the module's two rigs, `Local` and `Redis`.
macro_rules! over_every_adapter {
    ($($case:ident),* $(,)?) => {
        mod local {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case::<super::Local>().await;
            })*
        }
        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case::<super::Redis>().await;
            })*
        }
    };
}

// `cfg(test)` holds for all of this binary; said here, it tells clippy that `unwrap` is at home in the suite.
mod bus;
mod bus_faults;
mod presence;
mod presence_faults;
mod redis_cluster;
#[cfg(test)]
mod store;
mod throttle;
