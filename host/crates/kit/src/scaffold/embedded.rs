//! Files of this repository, as they were when the binary was built.

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The files below a directory, with their names relative to it.
pub(super) fn below(directory: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.iter().filter_map(move |(name, text)| {
        let name = name.strip_prefix(directory)?.strip_prefix('/')?;
        Some((name, *text))
    })
}

/// One file.
pub(super) fn file(path: &str) -> Option<&'static str> {
    FILES.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}
