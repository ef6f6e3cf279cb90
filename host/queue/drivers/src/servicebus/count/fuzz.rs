//! Arbitrary bytes as the service's description of an entity.

use longshore_testkit::fuzz::{FuzzTarget, feed};

use super::AtomEntry;

const COUNT_TARGET: &str = "count-answer";

const QUEUE: &str = "<entry xmlns=\"http://www.w3.org/2005/Atom\"><id>https://ns/orders</id><title type=\"text\">orders</title>\
    <content type=\"application/xml\"><QueueDescription xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\">\
    <LockDuration>PT1M</LockDuration><MessageCount>9</MessageCount><CountDetails xmlns:d2p1=\"http://schemas.microsoft.com/netservices/2011/06/servicebus\">\
    <d2p1:ActiveMessageCount>7</d2p1:ActiveMessageCount><d2p1:DeadLetterMessageCount>2</d2p1:DeadLetterMessageCount>\
    </CountDetails></QueueDescription></content></entry>";
const SUBSCRIPTION: &str = "<entry><content><SubscriptionDescription><CountDetails><ActiveMessageCount>1</ActiveMessageCount>\
    <DeadLetterMessageCount>0</DeadLetterMessageCount></CountDetails></SubscriptionDescription></content></entry>";
const FEED: &str = "<feed xmlns=\"http://www.w3.org/2005/Atom\"><title type=\"text\">Publicly Listed Services</title></feed>";
const WORDS: &[&str] = &[
    "<entry>",
    "</entry>",
    "<content>",
    "</content>",
    "<QueueDescription>",
    "<CountDetails>",
    "</CountDetails>",
    "<ActiveMessageCount>",
    "</ActiveMessageCount>",
    "<![CDATA[",
    "]]>",
    "<!--",
    "<?a?>",
    "&lt;",
    "<!DOCTYPE a [<!ENTITY b \"c\">]>",
    "xmlns:a=\"b\"",
];

#[test]
fn whatever_the_service_says_of_an_entity_it_is_a_count_or_none() {
    let seeds = [QUEUE, SUBSCRIPTION, FEED];
    let target = FuzzTarget::of_texts(COUNT_TARGET, module_path!(), WORDS, &seeds);
    feed(&target, |bytes| match azure_core::xml::from_xml::<_, AtomEntry>(bytes) {
        Ok(entry) => {
            let counts = entry.content.described.counts;
            format!("counted {}", counts.active_message_count > counts.dead_letter_message_count)
        }
        Err(error) => error.to_string(),
    });
}
