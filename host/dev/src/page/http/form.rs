//! Forms as they arrive, and what is said of those that are not followed.

use axum::extract::{Form, FromRequest, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::{ARRIVES_WITHIN, Site};
use crate::page::board::Board;
use crate::page::view;

/// A form, if it arrives in time and is one.
pub(super) async fn form<T: DeserializeOwned>(request: Request, site: &Site) -> Result<(T, bool), Response> {
    let is_page = is_navigation(request.headers());
    match tokio::time::timeout(ARRIVES_WITHIN, Form::<T>::from_request(request, site)).await {
        Ok(Ok(Form(form))) => Ok((form, is_page)),
        Ok(Err(refused)) => Err(refused.into_response()),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the form took too long").into_response()),
    }
}

/// Whether the answer takes the place of the page, and is no part of it.
pub(super) fn is_navigation(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-mode").is_some_and(|it| it == "navigate")
}

/// Says that a button is none here.
pub(super) fn not_allowed(board: &Board, is_page: bool) -> Response {
    let words = format!("`longshore {}` was not started so that this is allowed", board.names.verb);
    (StatusCode::FORBIDDEN, view::problem(board, &words, is_page)).into_response()
}

/// Says why something was not done.
pub(super) fn refused(board: &Board, words: &str, is_page: bool) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, view::problem(board, words, is_page)).into_response()
}
