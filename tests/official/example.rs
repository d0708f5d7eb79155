//! `examples/chat`: on one gateway and on several, through HAProxy, and over the death of its gateway.

use std::process::{Output, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

use crate::support::gateway::{Cluster, Gateway};
use crate::support::leash::{repository, tool};
use crate::support::servers::Proxy;

fn example(urls: &[String]) -> Command {
    let mut command = Command::new(tool("node"));
    command
        .arg(repository().join("examples/chat/chat.mjs"))
        .args(urls)
        .kill_on_drop(true);
    command
}

async fn run_example(urls: &[String]) -> Output {
    example(urls).output().await.expect("node runs")
}

fn assert_nothing_was_lost(example: &Output) {
    let said = String::from_utf8_lossy(&example.stdout);
    let complained = String::from_utf8_lossy(&example.stderr);
    assert!(example.status.success(), "{said}{complained}");
    assert!(said.ends_with("nothing was lost\n"), "{said}{complained}");
}

#[tokio::test]
async fn the_example_runs_on_two_gateways_and_through_haproxy() {
    let cluster = Cluster::start(2).await;
    let urls = [0, 1].map(|number| cluster.gateway(number).url(""));
    assert_nothing_was_lost(&run_example(&urls).await);
    let proxy = Proxy::haproxy(&cluster.gateways).await;
    assert_nothing_was_lost(&run_example(&[proxy.url("")]).await);
}

#[tokio::test]
async fn the_example_runs_on_one_embedded_gateway_that_then_drains() {
    let mut gateway = Gateway::embedded().await;
    assert_nothing_was_lost(&run_example(&[gateway.url("")]).await);
    gateway.terminate();
    assert_eq!(gateway.ended().await, Some(0), "{}", gateway.output());
}

/// Killed at each of its steps, the gateway comes back, and so do the example's clients.
#[tokio::test]
async fn the_example_goes_on_after_its_gateway_was_killed() {
    let mut gateway = Gateway::embedded().await;
    let mut command = example(&[gateway.url("")]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("node runs");
    let output = child.stdout.take().expect("its output");
    let mut lines = BufReader::new(output).lines();
    let mut said = Vec::new();
    while let Some(line) = lines.next_line().await.expect("a line") {
        if ["in private:", "in a room:", "bob leaves; alice goes on:"].contains(&line.as_str()) {
            gateway.restart().await;
        }
        said.push(line);
    }
    let mut complaints = String::new();
    let mut errors = child.stderr.take().expect("its errors");
    errors.read_to_string(&mut complaints).await.expect("text");
    let status = child.wait().await.expect("its status");
    assert!(status.success(), "{said:#?}{complaints}");
    assert_eq!(said.last().expect("a line"), "nothing was lost");
}
