//! Lines of a pool, read by their bytes: which request a reply belongs to and whether it says
//! true, at a few nanoseconds when all replies look alike, and without allocating otherwise.

/// The id of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Id {
    /// A number, or a number as text.
    Number(u64),
    /// Null, absent, or nothing we would send.
    None,
}

/// What a reply says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// `"result":true`, and no error.
    Accepted,
    /// Anything else, by whatever of both was given.
    Rejected { code: Option<i64>, reason: &'a [u8] },
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// An answer.
    Reply { id: Id, verdict: Verdict<'a> },
    /// The pool's own call, by its method.
    Call(&'a [u8]),
    /// No Stratum message.
    Other,
}

/// Reads one line, without its line end.
pub(super) fn read(line: &[u8]) -> Line<'_> {
    let mut found = Found::default();
    let mut at = Cursor { bytes: line, at: 0 };
    if at.members(|key, at| found.member(key, at)).is_none() {
        return Line::Other;
    }
    match found {
        Found { method: Some(method), .. } => Line::Call(method),
        Found { result: None, failed: false, code: None, .. } if found.reason.is_empty() => {
            Line::Other
        }
        Found { result: Some(true), failed: false, .. } => {
            Line::Reply { id: found.id(), verdict: Verdict::Accepted }
        }
        _ => {
            let verdict = Verdict::Rejected { code: found.code, reason: found.reason };
            Line::Reply { id: found.id(), verdict }
        }
    }
}

/// The parameters of a `mining.notify` that a submit needs; the rest is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Notify<'a> {
    pub(super) job_id: &'a [u8],
    pub(super) prevhash: &'a [u8],
    pub(super) ntime: &'a [u8],
    pub(super) clean: bool,
}

/// Reads a line that is a `mining.notify`.
pub(super) fn notify(line: &[u8]) -> Option<Notify<'_>> {
    let (mut texts, mut number, mut clean) = ([&b""[..]; 8], 0, None);
    let mut at = Cursor { bytes: line, at: 0 };
    at.members(|key, at| {
        if key != b"params" {
            return at.skip();
        }
        at.elements(|at| {
            let value = at.value()?;
            if let Some(text) = texts.get_mut(number) {
                *text = unquoted(value);
            } else {
                // Last, also when a pool puts something of its own before it.
                clean = Some(value == b"true");
            }
            number += 1;
            Some(())
        })
    })?;
    let [job_id, prevhash, .., ntime] = texts;
    Some(Notify { job_id, prevhash, ntime, clean: clean? })
}

#[derive(Default)]
struct Found<'a> {
    id: Option<u64>,
    method: Option<&'a [u8]>,
    /// `Some(true)`: the word true. `Some(false)`: anything else that was given.
    result: Option<bool>,
    /// An error was given and is not null.
    failed: bool,
    code: Option<i64>,
    reason: &'a [u8],
}

impl<'a> Found<'a> {
    fn member(&mut self, key: &[u8], at: &mut Cursor<'a>) -> Option<()> {
        match key {
            b"id" => self.id = number(unquoted(at.value()?)),
            b"method" => self.method = Some(unquoted(at.value()?)),
            b"result" => self.result = Some(at.value()? == b"true"),
            b"error" => self.error(at)?,
            b"reject-reason" => self.reason = unquoted(at.value()?),
            _ => at.skip()?,
        }
        Some(())
    }

    /// `[21,"stale",null]`, `{"code":21,"message":"stale"}`, or a text.
    fn error(&mut self, at: &mut Cursor<'a>) -> Option<()> {
        self.failed = true;
        match at.peek()? {
            b'[' => {
                let mut index = 0;
                at.elements(|at| {
                    let value = at.value()?;
                    match index {
                        0 => self.code = signed(value),
                        1 => self.reason = unquoted(value),
                        _ => {}
                    }
                    index += 1;
                    Some(())
                })
            }
            b'{' => at.members(|key, at| {
                let value = at.value()?;
                match key {
                    b"code" => self.code = signed(value),
                    b"message" => self.reason = unquoted(value),
                    _ => {}
                }
                Some(())
            }),
            _ => {
                let value = at.value()?;
                self.failed = value != b"null";
                if value.first() == Some(&b'"') {
                    self.reason = unquoted(value);
                }
                Some(())
            }
        }
    }

