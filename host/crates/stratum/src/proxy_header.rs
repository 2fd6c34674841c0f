//! Who is behind a load balancer: the header it puts before a miner's first line.
//!
//! The PROXY protocol, versions 1 (a line of text, section 2.1) and 2 (binary, section 2.2), as
//! in <https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>. To be read only from peers
//! known to be load balancers: anybody else could claim any address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// "So a 108-byte buffer is always enough": the longest line, its end included.
const LINE_BYTES_MAX: usize = 107;
const LINE_BEGIN: &[u8] = b"PROXY ";

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and protocol, length.
const FIXED_BYTES: usize = 16;
/// Addresses take at most 216 bytes; the rest are extensions (TLVs), of which a name and a
/// certificate's facts are the long ones. The length field itself would allow 64 KiB.
const VARIABLE_BYTES_MAX: usize = 1024;

/// A header is complete or refused within so many bytes.
pub const PROXY_HEADER_BYTES_MAX: usize = FIXED_BYTES + VARIABLE_BYTES_MAX;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// The connection is the load balancer's own (a health check), or the miner's address is
    /// none of TCP: the peer of the socket is all that is known.
    Local,
    /// The miner's address, as the load balancer sees it.
    Peer(SocketAddr),
}

/// Why a connection cannot be believed to begin with a header; it is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ProxyFault {
    /// Neither version begins like this: the peer is no load balancer, or sends no header.
    #[error("no PROXY protocol header: does the load balancer send one?")]
    Absent,
    /// Version 1: CRLF is missing.
    #[error("PROXY line does not end within {LINE_BYTES_MAX} bytes")]
    LineTooLong,
    /// Version 1: CR or LF without the other.
    #[error("PROXY line does not end with CR and LF")]
    LineEnd,
    /// Version 1: neither TCP4, TCP6 nor UNKNOWN.
    #[error("PROXY line names no protocol of TCP4, TCP6 and UNKNOWN")]
    LineProtocol,
    /// Version 1: the addresses and ports are not exactly two of each, of the family.
    #[error("PROXY line does not name two addresses of its protocol and two ports")]
    LineAddresses,
    /// Version 2: another version.
    #[error("PROXY header has version {0}, expected 2")]
    Version(u8),
    /// Version 2: neither LOCAL nor PROXY.
    #[error("PROXY header has command {0}, expected 0 or 1")]
    Command(u8),
    /// Version 2: a family or a transport nobody has defined.
    #[error("PROXY header has family and transport {0:#04x}, which are undefined")]
    Family(u8),
    /// Version 2: more extensions than any load balancer sends.
    #[error("PROXY header goes on for {0} bytes, at most {VARIABLE_BYTES_MAX} are read")]
    TooLong(usize),
    /// Version 2: the addresses do not fit into the length.
    #[error("PROXY header goes on for {0} bytes, too few for the addresses of its family")]
    TooShort(usize),
}

impl ProxyHeader {
    /// Reads the header at the beginning of a connection, and tells its length: what follows is
    /// the miner's. `None` if more bytes are needed to tell.
    ///
    /// # Errors
    /// When the bytes are the beginning of no header; more of them would change nothing.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProxyFault> {
        if begins(bytes, LINE_BEGIN) {
            line(bytes)
        } else if begins(bytes, SIGNATURE) {
            binary(bytes)
        } else {
            Err(ProxyFault::Absent)
        }
    }
}

/// As far as there are bytes.
fn begins(bytes: &[u8], with: &[u8]) -> bool {
    bytes.iter().zip(with).all(|(byte, expected)| byte == expected)
}

