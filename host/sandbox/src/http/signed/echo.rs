//! An answer that repeats what the host has added ends.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use memchr::memmem::Finder;
use wasmtime_wasi_http::Error;

/// The shortest text that is looked for: what is shorter stands in answers by chance.
const SHORTEST: usize = 8;

/// What a handler must not see, and how it is found.
#[derive(Clone)]
pub(in crate::http) struct Secrecy {
    secret: Arc<str>,
    /// What is looked for: of a token its signature, without which it is worth nothing ([RFC 7519,
    /// section 3](https://www.rfc-editor.org/rfc/rfc7519#section-3)).
    finder: Option<Arc<Finder<'static>>>,
}

impl Secrecy {
    pub(super) fn of(secret: String) -> Self {
        let signature = secret.rsplit('.').next().filter(|it| it.len() >= 4 * SHORTEST);
        let needle = signature.unwrap_or(&secret);
        let finder = (needle.len() >= SHORTEST).then(|| Arc::new(Finder::new(needle).into_owned()));
        Self { secret: secret.into(), finder }
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    /// Whether headers repeat it.
    pub(in crate::http) fn is_in(&self, headers: &HeaderMap) -> bool {
        is_in(self.finder.as_deref(), headers)
    }
}

fn is_in(finder: Option<&Finder<'static>>, headers: &HeaderMap) -> bool {
    finder.is_some_and(|it| headers.values().any(|value| it.find(value.as_bytes()).is_some()))
}

impl fmt::Debug for Secrecy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrecy(…)")
    }
}

/// What a body ends with that repeats it.
pub(in crate::http) fn echoed() -> Error {
    Error::InternalError(Some("the answer repeats what the host has added to the request".into()))
}

/// A body that ends before it has repeated what the host has added.
pub(in crate::http) struct Unechoed<B> {
    body: B,
    finder: Option<Arc<Finder<'static>>>,
    /// What came last, in which the beginning of it may be.
    tail: Vec<u8>,
}

impl<B> Unechoed<B> {
    pub(in crate::http) fn new(body: B, secrecy: Option<&Secrecy>) -> Self {
        Self { body, finder: secrecy.and_then(|it| it.finder.clone()), tail: Vec::new() }
    }

    /// Whether it is complete with these bytes.
    fn completes(&mut self, data: &[u8]) -> bool {
        let Some(finder) = &self.finder else { return false };
        let kept = finder.needle().len() - 1;
        if finder.find(data).is_some() {
            return true;
        }
        // Across the border of two frames.
        let border = data.len().min(kept);
        self.tail.extend_from_slice(&data[..border]);
        if finder.find(&self.tail).is_some() {
            return true;
        }
        if data.len() >= kept {
            self.tail.clear();
            self.tail.extend_from_slice(&data[data.len() - kept..]);
        } else {
            let surplus = self.tail.len().saturating_sub(kept);
            self.tail.drain(..surplus);
        }
        false
    }
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for Unechoed<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let Poll::Ready(Some(Ok(frame))) = &polled else { return polled };
        let repeats = match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => {
                let data = data.clone();
                self.completes(&data)
            }
            (None, Some(trailers)) => is_in(self.finder.as_deref(), trailers),
            (None, None) => false,
        };
        if repeats { Poll::Ready(Some(Err(echoed()))) } else { polled }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    async fn passes(frames: &[&str], secret: &str) -> bool {
        let frames: VecDeque<_> = frames
            .iter()
            .map(|it| Ok::<_, Error>(Frame::data(Bytes::copy_from_slice(it.as_bytes()))))
            .collect();
        let body = StreamBody::new(futures_util::stream::iter(frames));
        let secrecy = Secrecy::of(secret.into());
        Unechoed::new(body, Some(&secrecy)).collect().await.is_ok()
    }

    #[tokio::test]
    async fn a_secret_is_found_in_one_piece_and_across_frames_of_any_size() {
        let secret = "s3cret-s3cret-s3cret";
        assert!(passes(&["all ", "is well", ""], secret).await);
        assert!(!passes(&["it is s3cret-s3cret-s3cret!"], secret).await);
        for at in 1..secret.len() {
            assert!(!passes(&["x", &secret[..at], &secret[at..]], secret).await, "{at}");
        }
        let letters: Vec<_> = secret.split("").collect();
        assert!(!passes(&letters, secret).await);
        assert!(passes(&["s3cret-s3cret", "s3cret-"], secret).await);
    }

    #[tokio::test]
    async fn of_a_token_the_signature_is_enough() {
        let token = format!("eyJh.eyJz.{}", "Sig_".repeat(16));
        assert!(!passes(&[&"Sig_".repeat(16)], &token).await);
        assert!(passes(&["eyJh.eyJz"], &token).await);
        let mut headers = HeaderMap::new();
        headers.insert("x-seen", format!("Bearer {token}").parse().unwrap());
        assert!(Secrecy::of(token).is_in(&headers));
    }
}
