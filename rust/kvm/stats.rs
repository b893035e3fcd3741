// SPDX-License-Identifier: GPL-2.0

//! Counters, for each VM and for all since the module was loaded, in debugfs.

use super::vm::Vm;
use kernel::{
    debugfs::{
        Dir,
        File,
        Scope, //
    },
    fmt,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode, //
    },
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A routing table was published.
    Update,
    /// A vCPU scanned the routes, or its scan was checked.
    Scan,
    /// All vCPUs of a VM were asked to scan.
    ScanRequest,
    /// A SINT route was accepted for a table.
    SintSetup,
    /// An interrupt was sent to a SINT.
    SintDelivery,
    /// An EOI or EOM of a SINT was reported to its GSI.
    SintAck,
    /// C and Rust did not agree.
    Difference,
}

impl Event {
    const ALL: [(Self, &'static CStr); 7] = [
        (Self::Update, c"updates"),
        (Self::Scan, c"scans"),
        (Self::ScanRequest, c"scan_requests"),
        (Self::SintSetup, c"sint_setups"),
        (Self::SintDelivery, c"sint_deliveries"),
        (Self::SintAck, c"sint_acks"),
        (Self::Difference, c"differences"),
    ];
}

/// A number of events.
pub(crate) struct Counter(Atomic<u64>);

impl Counter {
    const fn new() -> Self {
        Self(Atomic::new(0))
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.get())
    }
}

/// The counters of a VM.
pub(crate) struct Counters([Counter; Event::ALL.len()]);

impl Counters {
    /// Makes counters that are all zero.
    pub(crate) const fn new() -> Self {
        Self([const { Counter::new() }; Event::ALL.len()])
    }

    /// Counts one more `event`. Any context.
    #[inline]
    pub(crate) fn count(&self, event: Event) {
        if let Some(counter) = self.0.get(event as usize) {
            counter.0.fetch_add(1, Relaxed);
        }
    }

    /// Returns how many events there were.
    pub(crate) fn get(&self, event: Event) -> u64 {
        self.0.get(event as usize).map_or(0, Counter::get)
    }
}

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

/// A number about all VMs.
#[derive(Clone, Copy)]
enum Total {
    Bound,
    Ever,
    Of(Event),
}

impl Total {
    fn get(&self) -> u64 {
        let guard = REGISTRY.lock();
        let Some(registry) = guard.as_ref() else {
            return 0;
        };

        match *self {
            Self::Bound => registry
                .bound
                .values()
                .fold(0, |sum, _| sum.wrapping_add(1)),
            Self::Ever => registry.total,
            Self::Of(event) => {
                let gone = registry.gone.get(event as usize).copied().unwrap_or(0);

                registry
                    .bound
                    .values()
                    .fold(gone, |sum, counters| sum.wrapping_add(counters.get(event)))
            }
        }
    }

    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.get())
    }
}

/// The files of the module, which go away with this value.
pub(crate) struct Published {
    _files: KVec<Pin<KBox<File<Total>>>>,
    _root: Dir,
}

/// Makes the module visible in debugfs. Called once, by the module's init function.
pub(crate) fn publish() -> Result<Published> {
    // SAFETY: Called once, before anyone can take the lock.
    unsafe { REGISTRY.init() };

    let root = Dir::new(c"kvm_irqroute");
    let mut files = KVec::with_capacity(Event::ALL.len() + 2, GFP_KERNEL)?;
    let mut add = |total, name| -> Result {
        let file = root.read_callback_file(name, total, &Total::show);

        Ok(files.push_within_capacity(KBox::pin_init(file, GFP_KERNEL)?)?)
    };

    add(Total::Bound, c"vms_bound")?;
    add(Total::Ever, c"vms_total")?;
    for (event, name) in Event::ALL {
        add(Total::Of(event), name)?;
    }
    *REGISTRY.lock() = Some(Registry {
        vms: root.subdir(c"vms"),
        bound: RBTree::new(),
        gone: [0; Event::ALL.len()],
        total: 0,
        names: 0,
    });

    Ok(Published {
        _files: files,
        _root: root,
    })
}

impl Drop for Published {
    fn drop(&mut self) {
        let registry = REGISTRY.lock().take();

        // Removing a directory waits for its readers, who may wait for the lock.
        drop(registry);
    }
}

/// A VM with its directory in debugfs.
pub(crate) type Bound = Pin<KBox<Scope<Vm>>>;

/// Gives `vm` the directory `name` below `parent`, for as long as the result exists.
pub(crate) fn show(vm: Vm, parent: &Dir, name: &CStr) -> Result<Bound> {
    let scope = parent.scope(Ok::<_, Error>(vm), name, |vm: &Vm, files| {
        files.read_callback_file(c"mode", vm, &|vm: &Vm, f: &mut fmt::Formatter<'_>| {
            writeln!(f, "{}", vm.mode().name())
        });
        files.read_callback_file(c"parity", vm, &|vm: &Vm, f: &mut fmt::Formatter<'_>| {
            writeln!(f, "{}", u8::from(vm.parity()))
        });
        for ((_, name), counter) in Event::ALL.into_iter().zip(&vm.counters().0) {
            files.read_callback_file(name, counter, &Counter::show);
        }
    });

    KBox::pin_init(scope, GFP_KERNEL_ACCOUNT)
}

/// Registers `vm` and gives it a directory, both until the result goes away. Process context.
pub(crate) fn register(vm: Vm) -> Result<Bound> {
    let (parent, number) = {
        let mut guard = REGISTRY.lock();
        let registry = guard.as_mut().ok_or(ENODEV)?;

        registry.names = registry.names.wrapping_add(1);
        (registry.vms.clone(), registry.names)
    };
    let name = CString::try_from_fmt(fmt!("{}-{number}", kernel::current!().pid()))?;
    let bound = show(vm, &parent, &name)?;

    let counters = bound.shared_counters();
    let node = RBTreeNode::new(address(&counters), counters, GFP_KERNEL_ACCOUNT)?;
    if let Some(registry) = REGISTRY.lock().as_mut() {
        registry.bound.insert(node);
        registry.total = registry.total.wrapping_add(1);
    }
    Ok(bound)
}

/// Takes a VM with the given counters off the register. Process context.
pub(crate) fn unregister(counters: &Arc<Counters>) {
    let mut guard = REGISTRY.lock();
    let Some(registry) = guard.as_mut() else {
        return;
    };

    if registry.bound.remove(&address(counters)).is_some() {
        for (sum, counter) in registry.gone.iter_mut().zip(&counters.0) {
            *sum = sum.wrapping_add(counter.get());
        }
    }
}

fn address(counters: &Arc<Counters>) -> usize {
    Arc::as_ptr(counters).addr()
}
