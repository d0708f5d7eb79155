//! A TCP proxy that can be cut like a cable, and switched to another server. Knows no protocol.
//!
//! A cut cable is silent: nothing arrives, nothing is refused, and after the repair what was under way still comes.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Where a connection goes, and whether anything passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Route {
    port: u16,
    is_cut: bool,
}

/// One cable; ends when dropped.
#[derive(Debug)]
pub struct Cable {
    port: u16,
    route: watch::Sender<Route>,
    listening: JoinHandle<()>,
}

impl Cable {
    /// Listens on a free port of 127.0.0.1 and forwards to another.
    ///
    /// # Panics
    /// When there is no such port.
    pub async fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("a loopback port");
        let (route, routes) = watch::channel(Route {
            port,
            is_cut: false,
        });
        Self {
            port: listener.local_addr().expect("its address").port(),
            route,
            listening: tokio::spawn(listen(listener, routes)),
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts the cable, or repairs it.
    pub fn set_cut(&self, is_cut: bool) {
        self.route.send_modify(|route| route.is_cut = is_cut);
    }

    /// Goes to another server from now on; present connections are closed.
    pub fn switch(&self, port: u16) {
        self.route.send_modify(|route| route.port = port);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, routes: watch::Receiver<Route>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(forward(client, routes.clone()));
    }
}

/// One connection, until either side ends it or the proxy is switched.
async fn forward(client: TcpStream, mut routes: watch::Receiver<Route>) {
    let port = routes.borrow().port;
    wait_repaired(&mut routes).await;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let Ok(server) = TcpStream::connect(address).await else {
        return;
    };
    // Latency only.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pump(from_client, to_server, routes.clone()) => {}
        () = pump(from_server, to_client, routes.clone()) => {}
        _ = routes.wait_for(|route| route.port != port) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut routes: watch::Receiver<Route>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        wait_repaired(&mut routes).await;
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    // The news of an ended connection travels by the same cable.
    wait_repaired(&mut routes).await;
}

async fn wait_repaired(routes: &mut watch::Receiver<Route>) {
    // An error: the proxy is gone, and its connections with it.
    let _ = routes.wait_for(|route| !route.is_cut).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn server(answer: u8) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    while stream.read_u8().await.is_ok() {
                        stream.write_u8(answer).await.unwrap();
                    }
                });
            }
        });
        port
    }

    async fn ask(stream: &mut TcpStream) -> std::io::Result<u8> {
        stream.write_u8(0).await?;
        stream.read_u8().await
    }

    #[tokio::test]
    async fn a_cut_is_silent_and_a_switch_closes() {
        let (one, two) = (server(1).await, server(2).await);
        let proxy = Cable::start(one).await;
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port()))
            .await
            .unwrap();
        assert_eq!(ask(&mut stream).await.unwrap(), 1);
        proxy.set_cut(true);
        let silent = tokio::time::timeout(Duration::from_millis(50), ask(&mut stream)).await;
        assert!(silent.is_err());
        proxy.set_cut(false);
        assert_eq!(stream.read_u8().await.unwrap(), 1);
        proxy.switch(two);
        while ask(&mut stream).await.is_ok() {}
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port()))
            .await
            .unwrap();
        assert_eq!(ask(&mut stream).await.unwrap(), 2);
    }
}
