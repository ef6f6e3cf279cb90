//! Which bodies a Storage queue holds, and how they come back.

use std::time::Duration;

use longshore_queue::{Outgoing, QueueError};

use crate::storage::logs::listen;
use longshore_testkit::queue_suite::text;

#[tokio::test]
async fn a_body_that_is_no_xml_text_is_refused_before_it_is_sent() {
    let queue = super::queue();
    queue.create().await.unwrap();
    for body in [&b"a\x01b"[..], b"a\xffb", "\u{ffff}".as_bytes()] {
        let message = Outgoing { body: bytes::Bytes::copy_from_slice(body), ..Outgoing::default() };
        let error = queue.send(message).await.unwrap_err();
        assert!(matches!(&error, QueueError::Fault { mend, .. } if mend.contains("--base64")), "{error}");
        assert!(!queue.fits(body));
    }
}

#[tokio::test]
async fn every_text_comes_back_as_it_was_sent() {
    let (queue, _listening) = (super::queue(), listen());
    queue.create().await.unwrap();
    for body in
        ["", " ", "\t lead and trail \n", "a\r\nb\rc", "<a b='c'>&amp;]]></a>", "日本😀\u{7f}\u{fffd}"]
    {
        queue.send(text(body)).await.unwrap();
        let held = queue.receive(1, Duration::from_secs(60)).await.unwrap().remove(0);
        assert_eq!((held.message.body, held.damaged), (body.to_owned().into(), None), "{body:?}");
        queue.delete(&held.message.id, &held.receipt).await.unwrap();
    }
}
