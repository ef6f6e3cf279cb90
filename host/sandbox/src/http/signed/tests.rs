//! What becomes of requests under grants that sign.

use http::Request;

use super::*;

/// What becomes of a request under these grants: the place of the one that signs it, or the
/// refusal.
fn decided(grants: &[&str], request: &str, may_call: bool) -> Result<Option<usize>, String> {
    let grants: Vec<IdentityGrant> = grants.iter().map(|it| it.parse().unwrap()).collect();
    let signers = Signers::new(&grants, &[], None);
    let (method, uri) = request.split_once(' ').unwrap();
    let parts = Request::builder().method(method).uri(uri).body(()).unwrap().into_parts().0;
    let origin = Origin::of(&parts.uri).unwrap();
    match signers.decide(&origin, &parts, |_| may_call) {
        Decision::Signed(index) => Ok(Some(index)),
        Decision::NoneApplies => Ok(None),
        Decision::Refused(refusal) => Err(refusal),
    }
}

#[test]
fn the_longest_path_that_takes_the_method_signs() {
    let grants = [
        "GET acme.blob.core.windows.net",
        "acme.blob.core.windows.net/orders",
        "GET,HEAD acme.blob.core.windows.net/orders/2026;client-id=reader",
        "PUT acme.blob.core.windows.net/orders/2026;client-id=writer",
    ];
    let blob = |request: &str| {
        let (method, path) = request.split_once(' ').unwrap();
        decided(&grants, &format!("{method} https://acme.blob.core.windows.net{path}"), false)
    };
    for (request, expected) in [
        ("GET /", 0),
        ("GET /other/1", 0),
        ("GET /orders/1", 1),
        ("DELETE /orders/1", 1),
        ("GET /orders/2026/1", 2),
        ("PUT /orders/2026/1", 3),
        ("DELETE /orders/2026/1", 1),
    ] {
        assert_eq!(blob(request), Ok(Some(expected)), "{request}");
    }
    assert_eq!(blob("PUT /other/1"), Err("the grant is for GET only".into()));
}

#[test]
fn what_no_grant_signs_goes_without_where_that_is_granted_as_well() {
    let grants = ["GET acme.blob.core.windows.net/orders"];
    for request in
        ["GET https://acme.blob.core.windows.net/x", "PUT https://acme.blob.core.windows.net/orders"]
    {
        assert!(decided(&grants, request, false).is_err(), "{request}");
        assert_eq!(decided(&grants, request, true), Ok(None), "{request}");
    }
    let trick = "GET https://acme.blob.core.windows.net/orders/../x";
    assert!(decided(&grants, trick, true).unwrap_err().contains("could leave"));
    assert_eq!(decided(&grants, "GET https://other.test/", false), Ok(None), "it is about another host");
}

#[test]
fn a_table_is_granted_with_its_rows_and_no_other_table() {
    let grants = [
        "acme.table.core.windows.net/orders",
        "127.0.0.1:10002/devstoreaccount1/orders=https://storage.azure.com/.default",
    ];
    for (index, base) in
        ["acme.table.core.windows.net", "127.0.0.1:10002/devstoreaccount1"].into_iter().enumerate()
    {
        for path in [
            "/orders",
            "/orders()",
            "/orders(PartitionKey='a',RowKey='b')",
            "/orders(PartitionKey='a%20b',RowKey='')",
        ] {
            assert_eq!(
                decided(&grants, &format!("GET https://{base}{path}"), false),
                Ok(Some(index)),
                "{base}{path}"
            );
        }
        for path in ["/orders2()", "/Tables", "/$batch", "/orders2(PartitionKey='a',RowKey='b')"] {
            assert!(decided(&grants, &format!("GET https://{base}{path}"), false).is_err(), "{base}{path}");
        }
    }
    // Elsewhere parentheses are letters like others.
    let blobs = ["acme.blob.core.windows.net/orders"];
    assert!(decided(&blobs, "GET https://acme.blob.core.windows.net/orders()", false).is_err());
}

