//! Addresses an auth policy does not want to see for a while.

use std::net::IpAddr;

use super::recent::Recent;

/// Addresses kept; beyond it the one refused longest ago may try again.
const ADDRESSES_MAX: usize = 10_000;
/// Addresses change hands: nobody is banned for longer.
const LONGEST_S: u32 = 7 * 86_400;

/// Banned addresses.
#[derive(Debug)]
pub(super) struct Bans(Recent<IpAddr, u64>);

impl Default for Bans {
    fn default() -> Self {
        Self(Recent::new(ADDRESSES_MAX))
    }
}

impl Bans {
    /// Bans an address; 0 seconds do not.
    pub(super) fn ban(&mut self, address: IpAddr, seconds: u32, now_ms: u64) {
        if seconds > 0 {
            let until_ms = now_ms.saturating_add(u64::from(seconds.min(LONGEST_S)) * 1_000);
            self.0.put(address.to_canonical(), until_ms);
        }
    }

    /// For how many seconds an address is still banned.
    pub(super) fn left_s(&mut self, address: IpAddr, now_ms: u64) -> Option<u64> {
        let address = address.to_canonical();
        let left_ms = self.0.get(&address)?.saturating_sub(now_ms);
        if left_ms == 0 {
            self.0.remove(&address);
            return None;
        }
        Some(left_ms.div_ceil(1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_banned_for_its_time() {
        let mut bans = Bans::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        bans.ban(address, 0, 0);
        assert_eq!(bans.left_s(address, 0), None);
        bans.ban(address, 10, 1_000);
        for (at_ms, left) in [(1_000, Some(10)), (10_001, Some(1)), (11_000, None), (1_000, None)] {
            assert_eq!(bans.left_s(address, at_ms), left, "at {at_ms}");
        }
        bans.ban(mapped, u32::MAX, 0);
        assert_eq!(bans.left_s(address, 0), Some(u64::from(LONGEST_S)));
        assert_eq!(bans.left_s(IpAddr::from([192, 0, 2, 2]), 0), None);
    }
}
