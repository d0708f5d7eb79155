//! Tasks that never yield: they are named by `/livez`, and a signal ends their process all the same (D39).

use std::sync::atomic::{AtomicBool, Ordering};

use super::tests::{GENEROUS, closed, listeners};
use super::*;
use crate::domain::{Entropy, SessionId};
use crate::logging::served::{Served, serving};

/// As in a process that serves, with its workers.
fn serving_runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

/// Asks the admin port from this thread alone; the status line and the body's last line.
fn ask_plainly(address: SocketAddr, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(GENEROUS)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn until_live(address: SocketAddr, wanted: impl Fn(&str) -> bool) {
    let deadline = std::time::Instant::now() + GENEROUS;
    loop {
        let answer = ask_plainly(address, "/livez");
        if wanted(&answer) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{answer}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Lets the workers go when the test ends, however: their runtime waits for them.
struct Spinning(Arc<AtomicBool>);

impl Drop for Spinning {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[test]
fn a_session_that_does_not_yield_is_named_by_livez_which_answers_whatever_the_workers_do() {
    let runtime = serving_runtime();
    let spinning = Spinning(Arc::new(AtomicBool::new(true)));
    let session = SessionId::generate(&Entropy::seeded(7));
    let (metrics, exporter) = Metrics::exported().unwrap();
    let readiness = Arc::new(Readiness::new(metrics));
    let address = {
        let _inside = runtime.enter();
        let (listeners, _) = listeners(10);
        let address = listeners.admin.listener.local_addr().unwrap();
        listeners
            .serve_admin(&readiness, &exporter, closed())
            .unwrap();
        let look = Duration::from_millis(100);
        watch(&readiness, WatchdogPace { look, looks: 5 }).unwrap();
        address
    };
    until_live(address, |answer| answer.contains("200 OK"));
    // On every worker, so that nothing of this runtime goes on.
    for _ in 0..2 {
        let spinning = Arc::clone(&spinning.0);
        let spin = async move {
            while spinning.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        };
        let whom = Served::Session(session);
        runtime.spawn(serving(whom, spin));
    }
    let named = format!("session_id={session}");
    until_live(address, |answer| {
        answer.contains(" 503 ") && answer.contains(&named)
    });
    let metrics = ask_plainly(address, "/metrics");
    assert!(metrics.contains("\nhobnob_live 0\n"), "{metrics}");
    drop(spinning);
    until_live(address, |answer| answer.contains("200 OK"));
}

/// Set for the process that the next test starts of itself.
const SPINNING: &str = "HOBNOB_TEST_SPINNING";

#[test]
fn a_signal_ends_a_process_whose_workers_all_spin() {
    if std::env::var_os(SPINNING).is_some() {
        spin_for_ever();
    }
    let name = "lifecycle::spinning_tests::a_signal_ends_a_process_whose_workers_all_spin";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(SPINNING, "yes")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut lines = std::io::BufRead::lines(lines).map_while(Result::ok);
    assert!(lines.any(|line| line.contains("all workers spin")));
    let pid = child.id().to_string();
    let mut kill = std::process::Command::new("kill");
    assert!(kill.args(["-s", "TERM", &pid]).status().unwrap().success());
    let deadline = std::time::Instant::now() + GENEROUS;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if std::time::Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it outlives the signal");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(1));
}

fn spin_for_ever() -> ! {
    let runtime = serving_runtime();
    let inside = runtime.enter();
    let (_sender, _signals) = Signals::listen(Duration::ZERO).unwrap();
    drop(inside);
    let spinning = Arc::new(std::sync::Barrier::new(3));
    for _ in 0..2 {
        let spinning = Arc::clone(&spinning);
        runtime.spawn(async move {
            spinning.wait();
            loop {
                std::hint::spin_loop();
            }
        });
    }
    spinning.wait();
    println!("all workers spin");
    loop {
        std::thread::park();
    }
}
