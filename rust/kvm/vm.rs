// SPDX-License-Identifier: GPL-2.0

//! A VM that is bound to the module.

use super::{
    bindings,
    hints::Hints,
    host::{
        self,
        Found,
        Host,
        Urgency,
        Vp, //
    },
    index::{
        Index,
        Level,
        Listings, //
    },
    locks::{
        IrqLock,
        IrqSrcu, //
    },
    overlap::{
        Both,
        Overlap, //
    },
    params::Mode,
    stats::{
        Counters,
        Event,
        Stats, //
    }, //
};
use crate::routing::{
    apic::Apic,
    level::Reading,
    rules::Rules,
    scan::{
        owed,
        scan,
        Scan, //
    },
    sint::{
        self,
        Sint,
        SintError,
        SintRoute, //
    },
    update::{
        after_publication,
        after_reading_changed,
        Changes,
        ScanRequest, //
    },
    verify::{
        scan_agrees,
        sint_agrees, //
    }, //
};
use core::ptr;
use kernel::{
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    }, //
};

/// A bound VM, from KVM_CREATE_VM until it is destroyed.
#[pin_data]
pub(crate) struct Vm {
    host: Host,
    mode: Mode,
    rules: Rules,
    stats: Stats,
    hints: Hints,
    #[pin]
    overlap: Overlap,
}

fn level(index: Option<&Index>) -> Option<&Level> {
    index.map(Index::level)
}

/// Tells whether two tables share an index.
fn is_same(old: Option<&Level>, new: Option<&Level>) -> bool {
    old.map(ptr::from_ref) == new.map(ptr::from_ref)
}

fn scan_of(index: Option<&Index>, reading: Reading, apic: &Apic) -> Scan {
    index.map_or(Scan::default(), |index| scan(index.level(), reading, apic))
}

fn sints(index: Option<&Index>) -> &[SintRoute] {
    index.map_or(&[], Index::sints)
}

impl Vm {
    /// Makes the module's side of a VM.
    pub(crate) fn new(host: Host, mode: Mode, rules: Rules, stats: Stats) -> impl PinInit<Self> {
        pin_init!(Self {
            host,
            mode,
            rules,
            stats,
            hints: Hints::new(),
            overlap <- Overlap::new(),
        })
    }

    /// Returns the counters.
    pub(crate) fn counters(&self) -> &Counters {
        &self.stats
    }

    fn find(&self, vp_index: u32, sint: Sint) -> Found<'_> {
        // Where several vCPUs have one VP index, KVM's C takes the one that a search finds first.
        if self.rules == Rules::C {
            return self.host.read_synic(vp_index, sint, vp_index);
        }

