// SPDX-License-Identifier: GPL-2.0

//! Lists for the pure core, in the kernel's memory.

use crate::routing::list::{
    List,
    NoMemory, //
};
use core::ops::{
    Deref,
    DerefMut, //
};
use kernel::prelude::*;

/// A list that has its first `N` items in itself. Most tables need no more, and so no allocation.
pub(crate) struct SmallList<T, const N: usize> {
    /// The items, as long as they fit.
    first: [T; N],
    len: usize,
    /// All items, once they do not.
    all: KVVec<T>,
}

impl<T: Copy, const N: usize> SmallList<T, N> {
    /// Moves all items to where there is room for `capacity`. `reserve()` of `KVVec` would do as
    /// well, but it brings a path to a panic along.
    fn grow(&mut self, capacity: usize) -> Result {
        // Charged to the VM's owner, as KVM's own table is.
        let mut all = KVVec::with_capacity(capacity, GFP_KERNEL_ACCOUNT)?;

        for item in self.iter() {
            all.push_within_capacity(*item)?;
        }
        self.all = all;
        Ok(())
    }
}

impl<T: Copy + Default, const N: usize> Default for SmallList<T, N> {
    fn default() -> Self {
        Self {
            first: [T::default(); N],
            len: 0,
            all: KVVec::new(),
        }
    }
}

impl<T, const N: usize> Deref for SmallList<T, N> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        if self.all.is_empty() {
            self.first.get(..self.len).unwrap_or_default()
        } else {
            &self.all
        }
    }
}

impl<T, const N: usize> DerefMut for SmallList<T, N> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        if self.all.is_empty() {
            self.first.get_mut(..self.len).unwrap_or_default()
        } else {
            &mut self.all
        }
    }
}

impl<T: Copy + Default, const N: usize> List<T> for SmallList<T, N> {
    fn push(&mut self, item: T) -> Result<(), NoMemory> {
        if self.all.is_empty() {
            if let Some(free) = self.first.get_mut(self.len) {
                *free = item;
                self.len = self.len.wrapping_add(1);
                return Ok(());
            }
        }

        if self.all.len() == self.all.capacity() {
            let capacity = self.len().wrapping_mul(2).max(4 * N);

            self.grow(capacity).map_err(|_| NoMemory)?;
        }
        self.all.push_within_capacity(item).map_err(|_| NoMemory)
    }

    #[cfg(not(CONFIG_ARM64))]
    fn push_all(&mut self, items: &[T]) -> Result<(), NoMemory> {
        let len = self.len().wrapping_add(items.len());

        if self.all.is_empty() && len <= N {
            return items.iter().try_for_each(|item| self.push(*item));
        }

        if self.all.is_empty() || len > self.all.capacity() {
            self.grow(len).map_err(|_| NoMemory)?;
        }
        for item in items {
            self.all.push_within_capacity(*item).map_err(|_| NoMemory)?;
        }
        Ok(())
    }
}

impl From<NoMemory> for Error {
    fn from(_: NoMemory) -> Self {
        ENOMEM
    }
}
