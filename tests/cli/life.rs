//! A gateway's life as its supervisor sees it: it becomes ready, answers on its admin port, and ends when told.

use std::os::unix::fs::PermissionsExt;

use super::program::Program;

#[tokio::test]
async fn it_becomes_ready_and_a_signal_ends_it_with_status_0() {
    for signal in ["TERM", "INT"] {
        let program = Program::new();
        let gateway = program.serve().await;
        let url = |path: &str| format!("http://{}{path}", gateway.admin);
        let text = async |path: &str| reqwest::get(url(path)).await.unwrap().text().await.unwrap();
        gateway.ready().await;
        assert_eq!(text("/livez").await, "ok\n");
        assert!(text("/readyz?verbose").await.contains("connections"));
        assert!(text("/metrics").await.contains("hobnob_ready 1"));
        assert!(text("/version").await.contains(env!("CARGO_PKG_VERSION")));
        let page = format!("http://{}/", gateway.public);
        assert!(reqwest::get(page).await.is_ok());
        gateway.signal(signal).await;
        assert_eq!(gateway.ended().await.code(), Some(0));
    }
}

#[tokio::test]
async fn the_health_check_tells_a_ready_gateway_from_none() {
    let program = Program::new();
    let mut gateway = program.serve().await;
    let admin = gateway.admin.clone();
    let live = ["healthcheck", "--live", "--admin-listen", &admin];
    assert_eq!(program.run(&live).await.status, Some(0));
    let ready = ["healthcheck", "--admin-listen", &admin];
    gateway.ready().await;
    assert_eq!(program.run(&ready).await.status, Some(0));
    gateway.signal("TERM").await;
    gateway.record("stopped").await;
    assert_eq!(gateway.ended().await.code(), Some(0));
    let outcome = program.run(&ready).await;
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.only_line().contains(&admin), "{}", outcome.stderr);
}

#[tokio::test]
async fn without_a_secret_one_is_made_and_kept() {
    let program = Program::new();
    let path = program.home.path().join(".local/share/hobnob/jwt-secret");
    let mut kept = Vec::new();
    for _ in 0..2 {
        let gateway = program.serve().await;
        kept.push(std::fs::read_to_string(&path).unwrap());
        gateway.signal("TERM").await;
        assert_eq!(gateway.ended().await.code(), Some(0));
    }
    assert_eq!(kept[0], kept[1]);
    let permissions = std::fs::metadata(&path).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o777, 0o600);
}
