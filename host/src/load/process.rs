//! What the system knows of a process: memory and CPU time, from /proc.

use std::fs;

/// Ticks per second in /proc, on every Linux there is today.
const TICKS_PER_S: f64 = 100.0;

/// Memory a process has in use, in kB; `None` when it cannot be read.
pub(super) fn rss_kb(pid: u32) -> Option<u64> {
    let line = |file: &str, name: &str| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
        rest.split_whitespace().next()?.parse().ok()
    };
    // Exact; the other one is counted per thread in batches.
    line("smaps_rollup", "Rss:").or_else(|| line("status", "VmRSS:"))
}

/// Seconds of CPU a process has used, its own and the system's for it.
pub(super) fn cpu_s(pid: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS_PER_S)
}

/// Makes room for so many connections; how many files the system allows when it does not.
pub(super) fn raise_open_files(connections: u64) -> Result<(), u64> {
    /// Standard streams, /proc, event queues.
    const OTHER_FILES: u64 = 64;
    let allowed = crate::open_files::allow(connections + OTHER_FILES);
    allowed.map_err(|allowed| allowed.saturating_sub(OTHER_FILES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_can_look_at_itself() {
        assert!(rss_kb(std::process::id()).is_some_and(|kb| kb > 100));
        assert!(cpu_s(std::process::id()).is_some_and(|s| s >= 0.0));
        assert_eq!((rss_kb(u32::MAX), cpu_s(u32::MAX)), (None, None));
    }
}
