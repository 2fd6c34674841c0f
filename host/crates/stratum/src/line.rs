//! Bytes into lines, in a buffer that never grows and that many connections take turns with.

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

/// What a connection has not read yet, between its turns at a [`LineBuffer`]. Most of the
/// time nothing, and then it holds no memory.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The beginning of a line, or lines nobody wanted yet.
    pub bytes: Vec<u8>,
    /// Inside a line that is too long.
    pub skipping: bool,
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
        Self::with_capacity(LINE_BYTES_MAX)
    }
}

impl LineBuffer {
    /// A buffer of so many bytes, at least one line's.
    pub fn with_capacity(bytes: usize) -> Self {
        let bytes = vec![0; bytes.max(LINE_BYTES_MAX)].into_boxed_slice();
        Self { bytes, start: 0, end: 0, scanned: 0, skipping: false }
    }

    /// Begins a connection's turn with what it had not read at its last one.
    pub fn resume(&mut self, unread: &mut Unread) {
        let count = unread.bytes.len().min(self.bytes.len());
        self.bytes[..count].copy_from_slice(&unread.bytes[..count]);
        (self.start, self.end, self.scanned) = (0, count, 0);
        self.skipping = std::mem::take(&mut unread.skipping);
        unread.bytes.clear();
    }

    /// Ends a connection's turn: what it has not read is its own again.
    pub fn suspend(&mut self, unread: &mut Unread) {
        unread.bytes.extend_from_slice(self.unread());
        unread.skipping = std::mem::take(&mut self.skipping);
        (self.start, self.end, self.scanned) = (0, 0, 0);
    }

    /// The bytes not yet handed out.
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Passes over the first `count` unread bytes: they were no line.
    pub fn pass_over(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        self.scanned = self.scanned.max(self.start);
    }

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
            let Some(length) = memchr::memchr(b'\n', unseen) else {
                return self.no_newline();
            };
            let line = self.start..self.scanned + length;
            self.start = line.end + 1;
            self.scanned = self.start;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if line.len() >= LINE_BYTES_MAX {
                return Some(Line::TooLong);
            }
            if !self.bytes[line.clone()].trim_ascii().is_empty() {
                return Some(Line::Text(self.bytes[line].trim_ascii()));
            }
        }
    }

    fn no_newline(&mut self) -> Option<Line<'static>> {
        self.scanned = self.end;
        let too_long = self.end - self.start >= LINE_BYTES_MAX;
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
