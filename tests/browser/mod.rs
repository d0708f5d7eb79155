//! The bundled web page in headless Chromium against a real gateway: two people, each in a tab of their own. What they do
//! is in `tests/clients/browser.mjs`.

use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::timeout;

use crate::support::gateway::Gateway;
use crate::support::leash::repository;

/// Ends a test that would hang; each step of the script has a shorter deadline of its own.
const HANG: Duration = Duration::from_secs(180);

/// The names Chromium has on the systems we know.
const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

fn browser() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let places = path.split(':').flat_map(|folder| {
        let candidates = BROWSERS.iter();
        candidates.map(move |name| format!("{folder}/{name}"))
    });
    let mut found = places.filter(|place| std::path::Path::new(place).is_file());
    found.next().expect("no Chromium: run `make tools`")
}

/// Set `SCREENSHOT` to a path to keep a picture of the conversation.
#[tokio::test]
async fn two_people_chat_in_their_browsers() {
    let gateway = Gateway::embedded().await;
    let mut script = Command::new("node");
    script
        .current_dir(repository().join("tests/clients"))
        .args(["browser.mjs", &browser(), &gateway.url("/")])
        .args(std::env::var("SCREENSHOT"))
        .stdin(Stdio::null());
    let run = tokio::process::Command::from(script)
        .kill_on_drop(true)
        .output();
    let output = timeout(HANG, run).await.expect("it hangs").unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
}
