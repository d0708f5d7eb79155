//! A load balancer of a few lines: one address in front of several gateways, connection by connection.
//!
//! Knows TCP; refuses to know what is carried. The test says which gateways take new connections, as readiness does in
//! production.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// Forwards each new connection to the next of its targets, until dropped.
#[derive(Debug)]
pub struct Balancer {
    port: u16,
    targets: Arc<Mutex<Vec<u16>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Balancer {
    /// In front of these ports.
    pub async fn start(targets: Vec<u16>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a loopback port");
        let port = listener.local_addr().expect("its address").port();
        let targets = Arc::new(Mutex::new(targets));
        let task = tokio::spawn(accept(listener, Arc::clone(&targets)));
        Self {
            port,
            targets,
            task,
        }
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Sends new connections to these ports from now on; open ones stay where they are.
    pub fn point_to(&self, targets: Vec<u16>) {
        *self.targets.lock() = targets;
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, targets: Arc<Mutex<Vec<u16>>>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let target = {
            let mut targets = targets.lock();
            targets.rotate_left(1);
            targets.last().copied()
        };
        tokio::spawn(async move {
            let Some(target) = target else { return };
            // A target that is gone ends the connection, and the client tries again.
            if let Ok(mut server) = TcpStream::connect(("127.0.0.1", target)).await {
                let _either_end_closed = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}
