// SPDX-License-Identifier: GPL-2.0

//! Directories in debugfs.

use super::{
    bindings,
    counters::Counters,
    files::{
        File,
        Shown, //
    },
    params::Mode, //
};
use crate::routing::Parity;
use core::ptr;
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// A directory, which is removed together with all that is in it when the value goes away.
///
/// # Invariants
///
/// The pointer is what debugfs returned for the directory, an error included. It is used to remove
/// the directory once, on drop.
pub(crate) struct Dir(*mut bindings::dentry);

// SAFETY: debugfs does its own locking, and its objects may be used and removed on any CPU.
unsafe impl Send for Dir {}

// SAFETY: As for `Send`: files may be added from several CPUs at the same time.
unsafe impl Sync for Dir {}

impl Dir {
    /// Makes the directory `name`, at the top of debugfs if there is no parent. Where debugfs
    /// cannot, there is just nothing to see. Process context.
    pub(crate) fn new(parent: Option<&Self>, name: &CStr) -> Self {
        let parent = parent.map_or(ptr::null_mut(), |parent| parent.0);

        // INVARIANT: Just made, and no one else has the pointer.
        // SAFETY: `parent` is null, or valid until it is dropped, and it is borrowed during the
        // call. `name` is copied. debugfs locks directories for itself.
        Self(unsafe { bindings::irqroute_debugfs_dir(parent, name.as_char_ptr()) })
    }

    /// Adds a file with a number about all VMs, see `irqroute_total()`. Process context.
    pub(crate) fn add_total(&self, name: &CStr, which: u32) {
        // SAFETY: By the invariants, the directory exists or is an error, which debugfs knows to
        // ignore. `name` is copied. debugfs locks directories for itself.
        unsafe { bindings::irqroute_debugfs_total(self.0, name.as_char_ptr(), which) }
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // SAFETY: By the invariants, this is the one time. It waits for all readers of what is in
        // the directory; debugfs locks directories for itself.
        unsafe { bindings::irqroute_debugfs_remove(self.0) }
    }
}

/// The directory of a VM.
pub(crate) struct VmDir {
    // The order matters: files go before what they show.
    _dir: Dir,
    _counters: Arc<Counters>,
    _shown: Pin<KBox<Shown>>,
}

impl VmDir {
    /// Makes the directory `name` for a VM that is bound with the given parameters, and that `shown`
    /// shows. Process context.
    pub(crate) fn new(
        parent: &Dir,
        name: &CStr,
        mode: Mode,
        parity: Parity,
        counters: Arc<Counters>,
        shown: Pin<KBox<Shown>>,
    ) -> Self {
        let dir = Dir::new(Some(parent), name);

        // SAFETY: The directory exists or is an error, which debugfs knows to ignore. What the
        // files show is constant and static. debugfs locks directories for itself.
        unsafe {
            bindings::irqroute_debugfs_binding(
                dir.0,
                mode.as_raw(parity) as u32,
                parity == Parity::On,
            )
        }

        for (name, counter) in counters.files() {
            let counter = ptr::from_ref(counter).cast_mut().cast();

            // SAFETY: As above, and `name` is copied. The counter is part of `counters`, which
            // stays until the directory is gone. It is atomic: debugfs may read it, in one piece as
            // it is aligned, while others add to it.
            unsafe { bindings::irqroute_debugfs_counter(dir.0, name.as_char_ptr(), counter) }
        }

        for (file, name) in File::ALL {
            let shown = ptr::from_ref(&*shown).cast_mut().cast();

            // SAFETY: As above, and `name` is copied. `shown` stays where it is until the directory is
            // gone, of which readers keep it from going while they look at it. It is only shared.
            unsafe {
                bindings::irqroute_debugfs_file(dir.0, name.as_char_ptr(), file as u32, shown)
            }
        }

        Self {
            _dir: dir,
            _counters: counters,
            _shown: shown,
        }
    }
}
