//! An answer that repeats what the host has added ends.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aho_corasick::AhoCorasick;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::Error;

/// The shortest text that is looked for: what is shorter stands in answers by chance.
const SHORTEST: usize = 8;

/// How long a piece is that is looked for, in bytes. Who has an answer come in parts, by ranges or
/// headers, gets none that holds a piece whole.
const PIECE: usize = 16;

/// What a handler must not see, and how it is found: pieces of secrets, all of them at once.
#[derive(Clone, Default)]
pub(in crate::http) struct Secrecy(Option<Arc<AhoCorasick>>);

/// What is looked for of a secret, unless it is too short: pieces of it.
///
/// Of `Bearer KEY` that is the key, and of a token its signature, without which it is worth nothing
/// ([RFC 7519, section 3](https://www.rfc-editor.org/rfc/rfc7519#section-3)).
pub(super) fn pieces(secret: &[u8]) -> Vec<Vec<u8>> {
    let scheme = secret.iter().take_while(|it| it.is_ascii_alphanumeric() || **it == b'-').count();
    let key = secret[scheme..].strip_prefix(b" ").filter(|_| scheme > 0).unwrap_or(secret);
    let parts: Vec<_> = key.split(|it| *it == b'.').collect();
    let is_token = parts.len() == 3 && key.starts_with(b"eyJ");
    let signature = parts.last().copied().filter(|it| is_token && it.len() >= 4 * SHORTEST);
    let needle = signature.unwrap_or(key);
    if needle.len() < SHORTEST {
        return Vec::new();
    }
    let piece = needle.len().min(PIECE);
    let last = needle.len() - piece;
    // The last one has the length of the others.
    let starts = (0..last).step_by(piece).chain([last]);
    starts.map(|at| needle[at..at + piece].to_vec()).collect()
}

impl Secrecy {
    /// That of all these pieces.
    pub(super) fn of(pieces: &[Vec<u8>]) -> Self {
        // It fails only for more pieces than there is memory for.
        Self(AhoCorasick::new(pieces).ok().filter(|_| !pieces.is_empty()).map(Arc::new))
    }

    /// Whether headers repeat it.
    pub(in crate::http) fn is_in(&self, headers: &HeaderMap) -> bool {
        self.0.is_some()
            && headers.iter().any(|(name, value)| {
                self.stands_in(name.as_str().as_bytes()) || self.stands_in(value.as_bytes())
            })
    }

    fn stands_in(&self, text: &[u8]) -> bool {
        self.0.as_ref().is_some_and(|it| it.is_match(text))
    }
}

impl fmt::Debug for Secrecy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrecy(…)")
    }
}

/// What a body ends with that repeats it.
pub(in crate::http) fn echoed() -> Error {
    tracing::warn!("an answer repeats what the host has added to requests, and ends there");
    Error::InternalError(Some("the answer repeats what the host has added to the request".into()))
}

/// A body that ends before it has repeated what the host has added.
pub(in crate::http) struct Unechoed<B, F> {
    body: B,
    /// What is secret now: it may be more than when the answer began.
    secrecy: F,
    /// What came last, in which the beginning of it may be.
    tail: Vec<u8>,
}

impl<B, F: Fn() -> Secrecy> Unechoed<B, F> {
    pub(in crate::http) fn new(body: B, secrecy: F) -> Self {
        Self { body, secrecy, tail: Vec::new() }
    }

    /// Whether a secret is complete with these bytes.
    fn completes(&mut self, data: &[u8]) -> bool {
        let secrecy = (self.secrecy)();
        let kept = PIECE - 1;
        if secrecy.stands_in(data) {
            return true;
        }
        // Across the border of two frames.
        let border = data.len().min(kept);
        self.tail.extend_from_slice(&data[..border]);
        if secrecy.stands_in(&self.tail) {
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

impl<B, F> Body for Unechoed<B, F>
where
    B: Body<Data = Bytes, Error = Error> + Unpin,
    F: Fn() -> Secrecy + Unpin,
{
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
            (None, Some(trailers)) => (self.secrecy)().is_in(trailers),
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

    use futures_util::StreamExt;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    /// That of one secret.
    fn secrecy(secret: &str) -> Secrecy {
        Secrecy::of(&pieces(secret.as_bytes()))
    }

    async fn passes(frames: &[&str], secret: &str) -> bool {
        let frames: VecDeque<_> = frames
            .iter()
            .map(|it| Ok::<_, Error>(Frame::data(Bytes::copy_from_slice(it.as_bytes()))))
            .collect();
        let body = StreamBody::new(futures_util::stream::iter(frames));
        let secrecy = secrecy(secret);
        Unechoed::new(body, || secrecy.clone()).collect().await.is_ok()
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
        assert!(secrecy(&token).is_in(&headers));
    }

    #[tokio::test]
    async fn a_half_of_a_secret_is_enough() {
        let signature: String = (0..40).map(|n| format!("{n:03}-Sig_")).collect();
        let token = format!("eyJh.eyJz.{signature}");
        let (first, second) = signature.split_at(signature.len() / 2);
        assert!(!passes(&[first], &token).await);
        assert!(!passes(&[second], &token).await);
        // Every part of 31 bytes has one of the pieces.
        for at in 0..signature.len() - 31 {
            assert!(!passes(&[&signature[at..at + 31]], &token).await, "{at}");
        }
    }

    #[tokio::test]
    async fn what_becomes_secret_while_an_answer_comes_is_looked_for() {
        let known = std::sync::Mutex::new(Secrecy::default());
        let (first, second) = ("nothing yet".to_owned(), "it is s3cret-s3cret-s3cret".to_owned());
        let frames = futures_util::stream::iter([first, second]).map(|text| {
            *known.lock().unwrap() = secrecy("s3cret-s3cret-s3cret");
            Ok::<_, Error>(Frame::data(Bytes::from(text)))
        });
        let body = StreamBody::new(frames);
        assert!(Unechoed::new(body, || known.lock().unwrap().clone()).collect().await.is_err());
    }

    #[tokio::test]
    async fn of_a_header_that_names_its_scheme_the_key_is_enough() {
        assert!(!passes(&["your key is swordfish"], "Bearer swordfish").await);
        assert!(!passes(&["clé-de-l'API"], "Bearer clé-de-l'API").await);
        assert!(passes(&["Bearer"], "Bearer swordfish").await);
        let cookie = "session=SECRETSECRETSECRET; lang=en-GB-x-y";
        assert!(!passes(&["session=SECRETSECRETSECRET"], cookie).await);
        assert!(passes(&["lang=en"], cookie).await);
        assert!(pieces(b"Bearer pin1234").is_empty(), "its key is too short");
    }

    #[tokio::test]
    async fn secrets_of_different_lengths_are_found_across_frames() {
        let both: Vec<_> = ["swordfish", "a-much-longer-secret"].map(|it| pieces(it.as_bytes())).concat();
        let both = Secrecy::of(&both);
        for (one, two, passes) in
            [("sword", "fish", false), ("a-much-lon", "ger-secret", false), ("sword", "a-much-longer", true)]
        {
            let frames = [one, two].map(|it| Ok::<_, Error>(Frame::data(Bytes::from(it))));
            let body = StreamBody::new(futures_util::stream::iter(frames));
            assert_eq!(Unechoed::new(body, || both.clone()).collect().await.is_ok(), passes, "{one} {two}");
        }
    }
}
