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
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::host::PageHost;
use super::questions::Questions;
use super::session::{Sessions, SignIn};
use super::stream::VisitStream;
use super::visits::Visits;
use super::{
    ARRIVES_WITHIN, MAX_CONNECTIONS, MAX_HEAD, MAX_HEADERS, MAX_LISTENERS, MAX_REQUEST, Site, deeds, events,
    guard, pages, sweeps,
};
use crate::page::board::Board;

/// How many ports are tried, where any will do.
const TRIES: u32 = 16;
/// The pause after a connection that could not be taken.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// How the page's address names this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageAddress {
    /// By a name below `localhost` that this run alone has, and with it its cookies.
    Name,
    /// As `127.0.0.1`. A browser sends its cookies to every port of that.
    Number,
}

/// The page on loopback, bound and not yet served.
#[derive(Debug)]
pub struct PageServer {
    v4: TcpListener,
    /// Where this machine has it.
    v6: Option<TcpListener>,
    host: PageHost,
    sessions: Arc<Sessions>,
}

impl PageServer {
    /// Listens on this port of loopback; on one that is free, if it is zero.
    ///
    /// # Errors
    /// The port is taken, or may not be used.
    pub async fn bind(port: u16, address: PageAddress) -> io::Result<Self> {
        let mut tries = if port == 0 { TRIES } else { 1 };
        let (v4, v6) = loop {
            tries -= 1;
            match listen_on(port).await {
                Err(error) if tries > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
                bound => break bound?,
            }
        };
        let port = v4.local_addr()?.port();
        let host = match address {
            PageAddress::Name => PageHost::of_this_run(port),
            PageAddress::Number => PageHost::address(port),
        };
        Ok(Self { v4, v6, host, sessions: Arc::default() })
    }

    /// What makes links to it.
    #[must_use]
    pub fn sign_in(&self) -> SignIn {
        SignIn { sessions: self.sessions.clone(), host: self.host.clone() }
    }

    /// Serves the board until `stop` is over.
    pub async fn serve(self, board: Arc<Board>, stop: impl Future<Output = ()>) {
        let listeners = Arc::new(Semaphore::new(MAX_LISTENERS));
        let site = Site {
            board,
            sessions: self.sessions,
            questions: Arc::new(Questions::default()),
            listeners,
            host: self.host.into(),
        };
        let router = router(site);
        let visits = Arc::new(Visits::new(MAX_CONNECTIONS));
        let v6 = async {
            match self.v6 {
                Some(v6) => listen(v6, &router, &visits).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop => {}
            () = listen(self.v4, &router, &visits) => {}
            () = v6 => {}
        }
    }
}

/// Both addresses of loopback, where this machine has both. A name leads to either: whoever has the
/// other one would get the links and the cookies.
async fn listen_on(port: u16) -> io::Result<(TcpListener, Option<TcpListener>)> {
    let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let port = v4.local_addr()?.port();
    match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
        Ok(v6) => Ok((v4, Some(v6))),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        Err(_) => Ok((v4, None)),
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
        .route("/alive", get(pages::alive))
        .route("/events", get(events::events))
        .route("/assets/{name}", get(pages::asset))
        .route("/session", post(deeds::session))
        .route("/send", post(deeds::send))
        .route("/message/body", post(deeds::body))
        .route("/poison/redrive", post(sweeps::redrive))
        .route("/poison/purge", post(sweeps::purge))
        .route("/poison/replay", post(deeds::replay))
        .route("/execution/kill", post(deeds::kill))
        .route("/trouble", post(deeds::trouble))
        .fallback(pages::not_found)
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .layer(from_fn_with_state(site.clone(), guard::guard))
        .with_state(site)
}

/// Takes connections for ever. Where there are as many as there may be, one makes room.
async fn listen(listener: TcpListener, router: &Router, visits: &Arc<Visits>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many files are open, perhaps. That passes.
            tokio::time::sleep(AFTER_REFUSAL).await;
            continue;
        };
        tokio::spawn(converse(stream, router.clone(), visits.clone()));
    }
}

async fn converse(stream: TcpStream, router: Router, visits: Arc<Visits>) {
    let mark = visits.begin();
    let visit = mark.visit();
    let service = TowerToHyperService::new(router);
    let with_visit = {
        let visit = visit.clone();
        service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(visit.clone());
            service.call(request)
        })
    };
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ARRIVES_WITHIN)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(VisitStream::new(stream, mark)), with_visit);
    tokio::select! {
        // A browser that goes away in the middle is no error of ours.
        _ = conversation => {}
        () = visit.has_to_leave() => {}
    }
}
