//! Messages as raw sections of AMQP, as other libraries write them ([AMQP 1.0, parts 1 and
//! 3](https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-messaging-v1.0-os.html)).

pub const NULL: &[u8] = &[0x40];

pub fn string(text: &str) -> Vec<u8> {
    sized(0xa1, text.as_bytes())
}

pub fn symbol(text: &str) -> Vec<u8> {
    sized(0xa3, text.as_bytes())
}

pub fn binary(bytes: &[u8]) -> Vec<u8> {
    sized(0xa0, bytes)
}

pub fn ulong(number: u64) -> Vec<u8> {
    [&[0x80][..], &number.to_be_bytes()].concat()
}

pub fn time(ms: i64) -> Vec<u8> {
    [&[0x83][..], &ms.to_be_bytes()].concat()
}

fn sized(short: u8, bytes: &[u8]) -> Vec<u8> {
    match u8::try_from(bytes.len()) {
        Ok(length) => [&[short, length], bytes].concat(),
        Err(_) => [&[short + 0x10][..], &u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat(),
    }
}

fn compound(constructor: u8, items: &[Vec<u8>]) -> Vec<u8> {
    let body = items.concat();
    let counted = |count: usize| u32::try_from(count).unwrap().to_be_bytes();
    [&[constructor][..], &counted(body.len() + 4), &counted(items.len()), &body].concat()
}

pub fn list(items: &[Vec<u8>]) -> Vec<u8> {
    if items.is_empty() { vec![0x45] } else { compound(0xd0, items) }
}

pub fn map(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    compound(0xd1, &pairs.iter().flat_map(|(name, value)| [name.clone(), value.clone()]).collect::<Vec<_>>())
}

/// Two strings of one letter.
pub fn array() -> Vec<u8> {
    [&[0xf0][..], &9_u32.to_be_bytes(), &2_u32.to_be_bytes(), b"\xa1\x01a\x01b"].concat()
}

pub fn described(name: &str, value: &[u8]) -> Vec<u8> {
    [&[0][..], &symbol(name), value].concat()
}

fn section(code: u8, value: &[u8]) -> Vec<u8> {
    [&[0, 0x53, code], value].concat()
}

/// Durable, with this priority and time to live.
pub fn header(priority: u8, ttl_ms: u32) -> Vec<u8> {
    let ttl = [&[0x70][..], &ttl_ms.to_be_bytes()].concat();
    section(0x70, &list(&[vec![0x41], vec![0x50, priority], ttl]))
}

pub fn annotations(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    section(0x72, &map(&pairs.iter().map(|(name, value)| (symbol(name), value.clone())).collect::<Vec<_>>()))
}

/// The fields by their place, from the message's id at 0 to the reply's group at 12.
pub fn properties(fields: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let mut all = vec![NULL.to_vec(); 13];
    for (place, value) in fields {
        all[*place].clone_from(value);
    }
    section(0x73, &list(&all))
}

/// With nothing but an id.
pub fn id(id: &str) -> Vec<u8> {
    properties(&[(0, string(id))])
}

pub fn application(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    section(0x74, &map(&pairs.iter().map(|(name, value)| (string(name), value.clone())).collect::<Vec<_>>()))
}

pub fn data(bytes: &[u8]) -> Vec<u8> {
    section(0x75, &binary(bytes))
}

pub fn sequence(items: &[Vec<u8>]) -> Vec<u8> {
    section(0x76, &list(items))
}

pub fn value(value: &[u8]) -> Vec<u8> {
    section(0x77, value)
}

pub fn footer() -> Vec<u8> {
    section(0x78, &map(&[(symbol("x-sum"), string("b"))]))
}
