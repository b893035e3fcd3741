// SPDX-License-Identifier: GPL-2.0

//! The files that show the routes of a VM.
//!
//! A file shows the VM as it was when it was opened. From then on it refers to nothing of the VM, which
//! may change or end meanwhile.

#[cfg(CONFIG_X86)]
use super::arch::posting::Postings;
use super::{
    arch::snapshot::Snapshot,
    bindings,
    counters::Counters,
    host::Host, //
};
use crate::routing::Parity;
use kernel::{
    fmt,
    prelude::*,
    sync::Arc, //
};

/// A file of a VM, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    /// The routes.
    Routes,
    /// The vCPUs, as far as routes matter to them.
    #[cfg(CONFIG_X86)]
    Vcpus,
    /// How many interrupts of devices are posted, and why others are not.
    #[cfg(CONFIG_X86)]
    Posting,
    /// What is odd about the routes.
    Remarks,
}

impl File {
    /// All of them, with their names.
    #[cfg(CONFIG_X86)]
    pub(crate) const ALL: [(Self, &'static CStr); 4] = [
        (Self::Routes, c"routes"),
        (Self::Vcpus, c"vcpus"),
        (Self::Posting, c"posting"),
        (Self::Remarks, c"remarks"),
    ];
    #[cfg(CONFIG_ARM64)]
    pub(crate) const ALL: [(Self, &'static CStr); 2] =
        [(Self::Routes, c"routes"), (Self::Remarks, c"remarks")];

    /// Returns the file with the given number, if there is one.
    fn new(number: u32) -> Option<Self> {
        let (file, _) = Self::ALL
            .into_iter()
            .find(|(file, _)| *file as u32 == number)?;

        Some(file)
    }
}

/// What the files of a VM show: all that is needed to look at it.
pub(crate) struct Shown {
    host: Host,
    parity: Parity,
    counters: Arc<Counters>,
}

impl Shown {
    /// Makes it for files that are removed before KVM takes back what `host` refers to.
    pub(crate) fn new(host: Host, parity: Parity, counters: Arc<Counters>) -> Self {
        Self {
            host,
            parity,
            counters,
        }
    }
}

/// The routes of a VM, how they are read, and what became of irqfds, as KVM has it.
pub(crate) struct Table {
    /// The routes, in the order of the table.
    pub(crate) routes: KVVec<bindings::kvm_irq_routing_entry>,
    /// What decides how they are read.
    pub(crate) view: bindings::kvm_irqroute_vm_view,
    /// On x86 whether the irqchip is split, on arm64 whether there is an ITS.
    pub(crate) has_chip: bool,
    /// How many irqfds have their interrupts posted, or why not.
    #[cfg(CONFIG_X86)]
    pub(crate) postings: Postings,
    /// The same of each route, by KVM's numbers.
    #[cfg(CONFIG_X86)]
    pub(crate) route_postings: KVVec<u32>,
}

impl Table {
    /// Copies the current table of a VM. Process context. Returns `ENOMEM`; `EINTR` if the caller is
    /// killed; `ENODEV` if KVM was built from other headers than the module.
    fn copy(shown: &Shown) -> Result<Self> {
        let mut table = Self {
            routes: KVVec::new(),
            view: Default::default(),
            has_chip: false,
            #[cfg(CONFIG_X86)]
            postings: shown.host.count_postings()?,
            #[cfg(CONFIG_X86)]
            route_postings: KVVec::new(),
        };

        // The table of before is empty, and the lock of updates may not be one yet.
        if !shown.counters.have_update() {
            return Ok(table);
        }

        // SAFETY: An update has begun, and the VM is not released before its files are removed.
        table.routes = unsafe { shown.host.copy_routes() }?;
        // SAFETY: By the invariants of `Host`, the VM is valid, and KVM has set it up, as userspace has
        // it. The integers that are read may change at any time. `view` is a field that nothing else
        // refers to.
        let has_chip = unsafe { bindings::irqroute_view_vm(shown.host.kvm(), &mut table.view) };

        table.has_chip = has_chip;
        #[cfg(CONFIG_X86)]
        {
            table.route_postings = shown.host.find_postings(&table.routes)?;
        }
        Ok(table)
    }
}

/// A file that is open.
pub(crate) struct Opened {
    file: File,
    snapshot: Snapshot,
}

impl Opened {
    /// Opens a file by its number. Process context. Returns `EINVAL` if there is no such file, and
    /// what looking at the VM returns.
    pub(crate) fn new(shown: &Shown, number: u32) -> Result<Self> {
        let file = File::new(number).ok_or(EINVAL)?;
        let snapshot = Snapshot::new(&shown.host, shown.parity, Table::copy(shown)?)?;

        Ok(Self { file, snapshot })
    }

    /// Returns how many records the file has.
    pub(crate) fn nr_records(&self) -> usize {
        self.snapshot.nr_records(self.file)
    }

    /// Prints a record by its number, any number of lines.
    pub(crate) fn print(&self, number: usize, print: impl Fn(fmt::Arguments<'_>)) {
        self.snapshot.print(self.file, number, print);
    }
}

/// Lets others run, in between of much work. Process context.
pub(crate) fn cond_resched() {
    // SAFETY: FFI call of a function that needs process context only.
    unsafe { bindings::irqroute_cond_resched() }
}
