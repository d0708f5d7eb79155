//! A connection to a gateway before anything is said on it: name, address, TLS. Knows neither HTTP nor WebSocket.

use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::gateways::{Gateway, Gateways, Trust};

/// Where a connection goes, and where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Dial {
    pub(crate) gateway: Gateway,
    /// Whom to believe, when the gateway is to be reached by TLS.
    trust: Option<Trust>,
    /// The local address, when one address has not enough ports.
    pub(crate) source: Option<Ipv4Addr>,
    /// The kernel's receive buffer in bytes, when it is to fill up soon.
    pub(crate) receive_buffer: Option<u32>,
}

impl Dial {
    /// To the gateway of this number, in turn.
    pub(crate) fn to(gateways: &Gateways, number: usize) -> Self {
        Self {
            gateway: gateways.nth(number).clone(),
            trust: gateways.trust(),
            source: None,
            receive_buffer: None,
        }
    }

    /// Connects.
    pub(crate) async fn connect(&self) -> Result<Stream> {
        let plain = self.tcp().await?;
        let (Some(name), Some(trust)) = (&self.gateway.tls, &self.trust) else {
            return Ok(Stream::Plain(plain));
        };
        let connector = TlsConnector::from(trust.0.clone());
        let stream = connector.connect(name.clone(), plain).await?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    /// To the first of the name's addresses that answers.
    async fn tcp(&self) -> Result<TcpStream> {
        let mut outcome = Err(Error::new(ErrorKind::NotFound, "the name has no address"));
        for address in lookup_host((self.gateway.host.as_str(), self.gateway.port)).await? {
            outcome = self.tcp_to(address).await;
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    async fn tcp_to(&self, address: SocketAddr) -> Result<TcpStream> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if let Some(source) = self.source {
            socket.bind(SocketAddr::new(IpAddr::V4(source), 0))?;
        }
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Bytes to and from a gateway.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    /// Boxed: a run has thousands of the other kind.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