#[test]
fn what_lets_others_in_or_reaches_beyond_is_never_signed() {
    let grants = ["acme.blob.core.windows.net", "acme.dfs.core.windows.net/orders"];
    for (request, word) in [
        ("POST https://acme.blob.core.windows.net/?restype=service&comp=userdelegationkey", "seven days"),
        ("PUT https://acme.blob.core.windows.net/orders?restype=container&comp=acl", "let others in"),
        ("PUT https://acme.blob.core.windows.net/orders?restype=container&%63omp=%61cl", "let others in"),
        ("PATCH https://acme.dfs.core.windows.net/orders/1?action=setAccessControl", "let others in"),
        ("POST https://acme.dfs.core.windows.net/orders?comp=batch", "beyond"),
        ("POST https://acme.blob.core.windows.net/?comp=%u0075serdelegationkey", "only some servers"),
        ("POST https://acme.blob.core.windows.net/?comp=userdelegationkey%00", "control character"),
        ("trace https://acme.blob.core.windows.net/", "repeat or tunnel"),
        ("TRACK https://acme.blob.core.windows.net/", "repeat or tunnel"),
        ("delete https://acme.blob.core.windows.net/orders/1", "another method"),
    ] {
        let refusal = decided(&grants, request, false).unwrap_err();
        assert!(refusal.contains(word), "{request}: {refusal}");
    }
}

#[test]
fn a_batch_is_signed_only_where_every_method_and_path_is_granted() {
    for (grant, expected) in [
        ("acme.blob.core.windows.net", true),
        ("GET,POST acme.blob.core.windows.net", false),
        ("acme.blob.core.windows.net/orders", false),
    ] {
        for path in ["/orders?restype=container&comp=batch", "/orders/$batch", "/orders/%24batch/"] {
            let request = format!("POST https://acme.blob.core.windows.net{path}");
            assert_eq!(decided(&[grant], &request, false).is_ok(), expected, "{grant} {path}");
        }
    }
}

#[test]
fn what_hands_out_keys_is_never_signed() {
    for (grant, path) in [
        ("acme.services.ai.azure.com", "/api/projects/p/connections/c/getConnectionWithCredentials"),
        ("acme.services.ai.azure.com", "/api/projects/p/datasets/d/versions/1/credentials"),
        ("acme.cognitiveservices.azure.com", "/sts/v1.0/issueToken"),
        ("POST acme.vault.azure.net", "/keys/k/backup"),
    ] {
        let host = grant.trim_start_matches("POST ");
        let refusal = decided(&[grant], &format!("POST https://{host}{path}"), false).unwrap_err();
        assert!(refusal.contains("hands out"), "{path}: {refusal}");
    }
    assert_eq!(decided(&["api.test=api://x"], "POST https://api.test/credentials", false), Ok(Some(0)));
}

#[test]
fn a_header_that_lets_others_in_or_names_another_place_is_never_signed() {
    let grants: Vec<IdentityGrant> =
        ["acme.blob.core.windows.net/orders", "PUT acme.blob.core.windows.net/inbox"]
            .map(|it| it.parse().unwrap())
            .into();
    let signers = Signers::new(&grants, &[], None);
    let decided = |name: &str, value: &str| {
        let request = http::Request::put("https://acme.blob.core.windows.net/orders/1").header(name, value);
        let parts = request.body(()).unwrap().into_parts().0;
        // Without a signature all of the account may be called.
        signers.decide(&Origin::of(&parts.uri).unwrap(), &parts, |_| true) == Decision::Signed(0)
    };
    let account = "https://acme.blob.core.windows.net";
    for (name, value, is_signed) in [
        ("x-ms-copy-source", format!("{account}/orders/2"), true),
        ("x-ms-copy-source", "https://public.test/2".into(), true),
        ("x-ms-copy-source", format!("{account}/inbox/2"), false),
        ("x-ms-copy-source", format!("{account}/keys/2"), false),
        ("x-ms-source-if-match", "*".into(), true),
        ("x-ms-file-rename-source", format!("{account}/orders/2"), false),
        ("x-ms-source-container-name", "keys".into(), false),
        ("x-ms-deleted-container-name", "keys".into(), false),
        ("x-ms-blob-public-access", "container".into(), false),
        ("x-ms-acl", "other::rwx".into(), false),
        ("x-ms-file-permission", "inherit".into(), true),
        ("x-ms-file-permission-key", "1".into(), false),
        ("x-http_method-override", "DELETE".into(), false),
        ("x-forwarded-uri", "/keys".into(), false),
        ("x-forwarded-for", "192.0.2.1".into(), true),
        ("destination", "/keys".into(), false),
    ] {
        assert_eq!(decided(name, &value), is_signed, "{name}: {value}");
    }
}
