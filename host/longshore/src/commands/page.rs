//! The page of `dev` and `ui`: what both need for it.

mod own_words;
mod poison_program;

use std::sync::Arc;

use tokio::task::JoinHandle;

pub(super) use self::own_words::own_words;
pub(super) use self::poison_program::PoisonProgram;
use crate::cli::PageArgs;
use crate::exit::{Clause, Failure};
use longshore_dev::page::{Board, PageServer, SignIn};

/// The page, bound to its port.
pub(super) struct BoundPage {
    server: PageServer,
    sign_in: SignIn,
}

impl BoundPage {
    /// Takes the port.
    pub(super) async fn bind(args: &PageArgs) -> Result<Self, Failure> {
        let port = args.port;
        let server = PageServer::bind(port).await.during(|| {
            format!("the page cannot be served on port {port} of loopback; name another with --port, or none")
        })?;
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