/// Version 1: `PROXY TCP4 source destination port port CRLF`.
fn line(bytes: &[u8]) -> Result<Option<(ProxyHeader, usize)>, ProxyFault> {
    let window = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let text = match window.iter().position(is_end).map(|at| window.split_at(at)) {
        Some((text, [b'\r', b'\n', ..])) => text,
        Some((_, [_, _, ..] | [b'\n'])) => return Err(ProxyFault::LineEnd),
        _ if window.len() == LINE_BYTES_MAX => return Err(ProxyFault::LineTooLong),
        _ => return Ok(None),
    };
    let length = text.len() + 2;
    let Some(said) = text.strip_prefix(LINE_BEGIN) else { return Err(ProxyFault::LineProtocol) };
    // What follows UNKNOWN is to be ignored, whatever it is.
    if said == b"UNKNOWN" || said.starts_with(b"UNKNOWN ") {
        return Ok(Some((ProxyHeader::Local, length)));
    }
    let said = str::from_utf8(said).map_err(|_| ProxyFault::LineProtocol)?;
    let (protocol, addresses) = said.split_once(' ').ok_or(ProxyFault::LineProtocol)?;
    let peer = match protocol {
        "TCP4" => text_source::<Ipv4Addr>(addresses),
        "TCP6" => text_source::<Ipv6Addr>(addresses),
        _ => return Err(ProxyFault::LineProtocol),
    };
    Ok(Some((ProxyHeader::Peer(peer.ok_or(ProxyFault::LineAddresses)?), length)))
}

/// The first address and the first port of two of each.
fn text_source<A: std::str::FromStr + Into<IpAddr>>(addresses: &str) -> Option<SocketAddr> {
    let mut fields = addresses.split(' ');
    let mut field = || fields.next();
    let from: A = field()?.parse().ok()?;
    let _to: A = field()?.parse().ok()?;
    let (from_port, _to_port) = (port(field()?)?, port(field()?)?);
    field().is_none().then(|| SocketAddr::new(from.into(), from_port))
}

/// Digits only, and no zero in front: "to avoid any possible confusion with octal numbers".
fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = text == "0" || !text.starts_with('0');
    (digits && canonical).then(|| text.parse().ok())?
}

/// Version 2.
fn binary(bytes: &[u8]) -> Result<Option<(ProxyHeader, usize)>, ProxyFault> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED_BYTES>() else { return Ok(None) };
    let [.., version_command, family, length_high, length_low] = *fixed;
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    let local = match (version_command >> 4, version_command & 0xf) {
        (2, 0) => true,
        (2, 1) => false,
        (2, command) => return Err(ProxyFault::Command(command)),
        (version, _) => return Err(ProxyFault::Version(version)),
    };
    // The family of the load balancer's own connections is to be ignored.
    if !local && (family >> 4 > 3 || family & 0xf > 2) {
        return Err(ProxyFault::Family(family));
    }
    if length > VARIABLE_BYTES_MAX {
        return Err(ProxyFault::TooLong(length));
    }
    let Some(variable) = rest.get(..length) else { return Ok(None) };
    let peer = match family {
        _ if local => None,
        0x11 => Some(binary_source::<4>(variable)),
        0x21 => Some(binary_source::<16>(variable)),
        // Unknown, UDP and UNIX sockets: no address a miner could have here.
        _ => None,
    };
    let header = match peer {
        None => ProxyHeader::Local,
        Some(peer) => ProxyHeader::Peer(peer.ok_or(ProxyFault::TooShort(length))?),
    };
    Ok(Some((header, FIXED_BYTES + length)))
}

/// The source of source address, destination address, source port, destination port, each in
/// network byte order; extensions may follow.
fn binary_source<const N: usize>(variable: &[u8]) -> Option<SocketAddr>
where
    [u8; N]: Into<IpAddr>,
{
    let (source, rest) = variable.split_first_chunk::<N>()?;
    let (_destination, rest) = rest.split_first_chunk::<N>()?;
    let (ports, _extensions) = rest.split_first_chunk::<4>()?;
    Some(SocketAddr::new((*source).into(), u16::from_be_bytes([ports[0], ports[1]])))
}
