//! The PROXY protocol, by its specification's examples and by what a stranger may send.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use chimera_stratum::{PROXY_HEADER_BYTES_MAX, ProxyFault, ProxyHeader};
use proptest::prelude::*;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn peer(address: &str) -> ProxyHeader {
    ProxyHeader::Peer(address.parse().expect("tests name good addresses"))
}

/// A binary header: version and command, family and transport, what follows.
fn binary(version_command: u8, family: u8, variable: &[u8]) -> Vec<u8> {
    let length = u16::try_from(variable.len()).expect("tests stay below 64 KiB").to_be_bytes();
    [SIGNATURE, &[version_command, family], &length, variable].concat()
}

/// Addresses and ports of TCP over IPv4: 192.168.0.1:56324 to 192.168.0.11:443.
const TCP4: &[u8] = &[192, 168, 0, 1, 192, 168, 0, 11, 0xdc, 0x04, 0x01, 0xbb];

/// Addresses and ports of TCP over IPv6: `[2001:db8::1]:56324` to `[2001:db8::2]:443`.
fn tcp6() -> Vec<u8> {
    let address = |last| [&[0x20, 0x01, 0x0d, 0xb8][..], &[0; 11], &[last]].concat();
    [&address(1)[..], &address(2), &[0xdc, 0x04, 0x01, 0xbb]].concat()
}

/// Good headers and what they say.
fn good() -> Vec<(Vec<u8>, ProxyHeader)> {
    // PP2_TYPE_ALPN "h2", PP2_TYPE_NOOP, PP2_TYPE_AUTHORITY.
    let extensions = [&[0x01, 0, 2][..], b"h2", &[0x04, 0, 1, 0], &[0x02, 0, 4], b"pool"].concat();
    let with_extensions = |addresses: &[u8]| [addresses, &extensions].concat();
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let text = |line: &str, said| (format!("{line}\r\n").into_bytes(), said);
    vec![
        // The specification's example, and its longest lines.
        text("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443", peer("192.168.0.1:56324")),
        text(
            "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535",
            peer("255.255.255.255:65535"),
        ),
        text(
            &format!("PROXY TCP6 {longest} {longest} 65535 65535"),
            peer(&format!("[{longest}]:65535")),
        ),
        text("PROXY UNKNOWN", ProxyHeader::Local),
        text(&format!("PROXY UNKNOWN {longest} {longest} 65535 65535"), ProxyHeader::Local),
        text("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535", ProxyHeader::Local),
        text("PROXY UNKNOWN  \u{e9} what ever", ProxyHeader::Local),
        text("PROXY TCP6 2001:db8::1 ::1 1 0", peer("[2001:db8::1]:1")),
        text("PROXY TCP6 2001:DB8:0::1 :: 0 0", peer("[2001:db8::1]:0")),
        text("PROXY TCP6 ::ffff:192.0.2.1 ::1 7 8", peer("[::ffff:192.0.2.1]:7")),
        // Binary: relayed connections, with and without extensions.
        (binary(0x21, 0x11, TCP4), peer("192.168.0.1:56324")),
        (binary(0x21, 0x21, &tcp6()), peer("[2001:db8::1]:56324")),
        (binary(0x21, 0x11, &with_extensions(TCP4)), peer("192.168.0.1:56324")),
        (binary(0x21, 0x21, &with_extensions(&tcp6())), peer("[2001:db8::1]:56324")),
        (binary(0x21, 0x11, &[TCP4, &[0; 1012]].concat()), peer("192.168.0.1:56324")),
        // No address a miner could have: unknown, UDP, UNIX sockets.
        (binary(0x21, 0x00, &[]), ProxyHeader::Local),
        (binary(0x21, 0x00, &extensions), ProxyHeader::Local),
        (binary(0x21, 0x10, TCP4), ProxyHeader::Local),
        (binary(0x21, 0x01, TCP4), ProxyHeader::Local),
        (binary(0x21, 0x12, TCP4), ProxyHeader::Local),
        (binary(0x21, 0x22, &tcp6()), ProxyHeader::Local),
        (binary(0x21, 0x31, &[b'/'; 216]), ProxyHeader::Local),
        (binary(0x21, 0x32, &[b'/'; 216]), ProxyHeader::Local),
        // A health check; its family and its length mean nothing, but are skipped.
        (binary(0x20, 0x00, &[]), ProxyHeader::Local),
        (binary(0x20, 0x11, TCP4), ProxyHeader::Local),
        (binary(0x20, 0x11, &[1, 2, 3]), ProxyHeader::Local),
        (binary(0x20, 0xff, &extensions), ProxyHeader::Local),
    ]
}

