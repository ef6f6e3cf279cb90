//! The table of forms, and of what is refused.

use super::*;
use crate::place::{Signature, StorageAccess, Transport};

#[test]
fn the_owner_is_the_account_or_the_namespace() {
    for (url, owner) in [
        ("file:./queues/orders", None),
        ("https://acme.queue.core.windows.net/orders", Some("acme")),
        ("http://127.0.0.1:10001/devstoreaccount1/orders", Some("devstoreaccount1")),
        ("sb://ns.servicebus.windows.net/orders", Some("ns")),
    ] {
        assert_eq!(parse(url).owner(), owner, "{url}");
    }
}

#[test]
fn only_a_sub_queue_holds_the_dead_letters_of_a_queue() {
    for (url, of) in [
        ("file:./queues/orders", None),
        ("file:./queues/orders-poison", None),
        ("https://acme.queue.core.windows.net/orders-poison", None),
        ("sb://ns.servicebus.windows.net/orders", None),
        ("sb://ns.servicebus.windows.net/orders/$deadletterqueue", Some("orders")),
    ] {
        let url = parse(url);
        assert_eq!((url.dead_letters_of(), url.is_dead_letter_queue()), (of, of.is_some()), "{url}");
    }
}

#[test]
fn a_subscription_is_known_by_its_path_in_whatever_case_and_by_a_connection_string() {
    let key = "SharedAccessKeyName=all;SharedAccessKey=c2Vj";
    for text in [
        "sb://ns.servicebus.windows.net/orders/Subscriptions/billing",
        "sb://ns.servicebus.windows.net/orders/subscriptions/billing/$DeadLetterQueue",
        &format!("Endpoint=sb://ns.servicebus.windows.net/;{key};EntityPath=orders/SUBSCRIPTIONS/billing"),
    ] {
        let url = parse(text);
        assert_eq!(url.subscription(), Some(("orders", "billing")), "{text}");
        assert_eq!(
            url.counted_by(),
            [("namespace", "ns"), ("topicName", "orders"), ("subscriptionName", "billing")]
        );
        assert_eq!(
            url.delivery_limit().unwrap().action,
            "Microsoft.ServiceBus/namespaces/topics/subscriptions/read"
        );
    }
    let poison = parse("sb://ns.servicebus.windows.net/orders/subscriptions/billing").poison().unwrap();
    assert_eq!(poison.dead_letters_of(), Some("orders/Subscriptions/billing"));
    for text in [
        "sb://ns.servicebus.windows.net/orders",
        "sb://ns.servicebus.windows.net/orders/subscriptions",
        "sb://ns.servicebus.windows.net/subscriptions/billing",
        "sb://ns.servicebus.windows.net/orders/subscription/billing",
    ] {
        assert_eq!(parse(text).subscription(), None, "{text}");
        assert_eq!(parse(text).counted_by()[1].0, "queueName");
    }
    assert_eq!(parse("file:./queues/orders").counted_by(), []);
}

#[test]
fn every_kind_reads_its_own_examples() {
    for kind in KINDS {
        for form in kind.forms {
            let (endpoint, key) = ("sb://…", "SharedAccessKeyName=…;SharedAccessKey=…");
            let filled = form.example.replace(endpoint, "sb://ns.servicebus.windows.net");
            let url = parse(&filled.replace(key, "SharedAccessKeyName=all;SharedAccessKey=c2Vj"));
            assert_eq!((url.kind().name, url.name()), (kind.name, "orders"), "{}", form.example);
        }
    }
}

