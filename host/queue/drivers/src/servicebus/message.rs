//! Messages as AMQP carries them, and as we know them
//! ([Messages](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-messages-payloads)).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fe2o3_amqp::types::messaging::annotations::OwnedKey;
use fe2o3_amqp::types::messaging::{
    ApplicationProperties, Data, Header, Message as Amqp, MessageAnnotations, MessageId,
    Properties as AmqpProperties,
};
use fe2o3_amqp::types::primitives::{Binary, OrderedMap, SimpleValue, Symbol, Timestamp as AmqpTime, Value};
use jiff::Timestamp;

use longshore_queue::{
    CONTENT_TYPE, Message, Outgoing, Properties, QueueUrl, REASON_PROPERTY, SESSION_ID, Whole,
};

use crate::servicebus::binary_xml::{self, DotnetBody};
use crate::servicebus::sections::{Content, Decoded, Original};

/// The other properties that AMQP has fields for, as we name them among a message's properties.
const CORRELATION_ID: &str = "correlation-id";
const SUBJECT: &str = "subject";

/// What was read of a message.
pub(super) struct ReadMessage {
    pub(super) message: Message,
    /// Why the body could not be read, or all of the message.
    pub(super) damaged: Option<String>,
    /// All of it is AMQP, whatever its body is.
    pub(super) is_whole: bool,
    /// Until when it is locked, by the service's clock.
    pub(super) locked_until: Option<Timestamp>,
    /// Its place in the queue.
    pub(super) sequence: i64,
    /// It is neither scheduled nor deferred.
    pub(super) active: bool,
    /// When it was put into its queue, by the service's clock.
    pub(super) enqueued: Option<Timestamp>,
    /// The message as its sender sent it, where its bytes are there.
    pub(super) whole: Option<Whole>,
}

/// Reads a message of a queue; `delivered` counts the delivery that brought it.
pub(super) fn read(decoded: Decoded, delivered: bool, url: &QueueUrl) -> ReadMessage {
    let is_whole = decoded.damaged.is_none();
    let Amqp { header, message_annotations, properties, application_properties, body, .. } = decoded.amqp;
    let header = header.unwrap_or_default();
    let properties = properties.unwrap_or_default();
    let annotations = message_annotations.map(|it| it.0).unwrap_or_default();
    let annotation = |name: &str| annotations.get(&OwnedKey::Symbol(Symbol::from(name)));
    let time = |name: &str| match annotation(name) {
        Some(Value::Timestamp(time)) => Timestamp::from_millisecond(time.milliseconds()).ok(),
        _ => None,
    };
    let sequence = match annotation("x-opt-sequence-number") {
        Some(Value::Long(sequence)) => *sequence,
        _ => 0,
    };
    // 0: active, 1: deferred, 2: scheduled.
    let active = matches!(annotation("x-opt-message-state"), None | Some(Value::Int(0)));
    let enqueued = time("x-opt-enqueued-time");
    let inserted = enqueued.unwrap_or_else(Timestamp::now);
    // Nothing expires in a dead-letter queue
    // (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-dead-letter-queues).
    let life = if url.is_dead_letter_queue() { None } else { life(&header, &properties) };
    let time_to_live = life.map(|life| {
        let age = Timestamp::now().duration_since(inserted).try_into().unwrap_or(Duration::ZERO);
        life.saturating_sub(age)
    });
    let (body, unreadable) = match body {
        Content::Data(body) => match binary_xml::read(&body) {
            None => (body, None),
            Some(DotnetBody::Content(content)) => (content.into(), None),
            Some(DotnetBody::Object(name)) => {
                let cause = format!(
                    "its body is binary XML of a .NET object `{name}`, as BrokeredMessage writes it; send text or a stream instead"
                );
                (body, Some(cause))
            }
        },
        Content::Plain(body) => (body, None),
        Content::Unreadable(why) => (Bytes::new(), Some(why.to_owned())),
    };
    let damaged = decoded.damaged.or(unreadable);
    let named = named(&properties, application_properties);
    let id = properties.message_id.as_ref().map_or_else(|| sequence.to_string(), id_text);
    let message = Message {
        id,
        body,
        dequeue_count: header
            .delivery_count
            .saturating_add(u32::from(delivered || url.is_dead_letter_queue() && was_in_hand(&named))),
        inserted,
        time_to_live,
        properties: named,
    };
    let locked_until = time("x-opt-locked-until");
    ReadMessage { message, damaged, is_whole, locked_until, sequence, active, enqueued, whole: None }
}

/// Whether a dead letter was received when it was moved there: a delivery that no header counts.
/// The service counts those that failed, and moves messages itself for reasons of its own
/// (<https://learn.microsoft.com/azure/service-bus-messaging/service-bus-dead-letter-queues>).
fn was_in_hand(properties: &Properties) -> bool {
    const OF_THE_SERVICE: [&str; 5] = [
        "MaxDeliveryCountExceeded",
        "TTLExpiredException",
        "HeaderSizeExceeded",
        "MaxTransferHopCountExceeded",
        "Session ID is null",
    ];
    let reason = properties.iter().rfind(|(name, _)| name == REASON_PROPERTY);
    reason.is_some_and(|(_, reason)| !OF_THE_SERVICE.contains(&reason.as_str()))
}

