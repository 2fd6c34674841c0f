//! How many connections each address has.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts connections by address; an IPv6 customer has a /64.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectionCounts(Arc<Mutex<HashMap<IpAddr, u32>>>);

/// One connection's place under its address; given back when dropped.
#[derive(Debug)]
pub(crate) struct AddressPlace {
    customer: IpAddr,
    all: ConnectionCounts,
}

impl ConnectionCounts {
    /// A place, unless the address has `most` others; 0 is without limit.
    pub(crate) fn take(&self, address: IpAddr, most: u32) -> Option<AddressPlace> {
        let customer = customer(address);
        let mut all = self.lock();
        let count = all.entry(customer).or_default();
        if most > 0 && *count >= most {
            return None;
        }
        *count += 1;
        drop(all);
        Some(AddressPlace { customer, all: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        if let Some(count) = all.get_mut(&self.customer) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.customer);
            }
        }
    }
}

/// Whom an address belongs to, as far as that can be told.
pub(crate) fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_places_and_an_ipv6_customer_is_a_64() {
        let addresses = ConnectionCounts::default();
        let at = |text: &str| text.parse::<IpAddr>().expect("an address");
        let one = addresses.take(at("192.0.2.1"), 2).expect("the first");
        let _two = addresses.take(at("::ffff:192.0.2.1"), 2).expect("the second");
        assert!(addresses.take(at("192.0.2.1"), 2).is_none());
        drop(one);
        let _again = addresses.take(at("192.0.2.1"), 2).expect("one was given back");
        let _six = addresses.take(at("2001:db8::1"), 1).expect("another address");
        assert!(addresses.take(at("2001:db8::2"), 1).is_none(), "the same customer");
        let _other = addresses.take(at("2001:db8:0:1::2"), 1).expect("another customer");
        assert!(addresses.take(at("192.0.2.1"), 0).is_some(), "without limit");
    }
}
