// SPDX-License-Identifier: GPL-2.0

//! Lists in memory that others provide, and how to sort and search them.

use core::{cell::Cell, ops::DerefMut};

/// There is no memory for one more item of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoMemory;

/// A list that grows, in memory that the user of the core provides.
pub(crate) trait List<T>: Default + DerefMut<Target = [T]> {
    /// Adds an item at the end. Returns [`NoMemory`], and changes nothing then, if there is none.
    fn push(&mut self, item: T) -> Result<(), NoMemory>;

    /// Adds copies of some at the end. Returns [`NoMemory`] if there is none for all of them.
    #[cfg(not(CONFIG_ARM64))]
    fn push_all(&mut self, items: &[T]) -> Result<(), NoMemory>
    where
        T: Copy,
    {
        items.iter().try_for_each(|item| self.push(*item))
    }
}

/// Lets the item with the given number sink in a heap, the children of which are heaps.
fn sift_down<T: Copy + Ord>(heap: &[Cell<T>], mut number: usize) {
    loop {
        let left = number.wrapping_mul(2).wrapping_add(1);
        let right = left.wrapping_add(1);
        let greater = match (heap.get(left), heap.get(right)) {
            (Some(a), Some(b)) if a < b => right,
            _ => left,
        };

        match (heap.get(number), heap.get(greater)) {
            (Some(parent), Some(child)) if parent < child => child.set(parent.replace(child.get())),
            _ => return,
        }
        number = greater;
    }
}

/// Tells whether items are in order.
fn is_sorted<T: Ord>(mut items: &[T]) -> bool {
    while let [item, rest @ ..] = items {
        if rest.first().is_some_and(|next| next < item) {
            return false;
        }
        items = rest;
    }
    true
}

/// Puts items into order, by a heapsort: userspace chooses them, and may not make it slow. As a rule
/// they are in order. What `core` has for either brings a path to a panic along.
pub(crate) fn sort<T: Copy + Ord>(items: &mut [T]) {
    if is_sorted(items) {
        return;
    }

    let items = Cell::from_mut(items).as_slice_of_cells();

    for number in (0..items.len() / 2).rev() {
        sift_down(items, number);
    }

    let mut heap = items;
    while let [greatest, .., last] = heap {
        last.set(greatest.replace(last.get()));
        heap = heap.get(..heap.len().wrapping_sub(1)).unwrap_or_default();
        sift_down(heap, 0);
    }
}

/// Returns the part of `items` that starts with the first of which `before` is false, given that it
/// is true of those that come first. `partition_point()` of `core` would do as well, but with some
/// compilers it brings a path to a panic along.
pub(crate) fn from_first<T>(items: &[T], before: impl Fn(&T) -> bool) -> &[T] {
    let (mut low, mut high) = (0usize, items.len());

    while low < high {
        let middle = low.midpoint(high);

        match items.get(middle) {
            Some(item) if before(item) => low = middle.wrapping_add(1),
            _ => high = middle,
        }
    }
    items.get(low..).unwrap_or_default()
}