#[test]
fn every_good_header_is_read_to_its_end_and_no_further() {
    for (bytes, said) in good() {
        let alone = ProxyHeader::parse(&bytes);
        assert_eq!(alone, Ok(Some((said, bytes.len()))), "{}", bytes.escape_ascii());
        let line = br#"{"id":1,"method":"mining.subscribe","params":[]}"#;
        let with_a_line = [bytes.as_slice(), line, b"\n"].concat();
        assert_eq!(ProxyHeader::parse(&with_a_line), alone, "{}", bytes.escape_ascii());
    }
}

#[test]
fn of_every_good_header_less_than_all_is_not_enough() {
    for (bytes, _) in good() {
        for length in 0..bytes.len() {
            let begun = ProxyHeader::parse(&bytes[..length]);
            assert_eq!(begun, Ok(None), "{}", bytes[..length].escape_ascii());
        }
    }
}

#[test]
fn what_is_no_header_is_refused_by_name() {
    use ProxyFault::{
        Absent, Command, Family, LineAddresses, LineEnd, LineProtocol, LineTooLong, TooLong,
        TooShort, Version,
    };
    let too_long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 92], b"\r\n"].concat();
    assert_eq!(too_long.len(), 108);
    let cases: Vec<(Vec<u8>, ProxyFault)> = vec![
        // A miner, a browser, TLS.
        (br#"{"id":1,"method":"mining.subscribe"}"#.to_vec(), Absent),
        (b"GET / HTTP/1.1\r\n".to_vec(), Absent),
        (b"\x16\x03\x01\x02\x00".to_vec(), Absent),
        (b"proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n".to_vec(), Absent),
        (b"PROXYTCP4".to_vec(), Absent),
        (b"\r\n\r\nQUIT".to_vec(), Absent),
        // Line ends.
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n".to_vec(), LineEnd),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rx".to_vec(), LineEnd),
        (b"PROXY \n\r".to_vec(), LineEnd),
        (b"PROXY UNKNOWN\r\r\n".to_vec(), LineEnd),
        (too_long, LineTooLong),
        ([b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat(), LineTooLong),
        // Protocols.
        (b"PROXY \r\n".to_vec(), LineProtocol),
        (b"PROXY TCP4\r\n".to_vec(), LineProtocol),
        (b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n".to_vec(), LineProtocol),
        (b"PROXY UNKNOWNS\r\n".to_vec(), LineProtocol),
        (b"PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n".to_vec(), LineProtocol),
        (b"PROXY \xff 1.2.3.4 5.6.7.8 1 2\r\n".to_vec(), LineProtocol),
        // Addresses and ports.
        (b"PROXY TCP4 \r\n".to_vec(), LineAddresses),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n".to_vec(), LineAddresses),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n".to_vec(), LineAddresses),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n".to_vec(), LineAddresses),
        (b"PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n".to_vec(), LineAddresses),
        (b"PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n".to_vec(), LineAddresses),
        (b"PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n".to_vec(), LineAddresses),
        (b"PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n".to_vec(), LineAddresses),
        (b"PROXY TCP4 1.2.3.4 nobody 1 2\r\n".to_vec(), LineAddresses),
        (b"PROXY TCP4 ::1 ::1 1 2\r\n".to_vec(), LineAddresses),
        (b"PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n".to_vec(), LineAddresses),
        (b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n".to_vec(), LineAddresses),
        (b"PROXY TCP6 [::1] ::1 1 2\r\n".to_vec(), LineAddresses),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n".to_vec(), LineAddresses),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 02\r\n".to_vec(), LineAddresses),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 00 2\r\n".to_vec(), LineAddresses),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n".to_vec(), LineAddresses),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n".to_vec(), LineAddresses),
        // Binary.
        (binary(0x11, 0x11, TCP4), Version(1)),
        (binary(0x31, 0x11, TCP4), Version(3)),
        (binary(0x22, 0x11, TCP4), Command(2)),
        (binary(0x2f, 0x11, TCP4), Command(15)),
        (binary(0x21, 0x41, TCP4), Family(0x41)),
        (binary(0x21, 0x13, TCP4), Family(0x13)),
        (binary(0x21, 0xff, TCP4), Family(0xff)),
        (binary(0x21, 0x11, &TCP4[..11]), TooShort(11)),
        (binary(0x21, 0x21, TCP4), TooShort(12)),
        (binary(0x21, 0x11, &[0; 1025]), TooLong(1025)),
        (binary(0x20, 0x00, &[0; 1025]), TooLong(1025)),
        ([SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat(), TooLong(65_535)),
    ];
    for (bytes, fault) in cases {
        assert_eq!(ProxyHeader::parse(&bytes), Err(fault), "{}", bytes.escape_ascii());
        assert!(!fault.to_string().is_empty());
    }
}

