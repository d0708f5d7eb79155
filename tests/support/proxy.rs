//! The proxies as they are shipped, with the files that are deployed but for their addresses, before gateways of the tests.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::gateway::Gateway;
use crate::support::leash::{Leashed, free_port, repository, scratch, tool};
use crate::support::until;

/// How many connections the shipped files leave to one address.
const SHARE: u32 = 2500;

/// A running proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    process: Leashed,
    port: u16,
    directory: TempDir,
}

impl Proxy {
    /// HAProxy before these gateways, ready when they are.
    pub(crate) async fn haproxy(gateways: &[Gateway]) -> Self {
        Self::haproxy_sharing(gateways, SHARE).await
    }

    /// The same; one address may have so many connections.
    pub(crate) async fn haproxy_sharing(gateways: &[Gateway], share: u32) -> Self {
        let directory = scratch("haproxy");
        let (port, statistics) = (free_port(), free_port());
        let config = directory.path().join("haproxy.cfg");
        write_haproxy(&config, gateways);
        let mut command = Command::new(tool("haproxy"));
        command
            .arg("-db")
            .arg("-f")
            .arg(&config)
            .env("HOBNOB_EDGE", format!("127.0.0.1:{port}"))
            .env("HOBNOB_EDGE_STATS", format!("127.0.0.1:{statistics}"))
            .env("HOBNOB_EDGE_CLIENTS", "1000")
            .env("HOBNOB_EDGE_ADDRESS_CLIENTS", share.to_string());
        Self::start(directory, port, &command).await
    }

    /// nginx before three gateways that are named `gateway1` to `gateway3`.
    pub(crate) async fn nginx(gateways: &[Gateway]) -> Self {
        Self::nginx_sharing(gateways, SHARE).await
    }

    /// The same; one address may have so many requests open.
    pub(crate) async fn nginx_sharing(gateways: &[Gateway], share: u32) -> Self {
        let directory = scratch("nginx");
        let port = free_port();
        let config = directory.path().join("nginx.conf");
        write_nginx(&config, directory.path(), port, gateways);
        limit_nginx(&config, share);
        let mut command = Command::new(tool("nginx"));
        command.arg("-c").arg(&config);
        Self::start(directory, port, &command).await
    }

    /// `http://127.0.0.1:port` and this path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    async fn start(directory: TempDir, port: u16, command: &Command) -> Self {
        let proxy = Self {
            process: Leashed::start(directory.path(), command),
            port,
            directory,
        };
        until("the proxy answers", async || {
            let (is_running, output) = (proxy.process.is_running(), proxy.output());
            assert!(is_running, "{command:?} has ended: {output}");
            proxy.is_ready().await.then_some(()).ok_or(output)
        })
        .await;
        proxy
    }

    async fn is_ready(&self) -> bool {
        let answer = reqwest::get(self.url("/openapi.json")).await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    fn output(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("output.log")).unwrap_or_default()
    }
}

fn write_haproxy(path: &Path, gateways: &[Gateway]) {
    let addresses = gateways.iter().map(|gateway| {
        let (port, admin_port) = (gateway.port(), gateway.admin_port());
        format!("127.0.0.1:{port}:{admin_port}")
    });
    let made = Command::new(repository().join("deploy/local/haproxy_config.sh"))
        .args(addresses)
        .output()
        .expect("a configuration");
    assert!(made.status.success(), "{made:?}");
    std::fs::write(path, made.stdout).expect("a file");
}

fn limit_nginx(path: &Path, share: u32) {
    let text = std::fs::read_to_string(path).expect("a configuration");
    let (shipped, wanted) = (format!("clients {SHARE};"), format!("clients {share};"));
    assert!(text.contains(&shipped), "nginx.conf has no {shipped:?}");
    std::fs::write(path, text.replace(&shipped, &wanted)).expect("a file");
}

fn write_nginx(path: &Path, directory: &Path, port: u16, gateways: &[Gateway]) {
    let shipped = repository().join("deploy/nginx/nginx.conf");
    let mut text = std::fs::read_to_string(shipped).expect("the shipped file");
    let mut replace = |from: &str, to: &str| {
        assert!(text.contains(from), "nginx.conf has no {from:?}");
        text = text.replace(from, to);
    };
    for (number, gateway) in (1..).zip(gateways) {
        let address = format!("127.0.0.1:{} ", gateway.port());
        replace(&format!("127.0.0.1:300{number} "), &address);
    }
    replace("listen [::]:8080;", "");
    replace("listen 8080;", &format!("listen 127.0.0.1:{port};"));
    let folder = directory.display();
    // What belongs to a service, and not to a test: its user, its folders, its limit of open files.
    replace(
        "worker_rlimit_nofile 65536;",
        &format!("user root; daemon off; pid {folder}/nginx.pid;"),
    );
    replace("worker_processes auto;", "worker_processes 1;");
    replace("worker_connections 20000;", "worker_connections 1000;");
    replace(
        "error_log /var/log/nginx/error.log crit;",
        "error_log stderr crit;",
    );
    let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let folders = folders.map(|name| format!("{name}_temp_path {folder}/{name};"));
    replace(
        "access_log off;",
        &format!("access_log off; {}", folders.concat()),
    );
    std::fs::write(path, text).expect("a file");
}
