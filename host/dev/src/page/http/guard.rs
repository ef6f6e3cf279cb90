//! What is looked at before a request reaches anything else.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::host::PageHost;
use super::visits::Visit;
use super::{Site, pages};
use crate::page::view;

/// Nothing is loaded but from this page, nothing is framed, and no form goes elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types longshore";

/// What somebody reads who has typed an address. It does not say what the right one is.
const OTHER_HOST: &str = "This page answers to the address in its link only, which `longshore` has printed. \
    Open that link; on a terminal, the key `o` makes a new one.\n";

/// Lets a request through, or answers it. Every answer gets the headers of [`hardened`].
pub(super) async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    let answer = match refusal(&site, &request) {
        Some(refused) => refused,
        None => next.run(request).await,
    };
    hardened(answer)
}

fn refusal(site: &Site, request: &Request) -> Option<Response> {
    let headers = request.headers();
    // First of all, on every route: a name that was bound to 127.0.0.1 a moment ago is not ours.
    let authority = request.uri().authority().map(|it| it.as_str());
    let named = only(headers, &HOST);
    if !named.is_some_and(|it| site.host.is(it)) || authority.is_some_and(|it| !site.host.is(it)) {
        return Some(refused(StatusCode::MISDIRECTED_REQUEST, OTHER_HOST));
    }
    if ![Method::GET, Method::HEAD, Method::POST].contains(request.method()) {
        return Some(refused(StatusCode::METHOD_NOT_ALLOWED, "this page takes GET and POST"));
    }
    if !is_from_own_page(headers, request.method(), &site.host) {
        return Some(refused(StatusCode::FORBIDDEN, "this request comes from another page"));
    }
    if is_signed_in(site, headers) {
        if let Some(visit) = request.extensions().get::<Arc<Visit>>() {
            visit.is_let_in();
        }
        return None;
    }
    let path = request.uri().path();
    let is_post = *request.method() == Method::POST;
    if path == "/session" && is_post || pages::is_asset(path) && !is_post {
        return None;
    }
    // What the printed link leads to is no error, and says nothing of the queue.
    let status = if path == "/" { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
    Some((status, view::sign_in(view::OPEN_THE_LINK)).into_response())
}

fn refused(status: StatusCode, words: &'static str) -> Response {
    (status, words).into_response()
}

/// The only value of a header; `None` if it is missing, or there are several.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

/// Whether a request comes from this page, or from nobody's. A browser says where it comes from;
/// what changes something has to say it.
fn is_from_own_page(headers: &HeaderMap, method: &Method, host: &PageHost) -> bool {
    let site = HeaderName::from_static("sec-fetch-site");
    let mode = HeaderName::from_static("sec-fetch-mode");
    let is_own_origin = |origin: &str| origin.strip_prefix("http://").is_some_and(|it| host.is(it));
    let (has_site, has_origin) = (headers.contains_key(&site), headers.contains_key(ORIGIN));
    let (site, origin) = (only(headers, &site), only(headers, &ORIGIN));
    if has_origin && !origin.is_some_and(is_own_origin) {
        return false;
    }
    if *method == Method::POST {
        return (has_site || has_origin) && (!has_site || site == Some("same-origin"));
    }
    match site {
        // A link on another page, or an address that was typed. It changes nothing, and a strict
        // cookie is not sent with the first one.
        Some("cross-site" | "same-site") => only(headers, &mode) == Some("navigate"),
        Some("same-origin" | "none") => true,
        Some(_) => false,
        None => !has_site,
    }
}

/// The name of the cookie. Browsers keep cookies by host, and not by port.
pub(super) fn cookie_name(port: u16) -> String {
    format!("longshore-{port}")
}

fn is_signed_in(site: &Site, headers: &HeaderMap) -> bool {
    let name = cookie_name(site.host.port());
    let cookies = headers.get_all(COOKIE).iter().filter_map(|it| it.to_str().ok());
    let mut pairs = cookies.flat_map(|it| it.split(';')).filter_map(|it| it.trim().split_once('='));
    pairs.any(|(key, value)| key == name && site.sessions.knows(value))
}

/// The answer, with what tells a browser to be strict.
fn hardened(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        // With `no-referrer` a form that is sent without the script has no origin either
        // (Fetch Standard, section 3.2).
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}
