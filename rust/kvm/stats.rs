// SPDX-License-Identifier: GPL-2.0

//! Counters, for each VM and for all since the module was loaded, in debugfs.

use super::{
    counters::{
        Counters,
        Event, //
    },
    debugfs::{
        Dir,
        VmDir, //
    },
    files::Shown,
    host::Host,
    params::Mode, //
};
use crate::routing::Parity;
use core::ops::Deref;
use kernel::{
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode, //
    },
    str::CString,
    sync::Arc, //
};

/// All bound VMs, and what is left of those that are gone.
struct Registry {
    /// The directory that has one of its own for each bound VM.
    vms: Dir,
    /// The counters of each bound VM, by their address.
    bound: RBTree<usize, Arc<Counters>>,
    /// Counters of all VMs that were bound once and are not any more.
    gone: [u64; Event::ALL.len()],
    /// How many VMs were bound, and how many names were given out.
    total: u64,
    names: u64,
}

kernel::sync::global_lock! {
    // SAFETY: `publish()` initializes it in the module's init function. KVM cannot find the
    // symbols of a module whose init function has not returned, so that nothing comes before it.
    unsafe(uninit) static REGISTRY: Mutex<Option<Registry>> = None;
}

const BOUND: u32 = Event::ALL.len() as u32;
const EVER: u32 = BOUND + 1;

/// Returns a number about all VMs: how many are bound ([`BOUND`]) or ever were ([`EVER`]), or how
/// many events of a kind there were. Process context.
pub(crate) fn total(which: u32) -> u64 {
    let guard = REGISTRY.lock();
    let Some(registry) = guard.as_ref() else {
        return 0;
    };

    match which {
        BOUND => registry
            .bound
            .values()
            .fold(0, |sum, _| sum.wrapping_add(1)),
        EVER => registry.total,
        _ => {
            let Some((event, _)) = Event::ALL.get(which as usize) else {
                return 0;
            };
            let gone = registry.gone.get(which as usize).copied().unwrap_or(0);

            registry
                .bound
                .values()
                .fold(gone, |sum, counters| sum.wrapping_add(counters.get(*event)))
        }
    }
}

/// The files of the module, which go away with this value.
pub(crate) struct Published {
    _root: Dir,
}

/// Makes the module visible in debugfs. Called once, by the module's init function.
pub(crate) fn publish() -> Published {
    // SAFETY: Called once, before anyone can take the lock.
    unsafe { REGISTRY.init() };

    let root = Dir::new(None, c"kvm_irqroute");

    root.add_total(c"vms_bound", BOUND);
    root.add_total(c"vms_total", EVER);
    for (event, name) in Event::ALL {
        root.add_total(name, event as u32);
    }
    *REGISTRY.lock() = Some(Registry {
        vms: Dir::new(Some(&root), c"vms"),
        bound: RBTree::new(),
        gone: [0; Event::ALL.len()],
        total: 0,
        names: 0,
    });

    Published { _root: root }
}

impl Drop for Published {
    fn drop(&mut self) {
        let registry = REGISTRY.lock().take();

        // Removing a directory waits for its readers, who may wait for the lock.
        drop(registry);
    }
}

/// The counters of a VM in their place: a directory of their own, and a part in the totals.
pub(crate) struct Stats {
    number: u64,
    dir: Option<VmDir>,
    counters: Arc<Counters>,
}

impl Stats {
    /// Makes counters that no one else sees.
    pub(crate) fn unlisted() -> Result<Self> {
        Ok(Self {
            number: 0,
            dir: None,
            counters: Arc::new(Counters::new(), GFP_KERNEL_ACCOUNT)?,
        })
    }

    /// Makes counters, and files, for a VM that is bound with the given parameters. Process context.
    pub(crate) fn listed(mode: Mode, parity: Parity, host: Host) -> Result<Self> {
        let mut stats = Self::unlisted()?;
        let counters = stats.counters.clone();
        let shown = Shown::new(host, parity, counters.clone());
        let shown = KBox::pin(shown, GFP_KERNEL_ACCOUNT)?;
        let node = RBTreeNode::new(stats.address(), counters.clone(), GFP_KERNEL_ACCOUNT)?;
        let mut guard = REGISTRY.lock();
        let registry = guard.as_mut().ok_or(ENODEV)?;

        registry.names = registry.names.wrapping_add(1);
        stats.number = registry.names;
        let name = CString::try_from_fmt(fmt!("{}-{}", kernel::current!().pid(), stats.number))?;
        stats.dir = Some(VmDir::new(
            &registry.vms,
            &name,
            mode,
            parity,
            counters,
            shown,
        ));

        registry.bound.insert(node);
        registry.total = registry.total.wrapping_add(1);
        Ok(stats)
    }

    /// Returns the number in the name of the directory, by which no other VM is called; 0 if there is no
    /// directory.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.counters).addr()
    }
}

impl Deref for Stats {
    type Target = Counters;

    fn deref(&self) -> &Counters {
        &self.counters
    }
}

impl Drop for Stats {
    fn drop(&mut self) {
        // Before the lock is taken: see `Published`.
        self.dir = None;

        let mut guard = REGISTRY.lock();
        let Some(registry) = guard.as_mut() else {
            return;
        };
        if registry.bound.remove(&self.address()).is_some() {
            for (sum, (event, _)) in registry.gone.iter_mut().zip(Event::ALL) {
                *sum = sum.wrapping_add(self.counters.get(event));
            }
        }
    }
}