    fn id(&self) -> Id {
        self.id.map_or(Id::None, Id::Number)
    }
}

/// A place in a line of JSON; every step gives `None` where the line is none.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&mut self) -> Option<u8> {
        while self.bytes.get(self.at)?.is_ascii_whitespace() {
            self.at += 1;
        }
        Some(self.bytes[self.at])
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    fn members(&mut self, mut each: impl FnMut(&'a [u8], &mut Self) -> Option<()>) -> Option<()> {
        self.list(b'{', b'}', |at| {
            let key = unquoted(at.text()?);
            at.take(b':')?;
            each(key, at)
        })
    }

    fn elements(&mut self, each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.list(b'[', b']', each)
    }

    fn list(
        &mut self,
        opened: u8,
        closed: u8,
        mut each: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.take(opened)?;
        if self.peek()? == closed {
            return self.take(closed);
        }
        loop {
            each(self)?;
            match self.peek()? {
                b',' => self.at += 1,
                _ => return self.take(closed),
            }
        }
    }

    fn skip(&mut self) -> Option<()> {
        self.value().map(drop)
    }

    /// Any value, as it stands; lists and objects are not looked into.
    fn value(&mut self) -> Option<&'a [u8]> {
        match self.peek()? {
            b'"' => self.text(),
            b'[' | b'{' => self.nested(),
            _ => {
                let rest = &self.bytes[self.at..];
                let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\r' | b'\t');
                let length = rest.iter().position(ends).unwrap_or(rest.len());
                self.at += length;
                (length > 0).then(|| &rest[..length])
            }
        }
    }

    fn nested(&mut self) -> Option<&'a [u8]> {
        let (start, mut depth) = (self.at, 0_usize);
        loop {
            match self.peek()? {
                b'"' => {
                    self.text()?;
                    continue;
                }
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(&self.bytes[start..self.at]);
            }
        }
    }

    /// A text with its quotes; escapes stay as they are.
    fn text(&mut self) -> Option<&'a [u8]> {
        let start = (self.peek()? == b'"').then_some(self.at)?;
        self.at += 1;
        loop {
            match self.bytes.get(self.at)? {
                b'\\' => self.at += 2,
                b'"' => {
                    self.at += 1;
                    return Some(&self.bytes[start..self.at]);
                }
                _ => self.at += 1,
            }
        }
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })
}

fn signed(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// How the pool writes `true`, learned from its first such reply: what stands before and behind
/// the digits of the id. Comparing both is all that later ones cost.
#[derive(Debug, Default)]
pub(super) struct Shape {
    before: Vec<u8>,
    /// With the line end.
    behind: Vec<u8>,
}

impl Shape {
    /// Remembers an accepted reply, line end included.
    pub(super) fn learn(&mut self, line: &[u8], id: u64) {
        let digits = id.to_string();
        let at = line.windows(digits.len()).position(|part| part == digits.as_bytes());
        if let Some(at) = at {
            self.before = line[..at].to_vec();
            self.behind = line[at + digits.len()..].to_vec();
        }
    }

    /// The id of the accepted reply `bytes` begins with, and its length; `None` when it begins
    /// with anything else.
    #[inline]
    pub(super) fn accepted(&self, bytes: &[u8], digits: usize) -> Option<(u64, usize)> {
        let start = self.before.len();
        if start == 0 {
            return None;
        }
        let length = start + digits + self.behind.len();
        let line = bytes.get(..length)?;
        if line[start + digits..] != self.behind[..] || line[..start] != self.before[..] {
            return None;
        }
        number(&line[start..start + digits]).map(|id| (id, length))
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