/// Bytes that are a header, nearly one, or none.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let header = prop::sample::select(good()).prop_map(|(bytes, _)| bytes);
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    let damaged = (header.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
        |(mut bytes, at, byte)| {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        },
    );
    let begun = (header.clone(), bytes()).prop_map(|(header, more)| [header, more].concat());
    let text = "PROXY [TCPUNKOW46 .:0-9a-f\r\n]{0,120}".prop_map(String::into_bytes);
    let fields =
        (any::<[u8; 4]>(), bytes()).prop_map(|(fields, more)| [SIGNATURE, &fields, &more].concat());
    prop_oneof![damaged, begun, text, fields, bytes()]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes, a verdict is final, needs a bounded number of bytes, and does not depend
    /// on how they were cut on their way.
    #[test]
    fn a_verdict_comes_in_time_and_stays(bytes in stream()) {
        let whole = ProxyHeader::parse(&bytes);
        let mut verdict = Ok(None);
        for length in 0..=bytes.len() {
            let now = ProxyHeader::parse(&bytes[..length]);
            prop_assert!(verdict == Ok(None) || verdict == now, "{:?} became {:?}", verdict, now);
            prop_assert!(length < PROXY_HEADER_BYTES_MAX || now != Ok(None));
            if let Ok(Some((_, used))) = now {
                prop_assert!(used <= length && used <= PROXY_HEADER_BYTES_MAX);
            }
            verdict = now;
        }
        prop_assert_eq!(verdict, whole);
    }

    /// Every address comes through, in both versions.
    #[test]
    fn every_address_comes_through(ip in any::<[u8; 4]>(), ip6 in any::<[u8; 16]>(), port in any::<u16>()) {
        let (v4, v6) = (Ipv4Addr::from(ip), Ipv6Addr::from(ip6));
        let ports = [port.to_be_bytes(), [0, 1]].concat();
        for (bytes, from) in [
            (format!("PROXY TCP4 {v4} 1.1.1.1 {port} 1\r\n").into_bytes(), SocketAddr::from((v4, port))),
            (format!("PROXY TCP6 {v6} ::1 {port} 1\r\n").into_bytes(), SocketAddr::from((v6, port))),
            (binary(0x21, 0x11, &[&ip[..], &[1; 4], &ports].concat()), SocketAddr::from((v4, port))),
            (binary(0x21, 0x21, &[&ip6[..], &[1; 16], &ports].concat()), SocketAddr::from((v6, port))),
        ] {
            let length = bytes.len();
            prop_assert_eq!(ProxyHeader::parse(&bytes), Ok(Some((ProxyHeader::Peer(from), length))));
        }
    }
}
