//! What a receiver answers over gRPC, without what the library would panic of.
//!
//! tonic 0.14 takes the details beside a status for base64, and panics where they are none. A
//! receiver could end the thread that exports, and with it all that is exported of the run.

use std::task::{Context, Poll};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use futures_util::TryFutureExt as _;
use futures_util::future::MapOk;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt as _;
use http_body_util::combinators::MapFrame;
use tonic::body::Body;
use tonic::transport::Channel;
use tower_service::Service;

/// Where the details beside a status are
/// ([PROTOCOL-HTTP2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)).
const DETAILS: &str = "grpc-status-details-bin";
/// Base64 with or without its end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A connection whose answers are looked at.
#[derive(Clone, Debug)]
pub(super) struct CheckedChannel(pub(super) Channel);

/// A body whose end is looked at.
type CheckedBody = MapFrame<Body, fn(Frame<Bytes>) -> Frame<Bytes>>;

impl Service<Request<Body>> for CheckedChannel {
    type Response = Response<CheckedBody>;
    type Error = <Channel as Service<Request<Body>>>::Error;
    type Future =
        MapOk<<Channel as Service<Request<Body>>>::Future, fn(Response<Body>) -> Response<CheckedBody>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<Request<Body>>::poll_ready(&mut self.0, context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request).map_ok(checked)
    }
}

fn checked(mut answer: Response<Body>) -> Response<CheckedBody> {
    drop_unreadable(answer.headers_mut());
    answer.map(|body| body.map_frame(checked_frame as fn(_) -> _))
}

fn checked_frame(mut frame: Frame<Bytes>) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        drop_unreadable(trailers);
    }
    frame
}

/// Drops details that are no base64. The status says enough without them.
fn drop_unreadable(headers: &mut HeaderMap) {
    if headers.get(DETAILS).is_some_and(|it| BASE64.decode(it.as_bytes()).is_err()) {
        headers.remove(DETAILS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_kept_where_they_are_base64_and_only_there() {
        for (details, is_kept) in
            [("CA4", true), ("CA4=", true), ("", true), ("!!!!", false), ("CA4==", false), ("C", false)]
        {
            let mut headers = HeaderMap::from_iter([(DETAILS.parse().unwrap(), details.parse().unwrap())]);
            drop_unreadable(&mut headers);
            assert_eq!(headers.contains_key(DETAILS), is_kept, "{details}");
        }
    }
}
