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
        ("POST https://acme.blob.core.windows.net/?comp=%u0075serdelegationkey", "seven days"),
        ("POST https://acme.blob.core.windows.net/?comp=userdelegationkey%00", "seven days"),
        ("trace https://acme.blob.core.windows.net/", "in capitals"),
        ("TRACK https://acme.blob.core.windows.net/", "repeat or tunnel"),
        ("delete https://acme.blob.core.windows.net/orders/1", "in capitals"),
        ("PUT https://acme.blob.core.windows.net/orders?comp=%u0061cl", "let others in"),
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
        ("x-ms-file-rename-source", format!("{account}/keys/2"), false),
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

#[test]
fn a_batch_needs_a_grant_of_the_whole_host_and_of_all_methods() {
    let batches =
        ["https://acme.blob.core.windows.net/?comp=batch", "https://acme.table.core.windows.net/$batch"];
    for (grants, is_signed) in [
        (["acme.blob.core.windows.net", "acme.table.core.windows.net"], true),
        (["GET,POST acme.blob.core.windows.net", "POST acme.table.core.windows.net"], false),
    ] {
        for batch in batches {
            let decided = decided(&grants, &format!("POST {batch}"), false);
            assert_eq!(decided.is_ok(), is_signed, "{batch}: {decided:?}");
        }
    }
}

#[test]
fn what_hands_out_keys_is_not_signed() {
    let grants =
        ["acme.services.ai.azure.com", "acme.cognitiveservices.azure.com", "GET,POST acme.vault.azure.net"];
    for request in [
        "POST https://acme.services.ai.azure.com/api/projects/p/connections/c/getConnectionWithCredentials?api-version=v1",
        "POST https://acme.services.ai.azure.com/api/projects/p/datasets/d/versions/1/credentials",
        "POST https://acme.services.ai.azure.com/api/projects/p/datasets/d/versions/1/startPendingUpload",
        "POST https://acme.cognitiveservices.azure.com/sts/v1.0/issueToken",
        "POST https://acme.vault.azure.net/keys/k/backup",
    ] {
        let refusal = decided(&grants, request, false).unwrap_err();
        assert!(refusal.contains("hands out a key"), "{request}: {refusal}");
    }
    for (trick, word) in
        [("x/../backup", "hands out"), ("backup/x/..", "could be another"), ("BACKUP/", "hands out")]
    {
        let refusal = decided(&grants, &format!("POST https://acme.vault.azure.net/keys/k/{trick}"), false)
            .unwrap_err();
        assert!(refusal.contains(word), "{trick}: {refusal}");
    }
    assert!(
        decided(&grants, "GET https://acme.services.ai.azure.com/api/projects/p/connections", false).is_ok()
    );
}

/// What becomes of a request with one header.
fn with_header(grants: &[&str], request: &str, header: (&str, &str), may_call: bool) -> Option<String> {
    let grants: Vec<IdentityGrant> = grants.iter().map(|it| it.parse().unwrap()).collect();
    let (method, uri) = request.split_once(' ').unwrap();
    let request = Request::builder().method(method).uri(uri).header(header.0, header.1).body(()).unwrap();
    let parts = request.into_parts().0;
    match Signers::new(&grants, &[], None).decide(&Origin::of(&parts.uri).unwrap(), &parts, |_| may_call) {
        Decision::Refused(refusal) => Some(refusal),
        Decision::Signed(_) | Decision::NoneApplies => None,
    }
}

#[test]
fn headers_that_reach_another_place_or_let_others_in_are_not_signed() {
    let grants = ["acme.blob.core.windows.net/orders", "acme.file.core.windows.net/orders"];
    let blob = "PUT https://acme.blob.core.windows.net/orders/1";
    let file = "PUT https://acme.file.core.windows.net/orders/1";
    for (request, header, is_refused) in [
        (file, ("x-ms-file-rename-source", "https://acme.file.core.windows.net/other/1"), true),
        (file, ("x-ms-file-rename-source", "https://acme.file.core.windows.net/orders/2"), false),
        (file, ("x-ms-file-rename-source", "https://evil.test/orders/2"), true),
        (file, ("x-ms-file-rename-replace-if-exists", "true"), false),
        (file, ("x-ms-file-permission", "inherit"), false),
        (file, ("x-ms-file-permission", "O:SYG:SYD:"), true),
        (blob, ("x-ms-source-container-name", "secrets"), true),
        (blob, ("x-ms-deleted-container-name", "secrets"), true),
        (blob, ("x-ms-new-kind-of-source", "x"), true),
        (blob, ("x-ms-meta-source", "shop"), false),
        (blob, ("x-ms-source-if-match", "x"), false),
        (blob, ("x-ms-source-range", "bytes=0-1"), false),
        (blob, ("x-ms-blob-public-access", "container"), true),
        (blob, ("x-ms-acl", "user::rwx"), true),
        (blob, ("x-ms-permissions", "0777"), true),
        (blob, ("X_HTTP_METHOD_OVERRIDE", "DELETE"), true),
        (blob, ("forwarded", "host=other"), true),
        (blob, ("x-forwarded-uri", "/keys"), true),
        (blob, ("x-forwarded-for", "10.1.2.3"), false),
        (blob, ("x-original-uri", "/keys"), true),
        (blob, ("destination", "/keys"), true),
    ] {
        let refused = with_header(&grants, request, header, false);
        assert_eq!(refused.is_some(), is_refused, "{header:?}: {refused:?}");
    }
}

