//! The listener on loopback, and its limits.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::session::{Sessions, SignIn};
use super::{
    ARRIVES_WITHIN, MAX_CONNECTIONS, MAX_HEAD, MAX_HEADERS, MAX_LISTENERS, MAX_REQUEST, Site, deeds, events,
    guard, pages,
};
use crate::page::board::Board;

/// The pause after a connection that could not be taken.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// The page on loopback, bound and not yet served.
#[derive(Debug)]
pub struct PageServer {
    v4: TcpListener,
    /// Where this machine has it.
    v6: Option<TcpListener>,
    port: u16,
    sessions: Arc<Sessions>,
}

impl PageServer {
    /// Listens on this port of loopback; on one that is free, if it is zero.
    ///
    /// # Errors
    /// The port is taken, or may not be used.
    pub async fn bind(port: u16) -> io::Result<Self> {
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let port = v4.local_addr()?.port();
        let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await.ok();
        Ok(Self { v4, v6, port, sessions: Arc::default() })
    }

    /// What makes links to it.
    #[must_use]
    pub fn sign_in(&self) -> SignIn {
        SignIn { sessions: self.sessions.clone(), port: self.port }
    }

    /// Serves the board until `stop` is over.
    pub async fn serve(self, board: Arc<Board>, stop: impl Future<Output = ()>) {
        let listeners = Arc::new(Semaphore::new(MAX_LISTENERS));
        let site = Site { board, sessions: self.sessions, listeners, port: self.port };
        let router = router(site);
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let v6 = async {
            match self.v6 {
                Some(v6) => listen(v6, router.clone(), room.clone()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop => {}
            () = listen(self.v4, router.clone(), room.clone()) => {}
            () = v6 => {}
        }
    }
}

fn router(site: Site) -> Router {
    Router::new()
        .route("/", get(pages::now))
        .route("/executions", get(pages::executions))
        .route("/execution", get(pages::execution))
        .route("/messages", get(pages::messages))
        .route("/message", get(pages::message))
        .route("/poison", get(pages::poison))
        .route("/events", get(events::events))
        .route("/assets/{name}", get(pages::asset))
        .route("/session", post(deeds::session))
        .route("/send", post(deeds::send))
        .route("/message/body", post(deeds::body))
        .route("/poison/redrive", post(deeds::redrive))
        .route("/poison/purge", post(deeds::purge))
        .route("/poison/replay", post(deeds::replay))
        .route("/execution/kill", post(deeds::kill))
        .route("/trouble", post(deeds::trouble))
        .fallback(pages::not_found)
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .layer(from_fn_with_state(site.clone(), guard::guard))
        .with_state(site)
}

/// Takes connections for ever. Where there are as many as there may be, the next one waits.
async fn listen(listener: TcpListener, router: Router, room: Arc<Semaphore>) {
    loop {
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Too many files are open, perhaps. That passes.
            tokio::time::sleep(AFTER_REFUSAL).await;
            continue;
        };
        let router = router.clone();
        tokio::spawn(async move {
            converse(stream, router).await;
            drop(place);
        });
    }
}

async fn converse(stream: TcpStream, router: Router) {
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ARRIVES_WITHIN)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // A browser that goes away in the middle is no error of ours.
    let _ = conversation.await;
}
