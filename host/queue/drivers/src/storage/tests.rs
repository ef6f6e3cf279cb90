mod fuzz;

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
