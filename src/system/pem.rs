//! Certificates as text.

use base64::Engine as _;

/// Every certificate in PEM text, in DER. Blocks that are no base64 are left out.
pub fn certificates(text: &str) -> Vec<Vec<u8>> {
    let blocks = text.split("-----BEGIN CERTIFICATE-----").skip(1);
    blocks
        .filter_map(|block| block.split_once("-----END CERTIFICATE-----"))
        .map(|(body, _)| body.split_whitespace().collect::<String>())
        .filter_map(|body| base64::engine::general_purpose::STANDARD.decode(body).ok())
        .collect()
}
