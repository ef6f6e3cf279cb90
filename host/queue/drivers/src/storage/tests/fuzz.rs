//! Arbitrary answers of the service: each is read as far as it can be, and a text that is whole is
//! written and read again.

use azure_storage_queue::models::ListQueuesResponse;
use bytes::Bytes;
use longshore_testkit::fuzz::{FuzzTarget, feed};

use crate::storage::xml::{Entries, QueueEntry, entries, problem, queue_message};

const ANSWER_TARGET: &str = "storage-answer";
const LIST_TARGET: &str = "storage-list";

const ANSWER: &str = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><QueueMessagesList><QueueMessage>\
    <MessageId>5974b586-0df3-4e2d-ad0c-18e3892bfca2</MessageId>\
    <InsertionTime>Sun, 22 Nov 2026 20:00:00 GMT</InsertionTime>\
    <ExpirationTime>Fri, 31 Dec 9999 23:59:59 GMT</ExpirationTime>\
    <PopReceipt>r&amp;1</PopReceipt><TimeNextVisible>Sun, 22 Nov 2026 20:01:00 GMT</TimeNextVisible>\
    <DequeueCount>3</DequeueCount><MessageText>{&quot;a&quot;: 1}&#x1F600;\r\n</MessageText>\
    </QueueMessage><QueueMessage><MessageText /></QueueMessage></QueueMessagesList>";
const LIST: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"https://a/\">\
    <Prefix>o</Prefix><MaxResults>3</MaxResults><Queues><Queue><Name>orders</Name><Metadata><a>b</a></Metadata>\
    </Queue><Queue><Name>orders-poison</Name></Queue></Queues><NextMarker>m</NextMarker></EnumerationResults>";
const WORDS: &[&str] = &[
    "<QueueMessage>",
    "</QueueMessage>",
    "<QueueMessagesList/>",
    "</QueueMessagesList>",
    "<MessageText>",
    "</MessageText>",
    "<DequeueCount>",
    "</DequeueCount>",
    "<MessageText />",
    "&#0;",
    "&#x10FFFF;",
    "&#xD800;",
    "&amp;",
    "&amp",
    "]]>",
    "<![CDATA[",
    "<!--",
    "<!DOCTYPE a [<!ENTITY b \"c\">]>",
    "&b;",
    "<Queue>",
    "<Name>",
    "</Name>",
];

#[test]
fn whatever_the_service_answers_to_a_receive_its_whole_messages_are_read() {
    let target = FuzzTarget::of_texts(ANSWER_TARGET, module_path!(), WORDS, &[ANSWER]);
    feed(&target, |bytes| {
        let answer = Bytes::copy_from_slice(bytes);
        let Entries { entries: found, complete } = entries(&answer);
        assert!(found.iter().map(|it| it.text.bytes.len()).sum::<usize>() <= bytes.len());
        let ways = found.iter().take(2).map(way).collect::<String>();
        let number = ["none", "one", "some"][found.len().min(2)];
        format!("complete {complete} {number} {ways}")
    });
}

/// What of a message is there. A text that is whole is written, and read again.
fn way(entry: &QueueEntry) -> String {
    let QueueEntry { id, receipt, dequeue_count, inserted, expires, text } = entry;
    let there = [id.is_some(), receipt.is_some(), inserted.is_some(), expires.is_some()];
    if text.damage.is_none() {
        assert_eq!(problem(&text.bytes), None);
        let written = queue_message(std::str::from_utf8(&text.bytes).unwrap());
        let read = entries(&[b"<QueueMessagesList>", &written[..], b"</QueueMessagesList>"].concat().into());
        assert!(read.complete && read.entries.len() == 1);
        assert_eq!(read.entries[0].text, *text);
    }
    let damage = text.damage.as_deref().unwrap_or_default();
    format!("{there:?} count {} {} {damage};", dequeue_count.is_ok(), text.bytes.is_empty())
}

#[test]
fn whatever_the_service_answers_to_a_list_it_is_one_or_refused() {
    let target = FuzzTarget::of_texts(LIST_TARGET, module_path!(), WORDS, &[LIST]);
    feed(&target, |bytes| {
        let read: azure_core::Result<ListQueuesResponse> = azure_core::xml::from_xml(bytes);
        match read {
            Ok(list) => format!("{} {}", list.queue_items.is_empty(), list.next_marker.is_some()),
            Err(error) => error.to_string(),
        }
    });
}
