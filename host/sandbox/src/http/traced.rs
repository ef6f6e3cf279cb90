//! Requests that continue the trace of the message that they are sent for.

use http::{HeaderValue, Request};
use longshore_handler::trace_context::{TRACEPARENT, TRACESTATE, TraceContext};

/// The request with the headers of a trace, unless the guest has named one itself.
///
/// At most 600 bytes are added, so that a guest's account does not count them.
pub(super) fn traced<B>(mut request: Request<B>, trace: &TraceContext) -> Request<B> {
    let headers = request.headers_mut();
    if headers.contains_key(TRACEPARENT) {
        return request;
    }
    // Without a `traceparent` it says nothing (Trace Context, section 3.3.1).
    headers.remove(TRACESTATE);
    for (name, value) in trace.properties() {
        // Both are visible ASCII.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use http::Request;
    use longshore_handler::trace_context::{TRACEPARENT, TRACESTATE, TraceContext};

    use super::traced;

    const OURS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const THEIRS: &str = "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn sent(headers: &[(&str, &str)], state: &str) -> (String, Option<String>) {
        let mut request = Request::builder().uri("http://a/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let context = TraceContext::parse(OURS, Some(state)).unwrap();
        let request = traced(request.body(()).unwrap(), &context);
        let text = |name| request.headers().get(name).map(|it| it.to_str().unwrap().to_owned());
        (text(TRACEPARENT).unwrap(), text(TRACESTATE))
    }

    #[test]
    fn a_request_continues_the_trace_unless_the_guest_named_another() {
        assert_eq!(sent(&[], ""), (OURS.into(), None));
        assert_eq!(sent(&[], "a=1"), (OURS.into(), Some("a=1".into())));
        assert_eq!(sent(&[(TRACESTATE, "b=2")], ""), (OURS.into(), None));
        let own = [(TRACEPARENT, THEIRS), (TRACESTATE, "b=2")];
        assert_eq!(sent(&own, "a=1"), (THEIRS.into(), Some("b=2".into())));
    }
}
