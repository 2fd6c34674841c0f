//! A verdict about a PROXY header needs a bounded number of bytes and stays.

use chimera_stratum::{PROXY_HEADER_BYTES_MAX, ProxyHeader};

/// The bytes of a connection.
pub fn run(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(2 * PROXY_HEADER_BYTES_MAX)];
    let mut verdict = Ok(None);
    for length in 0..=bytes.len() {
        let now = ProxyHeader::parse(&bytes[..length]);
        assert!(verdict == Ok(None) || verdict == now, "{verdict:?} became {now:?}");
        assert!(length < PROXY_HEADER_BYTES_MAX || now != Ok(None), "undecided at {length}");
        match now {
            Ok(Some((_, used))) => assert!(0 < used && used <= length, "{used} of {length}"),
            Ok(None) => {}
            Err(fault) => assert!(!fault.to_string().is_empty()),
        }
        verdict = now;
    }
}
