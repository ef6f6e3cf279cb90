//! TLS on both sides of the proxy, with the certificates that the tests made for Azurite.

use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

pub struct Tls {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

impl Tls {
    /// With the certificate that lies beside its authority's.
    pub fn of(authority: &Path) -> Self {
        let certificate = |path: &Path| CertificateDer::from_pem_file(path).unwrap();
        let chain = vec![certificate(&authority.with_file_name("server.pem"))];
        let key = PrivateKeyDer::from_pem_file(authority.with_file_name("server.key")).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate(authority)).unwrap();
        let provider = Arc::new(default_provider());
        let server =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let server = server.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
        let client = client.unwrap().with_root_certificates(roots).with_no_client_auth();
        Self { acceptor: Arc::new(server).into(), connector: Arc::new(client).into() }
    }

    pub async fn accept(&self, stream: TcpStream) -> Option<server::TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await.ok()
    }

    pub async fn connect(&self, stream: TcpStream) -> Option<client::TlsStream<TcpStream>> {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        self.connector.connect(name, stream).await.ok()
    }
}