fn parse(text: &str) -> QueueUrl {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_form_is_recognised_and_shown_as_it_was_written() {
    let file = |directory: &str| Place::File { directory: directory.into() };
    let storage = |endpoint: &str| Place::Storage { endpoint: endpoint.into(), access: None };
    let bus = |namespace: &str| Place::ServiceBus {
        namespace: namespace.into(),
        access: None,
        transport: Transport::Amqps,
    };
    let cases = [
        ("file:./queues/orders", file("./queues"), "orders", "file:./queues/orders"),
        ("file:./queues/orders/", file("./queues"), "orders", "file:./queues/orders"),
        ("file:queues/orders", file("queues"), "orders", "file:queues/orders"),
        ("file:orders", file("."), "orders", "file:./orders"),
        ("file:/var/q/orders", file("/var/q"), "orders", "file:/var/q/orders"),
        ("file:///var/q/orders", file("/var/q"), "orders", "file:/var/q/orders"),
        ("file://localhost/var/q/orders", file("/var/q"), "orders", "file:/var/q/orders"),
        ("file:////var/q/orders", file("/var/q"), "orders", "file:/var/q/orders"),
        ("file:./my queues/100%/orders", file("./my queues/100%"), "orders", "file:./my queues/100%/orders"),
        (
            "https://acc.queue.core.windows.net/orders",
            storage("https://acc.queue.core.windows.net"),
            "orders",
            "https://acc.queue.core.windows.net/orders",
        ),
        (
            "https://ACC.queue.core.chinacloudapi.cn/orders/",
            storage("https://acc.queue.core.chinacloudapi.cn"),
            "orders",
            "https://acc.queue.core.chinacloudapi.cn/orders",
        ),
        (
            "http://127.0.0.1:10001/devstoreaccount1/orders",
            storage("http://127.0.0.1:10001/devstoreaccount1"),
            "orders",
            "http://127.0.0.1:10001/devstoreaccount1/orders",
        ),
        (
            "https://azurite:10001/devstoreaccount1/orders",
            storage("https://azurite:10001/devstoreaccount1"),
            "orders",
            "https://azurite:10001/devstoreaccount1/orders",
        ),
        (
            "sb://ns.servicebus.windows.net/Orders/eu_1",
            bus("ns.servicebus.windows.net"),
            "Orders/eu_1",
            "sb://ns.servicebus.windows.net/Orders/eu_1",
        ),
        ("sb://127.0.0.1:5671/orders", bus("127.0.0.1:5671"), "orders", "sb://127.0.0.1:5671/orders"),
        (
            "sb://ns.servicebus.windows.net/in/Orders/subscriptions/billing/",
            bus("ns.servicebus.windows.net"),
            "in/Orders/Subscriptions/billing",
            "sb://ns.servicebus.windows.net/in/Orders/Subscriptions/billing",
        ),
    ];
    for (text, place, name, shown) in cases {
        let url = parse(text);
        assert_eq!((url.place(), url.name()), (&place, name), "{text}");
        assert_eq!(url.to_string(), shown);
        assert_eq!(parse(shown), url, "{text}: what is shown names the same queue");
    }
}

#[test]
fn what_names_no_queue_is_refused_with_thing_cause_and_mend() {
    let long = format!("file:./queues/{}", "a".repeat(64));
    let long_entity = format!("sb://ns.servicebus.windows.net/{}", "a".repeat(261));
    assert_eq!(parse(&long_entity[..long_entity.len() - 1]).name().len(), 260);
    let long_subscription =
        format!("sb://ns.servicebus.windows.net/{}/subscriptions/{}", "a".repeat(260), "b".repeat(51));
    assert!(long_subscription[..long_subscription.len() - 1].parse::<QueueUrl>().is_ok());
    let cases = [
        ("", "does not say which kind of queue"),
        ("orders", "does not say which kind of queue"),
        ("file:", "no queue is named"),
        ("file:..", "no queue is named"),
        ("file://server/share/orders", "names a host"),
        ("file:./queues/Orders", "lowercase"),
        ("file:./queues/or_ders", "lowercase"),
        ("file:./queues/ab", "3 to 63"),
        (&long, "3 to 63"),
        ("file:./queues/-orders", "dashes stand alone"),
        ("file:./queues/orders-", "dashes stand alone"),
        ("file:./queues/or--ders", "dashes stand alone"),
        ("https://acc.queue.core.windows.net", "not that of a queue"),
        ("https://acc.queue.core.windows.net/orders/messages", "not that of a queue"),
        ("https://acc.queue.core.windows.net/Orders", "lowercase"),
        ("http://acc.queue.core.windows.net/orders", "in the clear"),
        ("https://acc.queue.core.windows.net/orders?comp=list", "no `sig`"),
        ("http://127.0.0.1:10001/orders", "not that of a queue"),
        ("http://127.0.0.1:10001/devstoreaccount1/orders/x", "lowercase"),
        ("sb://ns.servicebus.windows.net/", "not that of a Service Bus queue"),
        ("sb://ns.servicebus.windows.net/orders?x=1", "a query"),
        ("amqp://host/orders", "no kind of queue"),
        ("https://user@acc.queue.core.windows.net/orders", "no user, password or fragment"),
        ("https://:word@acc.queue.core.windows.net/orders", "no user, password or fragment"),
        ("https://acc.queue.core.windows.net/orders#top", "no user, password or fragment"),
        ("sb://ns.servicebus.windows.net/ord€rs", "the path is not that"),
        (&long_entity, "the path is not that"),
        (&long_subscription, "at most 50 characters"),
    ];
    for (text, cause) in cases {
        let error = text.parse::<QueueUrl>().expect_err(text).to_string();
        assert!(error.contains(cause), "{text}: {error}");
        assert!(error.contains("; "), "{text}: no mend in {error}");
    }
}

#[test]
fn no_secret_is_ever_shown() {
    let url = parse("https://acc.queue.core.windows.net/orders?sv=2024-11-04&ss=q&sig=c2VjcmV0%3D");
    let Place::Storage { access: Some(StorageAccess::Signature(Signature(query))), .. } = url.place() else {
        panic!("the signature is kept");
    };
    assert_eq!(query, "sv=2024-11-04&ss=q&sig=c2VjcmV0%3D");
    let poison = url.poison().unwrap();
    assert_eq!(poison.to_string(), "https://acc.queue.core.windows.net/orders-poison");
    for shown in [format!("{url} {url:?} {:?}", url.place()), format!("{poison:?} {:#?}", poison.place())] {
        assert!(!shown.contains("c2Vj") && !shown.contains("sig="), "{shown}");
    }
    let refused = [
        "https://acc.queue.core.windows.net/Orders?sv=1&sig=c2VjcmV0",
        "https://user:c2VjcmV0@acc.queue.core.windows.net/orders",
        "AccountName=acc;AccountKey=c2VjcmV0",
        "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKey=c2VjcmV0",
        "https://acc.queue.core.windows.net/Orders%3Fsig%3Dc2VjcmV0",
        "http://acc.queue.core.windows.net/orders?%73ig=c2VjcmV0",
    ];
    for text in refused {
        let error = text.parse::<QueueUrl>().expect_err(text);
        assert!(!format!("{error} {error:?}").contains("c2Vj"), "{error}");
    }
}

#[test]
fn a_signature_travels_in_the_clear_on_this_host_only_however_it_is_spelt() {
    for (host, allowed) in [
        ("127.0.0.1:10001", true),
        ("127.9.9.9", true),
        ("[::1]:10001", true),
        ("localhost:10001", true),
        ("LOCALHOST", true),
        ("storage.localhost:10001", true),
        ("0x7f.1:10001", true),
        ("azurite:10001", false),
        ("10.0.0.4:10001", false),
        ("169.254.169.254", false),
        ("[::ffff:10.0.0.4]", false),
        ("localhost.example", false),
        ("notlocalhost", false),
    ] {
        for signature in ["sv=1&sig=c2Vj", "%73ig=c2Vj"] {
            let text = format!("http://{host}/account/orders?{signature}");
            let parsed = text.parse::<QueueUrl>();
            assert_eq!(parsed.is_ok(), allowed, "{text}: {parsed:?}");
            let shown = parsed.map_or_else(|error| error.to_string(), |url| format!("{url} {url:?}"));
            assert!(!shown.contains("c2Vj"), "{shown}");
            assert!(allowed || shown.contains("in the clear") && shown.contains("https"), "{shown}");
        }
        assert!(format!("https://{host}/account/orders?sig=x").parse::<QueueUrl>().is_ok(), "{host}");
    }
}

#[test]
fn a_token_goes_unasked_to_the_services_own_hosts_and_to_this_one() {
    let key = "SharedAccessKeyName=all;SharedAccessKey=c2Vj;EntityPath=orders";
    for (url, elsewhere) in [
        ("file:./queues/orders", None),
        ("https://acme.queue.core.windows.net/orders", None),
        ("https://acme.z01.queue.storage.azure.net/orders", None),
        ("https://127.0.0.1:10001/account/orders", None),
        ("https://[::1]/account/orders", None),
        ("https://evil.example/account/orders", Some("evil.example")),
        ("https://EVIL.example:8443/account/orders", Some("evil.example")),
        (
            "https://acme.queue.core.windows.net.evil.example/orders",
            Some("acme.queue.core.windows.net.evil.example"),
        ),
        ("https://localhost.evil.example/account/orders", Some("localhost.evil.example")),
        ("https://10.0.0.4/account/orders", Some("10.0.0.4")),
        // Whoever has a signature or a key needs no token.
        ("https://evil.example/account/orders?sig=x", None),
        (&format!("Endpoint=sb://evil.example/;{key}"), None),
        ("sb://acme.servicebus.windows.net/orders", None),
        ("sb://127.0.0.1:5671/orders", None),
        ("sb://evil.example/orders", Some("evil.example")),
        (
            "sb://acme.servicebus.windows.net.evil.example:443/orders",
            Some("acme.servicebus.windows.net.evil.example"),
        ),
    ] {
        assert_eq!(parse(url).token_goes_elsewhere().as_deref(), elsewhere, "{url}");
    }
}

#[test]
fn an_error_repeats_of_a_url_what_can_be_no_secret() {
    for (text, shown) in [
        ("file:./queues/Orders", "`file:./queues/Orders`: "),
        ("https://acc.queue.core.windows.net/Orders?sig=x", "`https://acc.queue.core.windows.net/Orders`: "),
        ("https://a:b@acc.queue.core.windows.net/orders", "the queue's URL: "),
        ("AccountName=acc", "the connection string: "),
        ("Account=acc", "the queue's URL: "),
        ("accounts;orders", "the queue's URL: "),
        ("endpoint=sb://ns.servicebus.windows.net/", "the connection string: "),
    ] {
        let error = text.parse::<QueueUrl>().unwrap_err().to_string();
        assert!(error.starts_with(shown), "{text}: {error}");
    }
    assert_eq!(format!("{:?}", parse("file:./queues/orders")), "QueueUrl(file:./queues/orders)");
}

#[test]
fn a_connection_string_is_that_of_service_bus_and_nothing_else() {
    for endpoint in [
        "https://ns.servicebus.windows.net/",
        "sb://user@ns.servicebus.windows.net/",
        "sb://:word@ns.servicebus.windows.net/",
        "sb://ns.servicebus.windows.net/#top",
    ] {
        let fields = "SharedAccessKeyName=all;SharedAccessKey=c2Vj;EntityPath=orders";
        let error = format!("Endpoint={endpoint};{fields}").parse::<QueueUrl>().unwrap_err().to_string();
        assert!(error.contains("its endpoint is not that of Service Bus"), "{endpoint}: {error}");
    }
}

#[test]
fn the_poison_queue_lies_beside_the_queue() {
    let cases = [
        ("file:./queues/orders", "file:./queues/orders-poison"),
        (
            "http://127.0.0.1:10001/devstoreaccount1/orders",
            "http://127.0.0.1:10001/devstoreaccount1/orders-poison",
        ),
        ("sb://ns.servicebus.windows.net/orders", "sb://ns.servicebus.windows.net/orders/$deadletterqueue"),
    ];
    for (queue, poison) in cases {
        assert_eq!(parse(queue).poison().unwrap(), parse(poison));
    }
    let error = parse(&format!("file:./q/{}", "a".repeat(57))).poison().unwrap_err();
    assert!(error.to_string().contains("--poison-queue"), "{error}");
}

#[test]
fn a_connection_string_is_a_queue_with_a_key_that_is_never_shown() {
    let text = "Endpoint=sb://NS.servicebus.windows.net/;SharedAccessKeyName=all;SharedAccessKey=c2VjcmV0PQ==;EntityPath=orders";
    for (end, expected) in [
        ("", Transport::Amqps),
        (";TransportType=AmqpWebSockets", Transport::WebSockets),
        (";UseDevelopmentEmulator=true", Transport::Plain),
    ] {
        let url = parse(&format!("{text}{end}"));
        assert_eq!(url.to_string(), "sb://ns.servicebus.windows.net/orders");
        let Place::ServiceBus { access: Some(access), transport, .. } = url.poison().unwrap().place().clone()
        else {
            panic!("the key is kept, for the poison queue as well");
        };
        assert_eq!((access.name.as_str(), access.key.as_str(), transport), ("all", "c2VjcmV0PQ==", expected));
        assert!(!format!("{url:?} {:?}", url.place()).contains("c2Vj"));
    }
    for (without, cause) in [("EntityPath", "no queue"), ("SharedAccessKey=", "no shared key")] {
        let fields: Vec<_> = text.split(';').filter(|field| !field.starts_with(without)).collect();
        let error = fields.join(";").parse::<QueueUrl>().unwrap_err().to_string();
        assert!(error.contains(cause) && error.contains("; write") && !error.contains("c2Vj"), "{error}");
    }
}

#[test]
fn a_text_without_a_scheme_is_told_which_forms_there_are() {
    let refused = "orders".parse::<QueueUrl>().unwrap_err().to_string();
    assert!(
        refused.starts_with("`orders`: it does not say which kind of queue it is; write `file:"),
        "{refused}"
    );
}

#[test]
fn the_dead_letter_queue_is_the_poison_queue_in_whatever_case_it_is_named() {
    let queue: QueueUrl = "sb://ns.servicebus.windows.net/Orders".parse().unwrap();
    for name in ["orders/$DeadLetterQueue", "ORDERS/$DEADLETTERQUEUE/", "Orders/$deadletterqueue"] {
        let named: QueueUrl = format!("sb://ns.servicebus.windows.net/{name}").parse().unwrap();
        assert!(named.is_dead_letter_queue() && named.is_same_queue(&queue.poison().unwrap()), "{named}");
    }
    assert!(queue.poison().unwrap().poison().is_err(), "it has no dead letters of its own");
}