        let hint = self.hints.get(vp_index);
        let found = self.host.read_synic(vp_index, sint, hint);
        if let Some(vcpu_index) = found.vcpu_index.filter(|index| *index != hint) {
            self.hints.set(vp_index, vcpu_index);
        }
        found
    }

    fn request(&self, urgency: Urgency, request: ScanRequest<'_, Listings>) {
        let asked = match request {
            ScanRequest::None => return,
            ScanRequest::All => self.host.request_scan_of_all(),
            ScanRequest::Of(excess) => self
                .host
                .request_scan(urgency, |apic| excess.reaches(&apic.id())),
        };

        self.stats.add(Event::ScanRequest, u64::from(asked));
    }

    /// Makes the index of a routing table, given that of the current one. Process context.
    pub(crate) fn build_index(
        &self,
        view: &bindings::kvm_irqroute_vm_view,
        old: Option<ArcBorrow<'_, Index>>,
        routes: &[bindings::kvm_irq_routing_entry],
    ) -> Result<Option<Arc<Index>>> {
        let (pins, format) = (view.reserved_pins(), view.reading().format);
        let index = Index::new(old, routes, pins, self.rules, format)?;

        if self.rules == Rules::Documented && !sints(index.as_deref()).is_empty() {
            self.hints.prepare()?;
        }
        Ok(index)
    }

    /// Gets ready for a table to be published in place of another. Process context.
    pub(crate) fn prepare(
        &self,
        view: &bindings::kvm_irqroute_vm_view,
        old: Option<ArcBorrow<'_, Index>>,
        new: Option<ArcBorrow<'_, Index>>,
    ) {
        let reading = view.reading();
        let (old_level, new_level) = (level(old.as_deref()), level(new.as_deref()));

        if self.rules == Rules::C || is_same(old_level, new_level) {
            return;
        }

        let changes = Changes::between(old_level, new_level, reading.format);
        if changes.is_none() {
            return;
        }

        self.overlap.begin(Both {
            old: old.map(Arc::from),
            new: new.map(Arc::from),
            changes,
        });
        let request = changes.before_publication(old_level, new_level, reading);
        self.request(Urgency::Now, request);
    }

    /// Lets the SINTs know which GSI each reports to.
    fn apply_sints(&self, lock: &IrqLock<'_>, index: Option<&Index>) {
        for route in sints(index) {
            if let Some(sint) = Sint::new(route.sint) {
                if let Some(vp) = self.find(route.vp_index, sint).vp {
                    self.host.set_sint_gsi(lock, vp, sint, route.gsi);
                }
            }
        }
    }

    /// Acts on a table that was just published, with the given index. In mode `verify` KVM's C
    /// does.
    pub(crate) fn update(
        &self,
        lock: &IrqLock<'_>,
        view: &bindings::kvm_irqroute_vm_view,
        index: Option<&Index>,
    ) {
        self.stats.count(Event::Update);
        if self.mode != Mode::Rust {
            return;
        }

        if self.rules == Rules::C {
            self.apply_sints(lock, index);
        }
        self.request(Urgency::Now, after_publication(self.rules, view.is_split()));
    }

    /// Leaves the table before the current one behind: no interrupt is in flight by it any more.
    /// Process context.
    pub(crate) fn settled(&self, view: &bindings::kvm_irqroute_vm_view) {
        let Some(both) = self.overlap.end() else {
            return;
        };
        let (old, new) = (level(both.old.as_deref()), level(both.new.as_deref()));

        // What a vCPU does not forget at once costs it an exit, and then it scans anyway.
        let request = both.changes.after_grace_period(old, new, view.reading());
        self.request(Urgency::BeforeNextEntry, request);
    }

    /// Acts on a change of how the routes decode. Process context.
    pub(crate) fn reading_changed(&self, view: &bindings::kvm_irqroute_vm_view) {
        self.request(
            Urgency::Now,
            after_reading_changed(self.rules, view.is_split()),
        );
    }

    /// Scans the routes for a vCPU.
    pub(crate) fn scan(
        &self,
        index: Option<&Index>,
        vcpu: &bindings::kvm_irqroute_vcpu_view,
    ) -> Scan {
        self.stats.count(Event::Scan);

        let (reading, apic) = (vcpu.vm.reading(), vcpu.apic());
        let of_both = self.overlap.with(|both| {
            let [old, new] =
                [&both.old, &both.new].map(|index| scan_of(index.as_deref(), reading, &apic));

            old.union(&new)
        });

        of_both
            .unwrap_or_else(|| scan_of(index, reading, &apic))
            .with_owed(&owed(
                self.rules,
                &apic.pending_eoi,
                &vcpu.reported(),
                &vcpu.level_triggered(),
            ))
    }

    /// Checks the result of KVM's own scan for a vCPU that was as in `before` when it began and
    /// as in `after` when it was done.
    pub(crate) fn verify_scan(
        &self,
        index: Option<&Index>,
        before: &bindings::kvm_irqroute_vcpu_view,
        after: &bindings::kvm_irqroute_vcpu_view,
        c: &Scan,
    ) {
        // A result for routes that were read in two ways is neither right nor wrong.
        if before.vm.reading() != after.vm.reading() {
            return;
        }

        let rust = self.scan(index, before);
        let latest = scan_of(index, after.vm.reading(), &after.apic());
        if scan_agrees(c, &rust, &latest) {
            return;
        }

        self.stats.count(Event::Difference);
        if host::may_log() {
            pr_warn!(
                "scan of APIC {:#x} differs: C {:x?}, Rust {:x?}\n",
                before.apic.x2apic_id,
                c,
                rust
            );
        }
    }

    /// Takes note of a SINT route for a table that is being set up. Process context.
    pub(crate) fn setup_sint(&self) {
        self.stats.count(Event::SintSetup);
    }

    fn decide_sint(
        &self,
        vp_index: u32,
        number: u32,
        raised: bool,
    ) -> Result<(Vp<'_>, Sint, u8), SintError> {
        let sint = sint::target(number, raised)?;
        let found = self.find(vp_index, sint);
        let vector = sint::vector(found.synic)?;

        Ok((found.vp.ok_or(SintError::NoSynic)?, sint, vector))
    }

    /// Tells what a change of a line that is routed to a SINT would do. Any context.
    pub(crate) fn decide(&self, vp_index: u32, number: u32, raised: bool) -> Result<(), SintError> {
        self.decide_sint(vp_index, number, raised).map(|_| ())
    }

    /// Raises or lowers a line that is routed to a SINT. Any context. Returns what
    /// KVM_IRQ_LINE_STATUS reports.
    pub(crate) fn deliver_sint(
        &self,
        vp_index: u32,
        number: u32,
        raised: bool,
    ) -> Result<i32, SintError> {
        let (vp, sint, vector) = self.decide_sint(vp_index, number, raised)?;

        self.stats.count(Event::SintDelivery);
        Ok(self.host.deliver_sint(vp, sint, vector))
    }

    /// Checks what KVM's C did with a line that is routed to a SINT, `c`, when Rust had decided
    /// `before`. Any context.
    pub(crate) fn verify_sint(
        &self,
        vp_index: u32,
        number: u32,
        raised: bool,
        before: Result<(), SintError>,
        c: Result<(), SintError>,
    ) {
        if c.is_ok() {
            self.stats.count(Event::SintDelivery);
        }
        if sint_agrees(c, before, self.decide(vp_index, number, raised)) {
            return;
        }

        self.stats.count(Event::Difference);
        if host::may_log() {
            pr_warn!("SINT {number} of VP {vp_index} differs: C {c:?}, Rust {before:?}\n");
        }
    }

    fn notify(&self, srcu: &IrqSrcu<'_>, gsi: i32) {
        self.stats.count(Event::SintAck);
        self.host.notify_acked_gsi(srcu, gsi);
    }

    /// Reports the EOI or EOM of a SINT of the virtual processor `vp_index` to the GSIs that are
    /// routed to it. KVM's C reports to `last` alone: the highest of those that had the SINT when a
    /// table was last set. In mode `verify` it does.
    pub(crate) fn ack_sint(
        &self,
        srcu: &IrqSrcu<'_>,
        index: Option<&Index>,
        vp_index: u32,
        number: u32,
        last: Option<u32>,
    ) {
        let last = last.and_then(|gsi| i32::try_from(gsi).ok());

        match (self.mode, self.rules) {
            (Mode::Rust, Rules::Documented) => {
                if let Some(sint) = Sint::new(number) {
                    sint::gsis(sints(index), vp_index, sint)
                        .filter_map(|gsi| i32::try_from(gsi).ok())
                        .for_each(|gsi| self.notify(srcu, gsi));
                }
            }
            (Mode::Rust, Rules::C) => {
                if let Some(gsi) = last {
                    self.notify(srcu, gsi);
                }
            }
            (Mode::Verify | Mode::C, _) => {
                if last.is_some() {
                    self.stats.count(Event::SintAck);
                }
            }
        }
    }
}