/// How long a message lives, from its insertion on. More than 49 days do not fit into the header:
/// it then says as much as it can, and clients write down when the message was made and when it
/// expires.
fn life(header: &Header, properties: &AmqpProperties) -> Option<Duration> {
    match header.ttl {
        Some(ttl) if ttl < u32::MAX => Some(Duration::from_millis(ttl.into())),
        _ => {
            let expires = properties.absolute_expiry_time.as_ref()?.milliseconds();
            let created = properties.creation_time.as_ref()?.milliseconds();
            u64::try_from(expires.saturating_sub(created)).ok().map(Duration::from_millis)
        }
    }
}

fn id_text(id: &MessageId) -> String {
    match id {
        MessageId::Ulong(number) => number.to_string(),
        MessageId::Uuid(uuid) => uuid::Uuid::from_bytes(*uuid.as_inner()).to_string(),
        MessageId::Binary(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        MessageId::String(text) => text.clone(),
    }
}

/// The application's properties as text, behind the fields of AMQP that have something to say.
fn named(properties: &AmqpProperties, application: Option<ApplicationProperties>) -> Properties {
    let fields = [
        (CONTENT_TYPE, properties.content_type.as_ref().map(|it| it.as_str().to_owned())),
        (CORRELATION_ID, properties.correlation_id.as_ref().map(id_text)),
        (SUBJECT, properties.subject.clone()),
        (SESSION_ID, properties.group_id.clone()),
    ];
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let application = application.map(|it| it.0).unwrap_or_default();
    fields.chain(application.into_iter().map(|(name, value)| (name, text(value)))).collect()
}

fn text(value: SimpleValue) -> String {
    match value {
        SimpleValue::Null => String::new(),
        SimpleValue::Bool(value) => value.to_string(),
        SimpleValue::Ubyte(value) => value.to_string(),
        SimpleValue::Ushort(value) => value.to_string(),
        SimpleValue::Uint(value) => value.to_string(),
        SimpleValue::Ulong(value) => value.to_string(),
        SimpleValue::Byte(value) => value.to_string(),
        SimpleValue::Short(value) => value.to_string(),
        SimpleValue::Int(value) => value.to_string(),
        SimpleValue::Long(value) => value.to_string(),
        SimpleValue::Float(value) => value.to_string(),
        SimpleValue::Double(value) => value.to_string(),
        SimpleValue::Char(value) => value.to_string(),
        SimpleValue::Timestamp(time) => Timestamp::from_millisecond(time.milliseconds())
            .map_or_else(|_| time.milliseconds().to_string(), |time| time.to_string()),
        SimpleValue::Uuid(uuid) => uuid::Uuid::from_bytes(*uuid.as_inner()).to_string(),
        SimpleValue::String(text) => text,
        SimpleValue::Symbol(symbol) => symbol.into_inner(),
        SimpleValue::Binary(bytes) => STANDARD.encode(&bytes[..]),
        // A type of .NET's: a Uri, which is text, or a TimeSpan or DateTimeOffset, which are ticks
        // of 100 ns.
        SimpleValue::Described(described) => match SimpleValue::try_from(described.value) {
            Ok(value) => text(value),
            Err(value) => format!("{value:?}"),
        },
        other => format!("{other:?}"),
    }
}

/// A message to be sent: its body as data, under this id.
pub(super) fn write(id: &str, outgoing: &Outgoing) -> Amqp<Data> {
    let mut properties =
        AmqpProperties { message_id: Some(id.to_owned().into()), ..AmqpProperties::default() };
    let mut application = OrderedMap::new();
    for (name, value) in &outgoing.properties {
        // Read, a field comes before a property of the same name.
        match name.as_str() {
            CONTENT_TYPE if properties.content_type.is_none() => {
                properties.content_type = Some(Symbol::from(value.as_str()));
            }
            CORRELATION_ID if properties.correlation_id.is_none() => {
                properties.correlation_id = Some(value.clone().into());
            }
            SUBJECT if properties.subject.is_none() => properties.subject = Some(value.clone()),
            SESSION_ID if properties.group_id.is_none() => properties.group_id = Some(value.clone()),
            _ => drop(application.insert(name.clone(), SimpleValue::String(value.clone()))),
        }
    }
    let mut annotations = OrderedMap::new();
    if !outgoing.delay.is_zero() {
        let due =
            Timestamp::now().as_millisecond() + i64::try_from(outgoing.delay.as_millis()).unwrap_or(i64::MAX);
        let name = OwnedKey::Symbol(Symbol::from("x-opt-scheduled-enqueue-time"));
        annotations.insert(name, Value::Timestamp(AmqpTime::from_milliseconds(due)));
    }
    let ttl = outgoing.time_to_live.map(|left| u32::try_from(left.as_millis()).unwrap_or(u32::MAX));
    Amqp {
        header: Some(Header { durable: true, ttl, ..Header::default() }),
        delivery_annotations: None,
        message_annotations: Some(MessageAnnotations(annotations)),
        properties: Some(properties),
        application_properties: Some(ApplicationProperties(application)),
        body: Data(Binary::from(outgoing.body.to_vec())),
        footer: None,
    }
}

/// How a batch is marked, each of whose data sections is a message: a single one here.
pub(super) const BATCH_FORMAT: u32 = 0x8001_3700;

/// A batch that carries one message, as it was encoded when it was first sent. So the service takes
/// it whole. The batch says which partition and session it is for, as the official clients have it.
pub(super) fn carry(original: Original) -> Amqp<Data> {
    let annotation = |key: String| {
        let name = OwnedKey::Symbol(Symbol::from("x-opt-partition-key"));
        MessageAnnotations(OrderedMap::from_iter([(name, Value::String(key))]))
    };
    let group = |group_id: String| AmqpProperties { group_id: Some(group_id), ..AmqpProperties::default() };
    Amqp {
        header: None,
        delivery_annotations: None,
        message_annotations: original.partition_key.map(annotation),
        properties: original.group_id.map(group),
        application_properties: None,
        body: Data(Binary::from(original.bytes.to_vec())),
        footer: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servicebus::sections::decode;

    #[test]
    fn a_delivery_count_at_its_maximum_stays_there() {
        let header = Header { delivery_count: u32::MAX, ..Header::default() };
        let amqp = Amqp {
            header: Some(header),
            delivery_annotations: None,
            message_annotations: None,
            properties: None,
            application_properties: None,
            body: Content::Plain(Bytes::new()),
            footer: None,
        };
        let decoded = Decoded { amqp, damaged: None };
        let url = "sb://ns.servicebus.windows.net/orders".parse().unwrap();
        assert_eq!(read(decoded, true, &url).message.dequeue_count, u32::MAX);
    }

    #[test]
    fn properties_of_dotnets_own_types_are_read_as_what_they_are_written_as() {
        // What .NET makes of a TimeSpan of one second, in ticks of 100 ns, and of a Uri.
        let described = |kind: &str, value: &[u8]| {
            let mut bytes = vec![0x00, 0xa3, u8::try_from(kind.len()).unwrap()];
            bytes.extend(kind.as_bytes());
            bytes.extend(value);
            bytes
        };
        let mut map = vec![4];
        map.extend(b"\xa1\x03for");
        map.extend(described("com.microsoft:timespan", &[0x81, 0, 0, 0, 0, 0, 0x98, 0x96, 0x80]));
        map.extend(b"\xa1\x02at");
        map.extend(described("com.microsoft:uri", b"\xa1\x08http://a"));
        let mut bytes = vec![0x00, 0x53, 0x74, 0xc1, u8::try_from(map.len()).unwrap()];
        bytes.extend(map);
        bytes.extend(b"\x00\x53\x75\xa0\x02{}");
        let queue: QueueUrl = "sb://ns.servicebus.windows.net/orders".parse().unwrap();
        let message = read(decode(&bytes), true, &queue).message;
        let expected = [("for", "10000000"), ("at", "http://a")];
        let expected: Properties = expected.map(|(name, value)| (name.into(), value.into())).into();
        assert_eq!((&message.body[..], message.properties), (&b"{}"[..], expected));
    }

    #[test]
    fn a_message_lives_as_long_as_its_sender_said_and_for_ever_in_a_dead_letter_queue() {
        let queue: QueueUrl = "sb://ns.servicebus.windows.net/orders".parse().unwrap();
        let poison = queue.poison().unwrap();
        let hour = 60 * 60 * 1000;
        let (year, now) = (365 * 24 * i64::from(hour), 1_000_000);
        let absolute = Some((now, now + year));
        for (ttl, absolute, queue, least_s, most_s) in [
            (Some(hour), None, &queue, 3590, 3600),
            // More than fits into the header.
            (Some(u32::MAX), absolute, &queue, 364 * 86_400, 365 * 86_400),
            (Some(u32::MAX), None, &queue, 0, 0),
            (None, None, &queue, 0, 0),
            (Some(hour), absolute, &poison, 0, 0),
        ] {
            let time = AmqpTime::from_milliseconds;
            let amqp = Amqp {
                header: Some(Header { ttl, ..Header::default() }),
                delivery_annotations: None,
                message_annotations: None,
                properties: Some(AmqpProperties {
                    creation_time: absolute.map(|(created, _)| time(created)),
                    absolute_expiry_time: absolute.map(|(_, expires)| time(expires)),
                    ..AmqpProperties::default()
                }),
                application_properties: None,
                body: Content::Plain(Bytes::new()),
                footer: None,
            };
            let left = read(Decoded { amqp, damaged: None }, true, queue).message.time_to_live;
            match most_s {
                0 => assert_eq!(left, None, "{ttl:?} {absolute:?}"),
                _ => assert!(left.is_some_and(|it| (least_s..=most_s).contains(&it.as_secs())), "{left:?}"),
            }
        }
    }
}
