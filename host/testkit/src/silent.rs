//! A server that does not answer, not even with a refusal.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

/// A server on 127.0.0.2 that takes no connection any more, and refuses none.
pub struct SilentServer {
    pub address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl SilentServer {
    pub async fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        // Nobody accepts them, so that soon there is no room for one more.
        let mut waiting = Vec::new();
        while let Ok(connected) = timeout(Duration::from_millis(500), TcpStream::connect(address)).await {
            waiting.push(connected.unwrap());
        }
        Self { address, _listener: listener, _waiting: waiting }
    }

    /// A server that answers on another address and the same port.
    pub async fn neighbour(&self) -> TcpListener {
        TcpListener::bind(("127.0.0.3", self.address.port())).await.unwrap()
    }
}
