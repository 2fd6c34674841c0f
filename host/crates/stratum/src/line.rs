//! Bytes into lines, in a buffer that never grows.

/// A submit is under 300 bytes and a subscribe under 500, names of 128 characters included;
/// 4 KiB forgives any client and bounds a hostile one. The newline counts.
pub const LINE_BYTES_MAX: usize = 4 * 1024;

/// What stands between two newlines.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line without its end (`\n` or `\r\n`) and without surrounding blanks, never empty.
    Text(&'a [u8]),
    /// A line beyond [`LINE_BYTES_MAX`]: told once, at the byte that is too many; the rest
    /// of it is skipped without being kept.
    TooLong,
}

/// The unread part of one connection's input.
///
/// Take every line before asking for [`space`](Self::space) again: a buffer full of unread
/// lines has none.
#[derive(Debug)]
pub struct LineBuffer {
    bytes: Box<[u8]>,
    /// Where the unread bytes begin.
    start: usize,
    /// Where they end.
    end: usize,
    /// Up to where no newline was found.
    scanned: usize,
    /// Inside a line that is too long.
    skipping: bool,
}

impl Default for LineBuffer {
    fn default() -> Self {
        let bytes = vec![0; LINE_BYTES_MAX].into_boxed_slice();
        Self { bytes, start: 0, end: 0, scanned: 0, skipping: false }
    }
}

impl LineBuffer {
    /// Where to read the next bytes to; tell how many with [`filled`](Self::filled).
    pub fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.scanned -= self.start;
            self.start = 0;
        }
        &mut self.bytes[self.end..]
    }

    /// Notes that the first `count` bytes of the space were read into.
    pub fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// The next whole line. Blank lines are passed over.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        loop {
            let unseen = &self.bytes[self.scanned..self.end];
            let Some(length) = unseen.iter().position(|&byte| byte == b'\n') else {
                return self.no_newline();
            };
            let line = self.start..self.scanned + length;
            self.start = line.end + 1;
            self.scanned = self.start;
            let was_skipping = std::mem::take(&mut self.skipping);
            if !was_skipping && !self.bytes[line.clone()].trim_ascii().is_empty() {
                return Some(Line::Text(self.bytes[line].trim_ascii()));
            }
        }
    }

    fn no_newline(&mut self) -> Option<Line<'static>> {
        self.scanned = self.end;
        let too_long = self.end - self.start == self.bytes.len();
        if self.skipping || too_long {
            (self.start, self.end, self.scanned) = (0, 0, 0);
        }
        if self.skipping || !too_long {
            return None;
        }
        self.skipping = true;
        Some(Line::TooLong)
    }
}
