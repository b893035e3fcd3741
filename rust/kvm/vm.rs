// SPDX-License-Identifier: GPL-2.0

//! A VM that is bound to the module.

use super::{
    bindings,
    host::{
        self,
        Host,
        Vp, //
    },
    index::Index,
    locks::{
        IrqLock,
        IrqSrcu, //
    },
    params::Mode,
    stats::{
        Counters,
        Event,
        Stats, //
    }, //
};
use crate::routing::{
    msi::Msi,
    scan::{
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
        scan_request,
        ScanRequest, //
    },
    verify::{
        scan_agrees,
        sint_agrees, //
    }, //
};
use kernel::prelude::*;

/// A bound VM, from KVM_CREATE_VM until it is destroyed.
pub(crate) struct Vm {
    host: Host,
    mode: Mode,
    parity: bool,
    stats: Stats,
}

fn level(index: Option<&Index>) -> &[Msi] {
    index.map_or(&[], Index::level)
}

fn sints(index: Option<&Index>) -> &[SintRoute] {
    index.map_or(&[], Index::sints)
}

impl Vm {
    /// Makes the module's side of a VM.
    pub(crate) fn new(host: Host, mode: Mode, parity: bool, stats: Stats) -> Self {
        Self {
            host,
            mode,
            parity,
            stats,
        }
    }

    /// Returns the counters.
    pub(crate) fn counters(&self) -> &Counters {
        &self.stats
    }

    /// Lets the SINTs know which GSI each reports to, of all virtual processors or of one.
    fn apply_sints(&self, lock: &IrqLock<'_>, index: Option<&Index>, only: Option<u32>) {
        let wanted = |route: &&SintRoute| only.is_none_or(|vp_index| vp_index == route.vp_index);

        for route in sints(index).iter().filter(wanted) {
            if let Some(sint) = Sint::new(route.sint) {
                if let (_, Some(vp)) = self.host.read_synic(route.vp_index, sint) {
                    self.host.set_sint_gsi(lock, vp, sint, route.gsi);
                }
            }
        }
    }

    /// Acts on a new routing table with the given index. In mode `verify` KVM's C does.
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

        self.apply_sints(lock, index, None);
        match scan_request(view.is_split()) {
            ScanRequest::None => (),
            ScanRequest::All => {
                self.stats.count(Event::ScanRequest);
                self.host.request_scan(lock);
            }
        }
    }

    /// Scans the routes for a vCPU.
    pub(crate) fn scan(
        &self,
        index: Option<&Index>,
        vcpu: &bindings::kvm_irqroute_vcpu_view,
    ) -> Scan {
        self.stats.count(Event::Scan);
        scan(level(index), vcpu.vm.reading(), &vcpu.apic())
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
        let latest = scan(level(index), after.vm.reading(), &after.apic());
        if scan_agrees(c, &rust, &latest) {
            return;
        }

        self.stats.count(Event::Difference);
        if host::may_log() {
            pr_warn!(
                "scan of APIC {:#x} differs: C {:x?}, Rust {:x?}\n",
                before.x2apic_id,
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
        let (synic, vp) = self.host.read_synic(vp_index, sint);
        let vector = sint::vector(synic)?;

        Ok((vp.ok_or(SintError::NoSynic)?, sint, vector))
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

    /// Reports the EOI or EOM of a SINT to the GSI that is routed to it. In mode `verify` KVM's C
    /// does.
    pub(crate) fn ack_sint(&self, srcu: &IrqSrcu<'_>, gsi: i32) {
        self.stats.count(Event::SintAck);
        if self.mode == Mode::Rust {
            self.host.notify_acked_gsi(srcu, gsi);
        }
    }

    /// Lets the SINTs of a virtual processor know their GSIs, since its SynIC was activated after
    /// the table was set. KVM's C leaves such a SynIC without a way back to its GSIs.
    pub(crate) fn activate_synic(&self, lock: &IrqLock<'_>, index: Option<&Index>, vp_index: u32) {
        if !self.parity {
            self.apply_sints(lock, index, Some(vp_index));
        }
    }
}