#[test]
fn a_source_of_a_granted_account_needs_a_grant_that_reads_it() {
    let write = "PUT https://acme.blob.core.windows.net/out/1";
    let source = |of: &str| format!("https://{of}");
    for (grants, of, may_call, is_refused) in [
        (&["acme.blob.core.windows.net/out"][..], "acme.blob.core.windows.net/out/2", false, false),
        (&["acme.blob.core.windows.net/out"], "acme.blob.core.windows.net/in/2", false, true),
        (&["acme.blob.core.windows.net/out"], "acme.blob.core.windows.net/in/2", true, true),
        (&["acme.blob.core.windows.net/out"], "acme.dfs.core.windows.net/in/2", true, true),
        (&["acme.blob.core.windows.net/out"], "acme-secondary.blob.core.windows.net/in/2", true, true),
        (&["acme.blob.core.windows.net/out"], "other.test/2", true, false),
        (&["acme.blob.core.windows.net/out"], "other.test/2", false, true),
        (
            &["acme.blob.core.windows.net/out", "PUT acme.blob.core.windows.net/in"],
            "acme.blob.core.windows.net/in/2",
            false,
            true,
        ),
        (
            &["acme.blob.core.windows.net/out", "GET acme.blob.core.windows.net/in"],
            "acme.blob.core.windows.net/in/2",
            false,
            false,
        ),
    ] {
        let refused = with_header(grants, write, ("x-ms-copy-source", &source(of)), may_call);
        assert_eq!(refused.is_some(), is_refused, "{grants:?} {of}: {refused:?}");
    }
}

#[test]
fn no_part_and_no_encoding_of_an_answer_is_asked_for_but_of_azures_services() {
    for (place, keeps) in [("api.test", false), ("acme.openai.azure.com", true)] {
        let grant: HeaderGrant = format!("{place}/v1=x-api-key=@KEY").parse().unwrap();
        let header = grant.with_value(Some("swordfish")).unwrap();
        let signers = Signers::new(&[], &[header], None);
        // Also of what goes there unsigned.
        let origin: Origin = place.parse().unwrap();
        let request = Request::get(format!("https://{place}/")).header("range", "bytes=0-15");
        let mut parts = request.header("accept-encoding", "gzip").body(()).unwrap().into_parts().0;
        signers.prepare(&origin, &mut parts.headers);
        assert_eq!(parts.headers.contains_key("range"), keeps, "{place}");
        assert_eq!(parts.headers["accept-encoding"], "identity");
        let mut answer = http::HeaderMap::new();
        assert!(!signers.hides(&origin, &answer));
        answer.insert("content-encoding", "gzip".parse().unwrap());
        assert_eq!(signers.hides(&origin, &answer), !keeps, "{place}");
    }
}

#[test]
fn what_honest_sdks_send_is_signed() {
    let grants = ["acme.blob.core.windows.net/orders", "acme.file.core.windows.net/orders"];
    let blob = "PUT https://acme.blob.core.windows.net/orders/1";
    let file = "PUT https://acme.file.core.windows.net/orders/1";
    for (request, header) in [
        (blob, ("x-ms-meta-order_id", "42")),
        (blob, ("x-ms-meta-hdi_isfolder", "true")),
        (blob, ("client_id", "x")),
        (file, ("x-ms-file-permission", "Inherit")),
        (file, ("x-ms-source-allow-trailing-dot", "true")),
    ] {
        assert_eq!(with_header(&grants, request, header, false), None, "{header:?}");
    }
    for name in ["x_ms_copy_source", "x-forwarded_host", "transfer_encoding", "x-ms-umask", "x-ms-mode"] {
        assert!(with_header(&grants, blob, (name, "x"), false).is_some(), "{name}");
    }
    // What the portal shows ends with a slash, and SDKs add one.
    for (grant, request) in [
        (
            "acme.openai.azure.com",
            "POST https://acme.openai.azure.com//openai/deployments/gpt/chat/completions",
        ),
        ("acme.vault.azure.net", "GET https://acme.vault.azure.net//secrets/x"),
        ("acme.vault.azure.net", "GET https://acme.vault.azure.net/secrets/backup/"),
        ("GET acme.blob.core.windows.net", "GET https://acme.blob.core.windows.net/orders/a//b"),
    ] {
        assert_eq!(decided(&[grant], request, false), Ok(Some(0)), "{request}");
    }
    let undelete = ("x-ms-deleted-container-name", "orders");
    let request = "PUT https://acme.blob.core.windows.net/orders?restype=container&comp=undelete";
    assert_eq!(with_header(&["acme.blob.core.windows.net"], request, undelete, false), None);
}
