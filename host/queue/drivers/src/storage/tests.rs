mod fuzz;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

#[test]
fn what_fits_is_measured_after_escaping_and_is_text() {
    let url = "http://127.0.0.1:10001/devstoreaccount1/orders?sig=x".parse().unwrap();
    let queue = StorageQueue::open(url, &Azure::new(longshore_azure::Credential::Auto)).unwrap();
    assert!(queue.fits("<".repeat(STORAGE.max_body / 4).as_bytes()));
    assert!(!queue.fits("<".repeat(STORAGE.max_body / 4 + 1).as_bytes()));
    assert!(!queue.fits(b"\x01") && !queue.fits(b"\xff") && queue.fits("é\r\n😀".as_bytes()));
    assert!(!format!("{queue:?}").contains("sig="), "{queue:?}");
}

/// A service may measure a text before it escapes it. A batch that could not be read would be
/// leased again and again, and never handled nor poisoned.
#[tokio::test]
async fn a_batch_of_the_longest_texts_is_received_however_the_service_escapes_them() {
    let messages = MAX_RECEIVE as usize;
    let message = |n: usize| {
        let text = "&quot;".repeat(STORAGE.max_body);
        format!(
            "<QueueMessage><MessageId>m-{n}</MessageId><PopReceipt>r</PopReceipt>\
             <DequeueCount>1</DequeueCount><MessageText>{text}</MessageText></QueueMessage>"
        )
    };
    let list: String = (0..messages).map(message).collect();
    let (url, serving) = answer_once(format!("<QueueMessagesList>{list}</QueueMessagesList>")).await;
    let queue = StorageQueue::open(url, &Azure::new(longshore_azure::Credential::Auto)).unwrap();
    let received = queue.receive(MAX_RECEIVE, Duration::from_secs(60)).await.unwrap();
    assert_eq!(received.len(), messages);
    let whole = |it: &Received| it.damaged.is_none() && it.message.body.len() == STORAGE.max_body;
    assert!(received.iter().all(whole));
    serving.await.unwrap();
}

#[tokio::test]
async fn messages_without_receipts_are_no_empty_queue() {
    let list =
        "<QueueMessage><MessageId>m-1</MessageId><DequeueCount>1</DequeueCount><MessageText/></QueueMessage>";
    let (url, serving) = answer_once(format!("<QueueMessagesList>{list}</QueueMessagesList>")).await;
    let queue = StorageQueue::open(url, &Azure::new(longshore_azure::Credential::Auto)).unwrap();
    let error = queue.receive(1, Duration::from_secs(60)).await.unwrap_err();
    assert!(matches!(&error, QueueError::Unclear { cause, .. } if cause.contains("receipts")), "{error:?}");
    serving.await.unwrap();
}

/// A server that answers one call with this list of messages, and the URL of a queue there.
async fn answer_once(list: String) -> (QueueUrl, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/devstoreaccount1/orders?sig=x", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut call = Vec::new();
        while !call.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut call).await.unwrap(), 0, "a call");
        }
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", list.len());
        stream.write_all((head + &list).as_bytes()).await.unwrap();
    });
    (url.parse().unwrap(), serving)
}
