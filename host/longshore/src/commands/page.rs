//! The page of `dev` and `ui`: what both need for it.

mod own_words;
mod poison_program;

use std::io;
use std::sync::Arc;

use tokio::task::JoinHandle;

pub(super) use self::own_words::own_words;
pub(super) use self::poison_program::PoisonProgram;
use crate::cli::PageArgs;
use crate::exit::Failure;
use longshore_dev::page::{Board, PageAddress, PageServer, SignIn};

/// The page, bound to its port.
pub(super) struct BoundPage {
    server: PageServer,
    sign_in: SignIn,
}

impl BoundPage {
    /// Takes the port.
    pub(super) async fn bind(args: &PageArgs) -> Result<Self, Failure> {
        let port = args.port;
        let address = if args.numeric_address { PageAddress::Number } else { PageAddress::Name };
        let server = PageServer::bind(port, address).await.map_err(|error| not_bound(port, &error))?;
        Ok(Self { sign_in: server.sign_in(), server })
    }

    /// What makes links that let a browser in.
    pub(super) fn sign_in(&self) -> SignIn {
        self.sign_in.clone()
    }

    /// Serves it for as long as the process lives.
    pub(super) fn serve(self, board: Arc<Board>) -> JoinHandle<()> {
        tokio::spawn(self.server.serve(board, std::future::pending()))
    }
}

/// Why the page has no port, and what helps.
fn not_bound(port: u16, error: &io::Error) -> Failure {
    let why = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("port {port} is for root alone; name one above 1023, such as --port 8233")
        }
        io::ErrorKind::AddrInUse => format!(
            "another program has port {port} of 127.0.0.1 or of [::1]; name another with --port, or leave it out for one that is free"
        ),
        _ => format!("port {port} of loopback: {error}; name another with --port, or leave it out"),
    };
    Failure::other(format!("the page cannot be served: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_cannot_be_had_is_named_with_what_helps() {
        for (kind, words) in [
            (io::ErrorKind::PermissionDenied, "port 80 is for root alone; name one above 1023"),
            (io::ErrorKind::AddrInUse, "another program has port 80"),
            (io::ErrorKind::Other, "port 80 of loopback"),
        ] {
            let failure = not_bound(80, &kind.into());
            assert!(failure.message().contains(words), "{}", failure.message());
        }
    }
}
