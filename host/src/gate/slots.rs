//! The places of a shard's connections. A place is used again, its key is not.

/// Names a connection of one shard for its lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Which place.
    pub index: u32,
    /// Which of those who had it.
    pub turn: u32,
}

#[derive(Debug)]
struct Slot<T> {
    turn: u32,
    held: bool,
    /// Absent also while it is being worked on.
    value: Option<Box<T>>,
}

/// Places by number.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    held: usize,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), held: 0 }
    }
}

impl<T> Slots<T> {
    /// A free place; [`put`](Self::put) fills it.
    pub(crate) fn reserve(&mut self) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { turn: 0, held: false, value: None });
            u32::try_from(self.slots.len() - 1).expect("fewer connections than file descriptors")
        });
        let slot = &mut self.slots[index as usize];
        slot.held = true;
        self.held += 1;
        Key { index, turn: slot.turn }
    }

    /// Puts a connection (back) to its place.
    pub(crate) fn put(&mut self, key: Key, value: Box<T>) {
        self.slots[key.index as usize].value = Some(value);
    }

    /// Takes a connection to work on it.
    pub(crate) fn take(&mut self, key: Key) -> Option<Box<T>> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.turn == key.turn { slot.value.take() } else { None }
    }

    /// Gives the place of a taken connection free.
    pub(crate) fn release(&mut self, key: Key) {
        let slot = &mut self.slots[key.index as usize];
        if slot.turn == key.turn && slot.held {
            slot.turn = slot.turn.wrapping_add(1);
            slot.held = false;
            slot.value = None;
            self.free.push(key.index);
            self.held -= 1;
        }
    }

    /// Who has a place, for looking at without taking.
    pub(crate) fn get_mut(&mut self, index: usize) -> Option<(Key, &mut T)> {
        let slot = self.slots.get_mut(index)?;
        let index = u32::try_from(index).ok()?;
        let turn = slot.turn;
        slot.value.as_deref_mut().map(|value| (Key { index, turn }, value))
    }

    /// One more than the highest place ever held.
    pub(crate) fn end(&self) -> usize {
        self.slots.len()
    }

    /// Who holds a place now.
    pub(crate) fn key_at(&self, index: usize) -> Option<Key> {
        let slot = self.slots.get(index)?;
        slot.held.then_some(Key { index: u32::try_from(index).ok()?, turn: slot.turn })
    }

    /// How many are held.
    pub(crate) fn len(&self) -> usize {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_and_its_old_key_opens_nothing() {
        let mut slots = Slots::default();
        let first = slots.reserve();
        slots.put(first, Box::new("alice"));
        let alice = slots.take(first).expect("she is there");
        assert!(slots.take(first).is_none(), "she is being worked on");
        slots.put(first, alice);
        slots.take(first).expect("she is back");
        slots.release(first);
        let second = slots.reserve();
        slots.put(second, Box::new("bob"));
        assert_eq!(second.index, first.index);
        assert!(slots.take(first).is_none());
        assert_eq!(slots.key_at(0), Some(second));
        assert_eq!(slots.len(), 1);
    }
}
