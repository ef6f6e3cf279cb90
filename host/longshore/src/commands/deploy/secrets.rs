//! What looks like a secret among the values of the project file.
//!
//! Whoever may read a job reads its variables. So such a value is not written there. What is
//! recognised is said in the book, on the page of the deployment: other values are written as they
//! are.

use crate::cli::without_secrets;

/// How the name of a secret ends, in small letters and without what stands between its words.
const NAMES: [&str; 17] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "accountkey",
    "sharedkey",
    "privatekey",
    "secretkey",
    "signingkey",
    "encryptionkey",
    "subscriptionkey",
    "functionkey",
    "sharedaccesssignature",
];
/// What the first line of a private key in PEM has.
const PRIVATE_KEY: &str = "PRIVATE KEY-----";
/// How the header of a JSON Web Token begins: `{"` in base64.
const WEB_TOKEN: &str = "eyJ";

/// What in a value of this key looks like a secret: its name. `None`: nothing does.
pub(super) fn secret_in(key: &str, text: &str) -> Option<String> {
    let (name, value) = text.split_once('=').unwrap_or(("", text));
    let has_names = ["config", "env"].contains(&key);
    let unnamed = || if has_names && !name.is_empty() { name.trim().to_owned() } else { "a value".into() };
    if without_secrets(text) != text {
        return Some(unnamed());
    }
    if !has_names {
        return None;
    }
    if value.contains(PRIVATE_KEY) || value.split(|c: char| !is_of_token(c)).any(is_web_token) {
        return Some(unnamed());
    }
    // A connection string, a query and a JSON object name their parts.
    let places = text.match_indices(['=', ':']).map(|(place, _)| place);
    let mut named = places.filter_map(|place| secret_at(text, place));
    let inner = named.next()?;
    Some(if inner == name.trim() { inner.into() } else { format!("{inner} in {}", name.trim()) })
}

/// The name before a separator, if it and the value behind it are those of a secret.
fn secret_at(text: &str, place: usize) -> Option<&str> {
    let (before, after) = (text[..place].trim_end(), text[place + 1..].trim_start());
    let quoted = before.strip_suffix(['"', '\'']);
    // A colon stands in times and addresses as well.
    if text[place..].starts_with(':') && quoted.is_none() {
        return None;
    }
    let before = quoted.unwrap_or(before);
    let begins = before.rfind(|c: char| !is_of_name(c)).map_or(0, |at| at + char_length(before, at));
    let name = &before[begins..];
    let value = after.trim_start_matches(['"', '\'']);
    let value = value.split(|c: char| c.is_whitespace() || ";&,\"'}".contains(c)).next().unwrap_or_default();
    (is_name(name) && may_be_secret(name, value)).then_some(name)
}

fn char_length(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(0, char::len_utf8)
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || "_-.".contains(c)
}

fn is_name(name: &str) -> bool {
    let plain: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    let plain = plain.to_lowercase();
    NAMES.iter().any(|it| plain.ends_with(it))
}

/// Whether a value under such a name may be one: a switch, an address and a folder are none.
fn may_be_secret(name: &str, value: &str) -> bool {
    let is_switch = ["", "true", "false", "yes", "no", "on", "off", "null", "none"];
    let is_address = value.starts_with("https://") || value.starts_with("http://");
    // The shell's variable.
    let is_folder = name.ends_with("PWD") && value.starts_with('/');
    !is_switch.contains(&value.to_lowercase().as_str()) && !is_address && !is_folder
}

fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-.".contains(c)
}

fn is_web_token(word: &str) -> bool {
    let parts: Vec<_> = word.split('.').collect();
    parts.len() == 3 && parts[0].starts_with(WEB_TOKEN) && parts[1].starts_with(WEB_TOKEN)
}

#[cfg(test)]
mod tests {
    use super::{NAMES, secret_in};

    #[test]
    fn the_book_names_every_ending_that_is_recognised() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/deploy.md");
        let page = std::fs::read_to_string(page).unwrap();
        let table = page.split("### What looks like a secret").nth(1).unwrap();
        let table = table.split("###").next().unwrap();
        for name in NAMES {
            let word = name.strip_suffix("key").unwrap_or(name);
            assert!(table.contains(&format!("`{word}`")), "{name}");
        }
    }

    #[test]
    fn what_looks_like_a_secret_is_named_without_its_value() {
        for (key, text, name) in [
            ("config", "api-key=swordfish", "api-key"),
            ("config", "apiKey=swordfish", "apiKey"),
            ("env", "DB_PASSWORD=swordfish", "DB_PASSWORD"),
            ("env", "GITHUB_TOKEN = swordfish", "GITHUB_TOKEN"),
            ("env", "é_SECRET=swordfish", "é_SECRET"),
            ("config", "db=Server=a;User Id=b;Password=swordfish;Encrypt=true", "Password in db"),
            ("config", "db=Server=a;Pwd = swordfish", "Pwd in db"),
            ("config", "db=postgres://user:swordfish@host/db", "db"),
            ("config", "url=https://a.example/b?access_token=swordfish", "access_token in url"),
            ("config", "settings={\"user\": \"a\", \"password\": \"swordfish\"}", "password in settings"),
            ("config", "bus=Endpoint=sb://a/;SharedAccessKey=swordfish", "bus"),
            ("config", "pem=-----BEGIN PRIVATE KEY-----", "pem"),
            ("env", "AUTHORIZATION=Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.swordfish", "AUTHORIZATION"),
            ("outbox", "a=https://acme.queue.core.windows.net/a?sv=1&sig=swordfish", "a value"),
        ] {
            assert_eq!(secret_in(key, text).as_deref(), Some(name), "{text}");
        }
    }

    #[test]
    fn what_only_sounds_like_a_secret_is_written() {
        for (key, text) in [
            ("config", "currency=EUR"),
            ("config", "max-tokens=4096"),
            ("config", "token-url=https://login.example/token"),
            ("config", "token=https://login.example/token"),
            ("config", "partition-key=region"),
            ("config", "csrf-token=true"),
            ("config", "password="),
            ("config", "note=the password: none is needed"),
            ("config", "at=10:30"),
            ("config", "settings={\"retries\": 3}"),
            ("env", "PWD=/work"),
            ("env", "API_KEY"),
            ("env", "TOKENIZER=bpe"),
            ("allow-http", "token.example"),
            ("http-header", "api.example.com=x-api-key=@API_KEY"),
            ("http-identity", "api.example.com=api://secret/.default"),
        ] {
            assert_eq!(secret_in(key, text), None, "{text}");
        }
    }
}
