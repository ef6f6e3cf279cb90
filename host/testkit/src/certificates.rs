//! TLS for servers of the tests.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

/// Makes an authority (`ca.pem`) and a certificate (`server.pem`, `server.key`) for one name, such
/// as `IP:127.0.0.1` or `DNS:localhost`, and returns the authority's file.
pub fn make(directory: &Path, name: &str) -> PathBuf {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "longshore tests");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();

    let mut server = CertificateParams::default();
    server.distinguished_name.push(DnType::CommonName, "server");
    server.subject_alt_names = vec![subject(name)];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Clients of other people look for the key of the authority here (RFC 5280, section 4.2.1.1).
    server.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().unwrap();
    let server = server.signed_by(&key, &authority).unwrap();

    let write = |name: &str, pem: String| {
        let path = directory.join(name);
        std::fs::write(&path, pem).unwrap();
        path
    };
    write("server.pem", server.pem());
    write("server.key", key.serialize_pem());
    write("ca.pem", authority.pem())
}

fn subject(name: &str) -> SanType {
    match name.split_once(':') {
        Some(("IP", address)) => SanType::IpAddress(address.parse().unwrap()),
        Some(("DNS", host)) => SanType::DnsName(host.try_into().unwrap()),
        _ => panic!("{name} begins neither with IP: nor with DNS:"),
    }
}
