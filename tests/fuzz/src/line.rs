//! Lines are the same however they are cut on their way.

use chimera_stratum::{LINE_BYTES_MAX, Line, LineBuffer};

use super::choices::Choices;

/// The first bytes say how the others arrive.
pub fn run(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let cuts: Vec<usize> = (0..4).map(|_| 1 + usize::from(choices.byte()).pow(2)).collect();
    let stream = choices.bytes(usize::MAX);
    let (mut buffer, mut found, mut unsent) = (LineBuffer::default(), Vec::new(), stream);
    for cut in cuts.iter().cycle() {
        let space = buffer.space();
        assert!(!space.is_empty() && space.len() <= LINE_BYTES_MAX);
        let count = space.len().min(unsent.len()).min(*cut);
        space[..count].copy_from_slice(&unsent[..count]);
        unsent = &unsent[count..];
        buffer.filled(count);
        while let Some(line) = buffer.next_line() {
            found.push(match line {
                Line::Text(line) => Some(line.to_vec()),
                Line::TooLong => None,
            });
        }
        if unsent.is_empty() {
            break;
        }
    }
    assert_eq!(found, expected(stream));
}

/// Lines as they stand in the stream; `None` for one that is too long.
fn expected(stream: &[u8]) -> Vec<Option<Vec<u8>>> {
    stream
        .split_inclusive(|&byte| byte == b'\n')
        .filter_map(|line| {
            let ended = line.ends_with(b"\n");
            let text = line.trim_ascii();
            if line.len() > LINE_BYTES_MAX || line.len() == LINE_BYTES_MAX && !ended {
                Some(None)
            } else {
                (ended && !text.is_empty()).then(|| Some(text.to_vec()))
            }
        })
        .collect()
}
