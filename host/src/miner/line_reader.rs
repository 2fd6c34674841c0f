//! Lines of a pool, bounded: a pool that never ends its line costs no memory.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// A notify with a long coinbase is under 20 kB; this forgives any pool and bounds a
/// hostile one.
pub(super) const LINE_BYTES_MAX: usize = 256 * 1024;

/// Reads lines; what was read of an unfinished one survives a cancelled call.
#[derive(Debug)]
pub(super) struct LineReader<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader: BufReader::new(reader), line: vec![] }
    }

    /// The next line that is not blank, without its end; `None` when the other side has
    /// closed. Bytes that are no UTF-8 are replaced.
    ///
    /// # Errors
    /// What reading gives, and `InvalidData` for a line above [`LINE_BYTES_MAX`].
    pub(super) async fn next_line(&mut self) -> io::Result<Option<String>> {
        loop {
            let chunk = self.reader.fill_buf().await?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(chunk.len());
            if self.line.len() + taken > LINE_BYTES_MAX {
                let message = format!("the pool sent a line of more than {LINE_BYTES_MAX} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            self.line.extend_from_slice(&chunk[..taken]);
            self.reader.consume(taken + usize::from(end.is_some()));
            if end.is_some() {
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
                if !line.trim().is_empty() {
                    return Ok(Some(line));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_split_and_blank_ones_skipped() {
        let mut lines = LineReader::new(&b"one\r\n\n  \ntwo\nrest"[..]);
        assert_eq!(lines.next_line().await.expect("readable").as_deref(), Some("one\r"));
        assert_eq!(lines.next_line().await.expect("readable").as_deref(), Some("two"));
        assert_eq!(lines.next_line().await.expect("readable"), None);
    }

    #[tokio::test]
    async fn a_line_without_end_is_refused_at_the_limit() {
        let endless = vec![b'x'; LINE_BYTES_MAX + 1];
        let error = LineReader::new(&endless[..]).next_line().await.expect_err("too long");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let longest = [vec![b'x'; LINE_BYTES_MAX], vec![b'\n']].concat();
        let line = LineReader::new(&longest[..]).next_line().await.expect("readable");
        assert_eq!(line.map(|line| line.len()), Some(LINE_BYTES_MAX));
    }
}
