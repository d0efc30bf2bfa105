//! Certificates: read, never judged.

use crate::system::{Result, hex};
use crate::wire::Failure;
use crate::wire::survey::X509;
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::{PrintableStringRef, Utf8StringRef};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;
use x509_cert::time::Time;

/// A certificate in DER.
pub fn read(der: &[u8]) -> Result<X509> {
    let wrong =
        |e: &dyn std::fmt::Display| Failure::new(format!("a certificate is unreadable: {e}"));
    let certificate = Certificate::from_der(der).map_err(|e| wrong(&e))?;
    let body = certificate.tbs_certificate();
    let names = body
        .get_extension::<SubjectAltName>()
        .map_err(|e| wrong(&e))?;
    let validity = body.validity();
    Ok(X509 {
        sha256: hex(&Sha256::digest(der)),
        subject: body.subject().to_string(),
        issuer: body.issuer().to_string(),
        common_name: common_name(body.subject()),
        alt_names: names
            .map(|(_, names)| alt_names(&names))
            .unwrap_or_default(),
        not_before: seconds(validity.not_before),
        not_after: seconds(validity.not_after),
    })
}

fn common_name(name: &Name) -> Option<String> {
    // Source: RFC 4519, 2.3.
    const COMMON_NAME: x509_cert::der::oid::ObjectIdentifier =
        x509_cert::der::oid::ObjectIdentifier::new_unwrap("2.5.4.3");
    let pair = name.iter().find(|pair| pair.oid == COMMON_NAME)?;
    let utf8 = || {
        pair.value
            .decode_as::<Utf8StringRef<'_>>()
            .ok()
            .map(|s| s.to_string())
    };
    let printable = || {
        pair.value
            .decode_as::<PrintableStringRef<'_>>()
            .ok()
            .map(|s| s.to_string())
    };
    utf8().or_else(printable)
}

fn alt_names(names: &SubjectAltName) -> Vec<String> {
    let told = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => address(bytes.as_bytes()).map(|a| a.to_string()),
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
        _ => None,
    };
    names.0.iter().filter_map(told).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}

fn seconds(time: Time) -> i64 {
    i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
}
