//! Libraries that rely on sums to wrap, as they do in a release, and panic where sums are checked.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Mutex, Once};

/// Where the last panic was, and what it said.
static LAST: Mutex<(String, String)> = Mutex::new((String::new(), String::new()));
static HOOK: Once = Once::new();

/// Reads something with a library; `None` where one of its sums did not fit, which only a build
/// that checks sums notices. There may be thousands of these, so that they are not shown.
///
/// # Panics
/// As `read` does for any other reason.
pub fn unless_sums_wrap<T>(library: &'static str, read: impl FnOnce() -> T) -> Option<T> {
    let wraps = move |at: &str, said: &str| at.contains(library) && said.contains("with overflow");
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            let at = panic.location().map_or_else(String::new, |at| at.file().to_owned());
            let said = panic.payload_as_str().unwrap_or_default().to_owned();
            if !wraps(&at, &said) {
                usual(panic);
            }
            *LAST.lock().unwrap() = (at, said);
        }));
    });
    catch_unwind(AssertUnwindSafe(read)).map_or_else(
        |panic| {
            let (at, said) = &*LAST.lock().unwrap();
            if wraps(at, said) { None } else { std::panic::resume_unwind(panic) }
        },
        Some,
    )
}
