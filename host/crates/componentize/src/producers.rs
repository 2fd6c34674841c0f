//! Tools sign what they make, with their versions, in custom sections named `producers`.
//! Without them equal code is equal bytes.

const MAGIC: &[u8; 4] = b"\0asm";
/// Magic and version.
const HEADER_BYTES: usize = 8;
const CUSTOM: u8 = 0;
/// In a component: a core module, and a component, inside.
const NESTED: [u8; 2] = [1, 4];

/// A module or component without its `producers` sections, also in what is nested in it.
/// Bytes that are no WebAssembly come back as they are.
pub fn without_producers(bytes: &[u8]) -> Vec<u8> {
    stripped(bytes).unwrap_or_else(|| bytes.to_vec())
}

fn stripped(bytes: &[u8]) -> Option<Vec<u8>> {
    let header = bytes.get(..HEADER_BYTES)?;
    if !header.starts_with(MAGIC) {
        return None;
    }
    let is_component = header[6] == 1;
    let mut kept = header.to_vec();
    let mut rest = &bytes[HEADER_BYTES..];
    while let Some((id, after)) = rest.split_first() {
        let (length, after) = unsigned(after)?;
        let (content, after) = after.split_at_checked(length)?;
        rest = after;
        if *id == CUSTOM && name_of(content)? == b"producers" {
            continue;
        }
        kept.push(*id);
        if is_component && NESTED.contains(id) {
            let inner = stripped(content)?;
            push_unsigned(&mut kept, inner.len());
            kept.extend(inner);
        } else {
            push_unsigned(&mut kept, length);
            kept.extend(content);
        }
    }
    Some(kept)
}

fn name_of(content: &[u8]) -> Option<&[u8]> {
    let (length, after) = unsigned(content)?;
    after.get(..length)
}

/// Appends a custom section; what is executed stays as it is.
pub fn push_custom_section(bytes: &mut Vec<u8>, name: &str, content: &[u8]) {
    let mut section = Vec::with_capacity(name.len() + content.len() + 5);
    push_unsigned(&mut section, name.len());
    section.extend(name.as_bytes());
    section.extend(content);
    bytes.push(CUSTOM);
    push_unsigned(bytes, section.len());
    bytes.extend(section);
}

/// A LEB128 number and what follows it.
fn unsigned(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

fn push_unsigned(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        let mut section = vec![id];
        push_unsigned(&mut section, content.len());
        section.extend(content);
        section
    }

    fn custom(name: &str, content: &[u8]) -> Vec<u8> {
        let mut custom = vec![name.len() as u8];
        custom.extend(name.as_bytes());
        custom.extend(content);
        section(CUSTOM, &custom)
    }

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn signatures_go_at_every_depth_and_nothing_else_does() {
        let long = [7; 300];
        let module = |signed: bool| {
            let signature = if signed { custom("producers", &long) } else { Vec::new() };
            [MODULE, &custom("name", &long), &signature, &section(10, &[0])].concat()
        };
        let component = |signed: bool| {
            let signature = if signed { custom("producers", b"x") } else { Vec::new() };
            [COMPONENT, &section(1, &module(signed)), &section(7, &long), &signature].concat()
        };
        assert_eq!(without_producers(&component(true)), component(false));
        let nested = |signed| [COMPONENT, &section(4, &component(signed))].concat();
        assert_eq!(without_producers(&nested(true)), nested(false));
        // In a module, sections 1 and 4 are types and tables.
        let types = [MODULE, &section(1, &[0]), &section(4, &[0])].concat();
        assert_eq!(without_producers(&types), types);
    }

    #[test]
    fn what_is_no_webassembly_stays_as_it_is() {
        let cut = &[MODULE, &[10, 200]].concat();
        for bytes in [&b""[..], b"hello, world", cut] {
            assert_eq!(without_producers(bytes), bytes);
        }
    }
}
