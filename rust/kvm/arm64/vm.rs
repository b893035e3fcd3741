// SPDX-License-Identifier: GPL-2.0

//! A VM that is bound to the module.

use super::{
    bindings,
    counters::Event,
    host::{
        self,
        Host, //
    },
    index::Index,
    lines::{
        Lines,
        Source, //
    },
    srcu::IrqSrcu,
    stats::Stats,
    trace, //
};
use crate::routing::{
    arm64::{
        msi::{
            self,
            DeadMsi, //
        },
        route::{
            gsis,
            is_routed,
            PinRoute, //
        },
        seen::Remark,
        spi::{
            set_line,
            Spi,
            NR_PINS, //
        },
        table,
        verify::{
            ack_agrees,
            msi_agrees,
            spi_agrees,
            Outcome, //
        }, //
    },
    publication::{
        is_awaited,
        is_skipped,
        Succession, //
    },
    Origin,
    Parity, //
};
use core::{
    ffi::c_void,
    ptr, //
};
use kernel::{
    error::to_result,
    fmt,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        ArcBorrow, //
    }, //
};

/// A bound VM, from KVM_CREATE_VM until it is destroyed.
#[pin_data]
pub(crate) struct Vm {
    host: Host,
    parity: Parity,
    stats: Stats,
    lines: Lines,
    /// Whether userspace has set routes. Written by updates, of which there is one at a time.
    userspace_has_set: Atomic<bool>,
}

/// Returns what counts the interrupts that are lost for a reason.
fn event_of(dead: DeadMsi) -> Event {
    match dead {
        DeadMsi::NoIts => Event::DeadNoIts,
        DeadMsi::NoDeviceId => Event::DeadNoDeviceId,
        DeadMsi::NoDoorbell => Event::DeadNoDoorbell,
        DeadMsi::LongId => Event::DeadLongId,
    }
}

fn pin_routes(index: Option<&Index>) -> &[PinRoute] {
    index.map_or(&[], Index::pin_routes)
}

impl Host {
    /// Tells the interrupt controller that the line of an SPI is high, or low. Any context.
    fn inject_spi(&self, spi: Spi, high: bool) -> Result {
        let Some(inject_spi) = self.ops().inject_spi else {
            return Err(EINVAL);
        };

        // SAFETY: By the invariants, the VM is valid. KVM checks the INTID, and does its own locking,
        // from any context.
        to_result(unsafe { inject_spi(self.kvm(), spi.intid(), i32::from(high)) })
    }
}

impl IrqSrcu<'_> {
    /// Calls KVM's op for the resamplefds of those GSIs of which `wanted` is true. Any context.
    fn call_resample<F: Fn(u32) -> bool>(&self, wanted: &F, notify: bool) -> bool {
        /// # Safety
        ///
        /// `data` must be valid for reads of an `F`.
        unsafe extern "C" fn call<F: Fn(u32) -> bool>(gsi: u32, data: *const c_void) -> bool {
            // SAFETY: `data` is on the stack of this thread, below KVM's function, which waits for this
            // call to return: it is valid during the call, and written by no one.
            let wanted = unsafe { &*data.cast::<F>() };

            wanted(gsi)
        }

        let data = ptr::from_ref(wanted).cast();
        match self.host().ops().resample {
            // SAFETY: By the invariants of `Host`, the VM is valid. KVM walks lists that `irq_srcu` protects,
            // and by the invariants of `self` the current thread is in a section of it. It passes `data`,
            // which outlives the call and is only read, to `call()` alone.
            Some(resample) => unsafe { resample(self.host().kvm(), Some(call::<F>), data, notify) },
            None => false,
        }
    }

    /// Tells whether the end of an interrupt is waited for by one of those GSIs of which `wanted` is
    /// true. Any context.
    fn has_resampler(&self, wanted: &impl Fn(u32) -> bool) -> bool {
        self.call_resample(wanted, false)
    }

    /// Tells everyone who waits for it of the end of an interrupt of those GSIs of which `wanted` is
    /// true. Any context.
    fn resample(&self, wanted: &impl Fn(u32) -> bool) {
        self.call_resample(wanted, true);
    }
}

impl Vm {
    /// Makes the module's side of a VM.
    pub(crate) fn new(host: Host, parity: Parity, stats: Stats) -> impl PinInit<Self> {
        pin_init!(Self {
            host,
            parity,
            stats,
            lines: Lines::new(),
            userspace_has_set: Atomic::new(false),
        })
    }

    /// Returns what the VM is called in trace events.
    fn number(&self) -> u64 {
        self.stats.number()
    }

    /// Returns what the module may ask of KVM.
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// Notes whether the current table is one of userspace.
    fn note_origin(&self, origin: Origin, nr: usize) {
        if origin == Origin::Userspace {
            self.userspace_has_set.store(nr != 0, Relaxed);
        }
    }

    /// Tells whether a table with the `nr` routes of the current one need not be published. Process
    /// context.
    pub(crate) fn skip_update(
        &self,
        _view: &bindings::kvm_irqroute_vm_view,
        nr: usize,
        origin: Origin,
    ) -> bool {
        let skipped = is_skipped(self.parity);

        if skipped {
            self.note_origin(origin, nr);
            self.stats.count(Event::UpdateSkipped);
            trace::update_skipped(self.number(), nr);
        }
        skipped
    }

    /// Makes the index of a routing table that is about to be published, in the place of the one with the
    /// index `old`. Process context. Tells whether readers of older tables are to be waited for. Returns
    /// `EEXIST` if the table is not to take the place of the current one.
    pub(crate) fn begin_update(
        &self,
        _view: &bindings::kvm_irqroute_vm_view,
        old: Option<ArcBorrow<'_, Index>>,
        routes: &[bindings::kvm_irq_routing_entry],
        origin: Origin,
        succession: Succession,
    ) -> Result<(bool, Option<Arc<Index>>)> {
        if !table::is_taken(origin, self.userspace_has_set.load(Relaxed), self.parity) {
            return Err(EEXIST);
        }
        let index = Index::new(old, routes)?;
        let is_awaited = is_awaited(succession, self.parity);

        self.note_origin(origin, routes.len());
        self.stats.count_update(is_awaited);
        trace::update(
            self.number(),
            succession.into(),
            routes.len(),
            // SAFETY: KVM holds the lock of updates since before this.
            || unsafe { self.host.count_changed_gsis(routes) },
            Some(0),
            is_awaited,
        );
        Ok((is_awaited, index))
    }

    /// Ends an update: no one uses a table before the current one any more. Process context.
    pub(crate) fn end_update(&self) {
        trace::update_end(self.number(), Some(0));
    }

    /// Counts an interrupt that is lost, and says so the first time.
    fn lose(&self, event: Event, remark: Remark, what: fmt::Arguments<'_>) {
        trace::remark(self.number(), None, remark.name(), remark);
        if self.stats.count(event) == 0 && host::may_log() {
            pr_warn!("{what}\n");
        }
    }

    /// Raises or lowers the line of a pin, as far as one of its sources, or who is none of them, is
    /// concerned. Any context. Returns `EINVAL` if the pin has no SPI, or what KVM's interrupt
    /// controller says.
    pub(crate) fn set_spi(
        &self,
        pin: u32,
        nr_spis: u32,
        source: Option<Source>,
        raised: bool,
    ) -> Result {
        let result = self.try_set_spi(pin, nr_spis, source, raised);

        trace::spi(self.number(), pin, source, Some(raised), &result);
        result
    }

    fn try_set_spi(&self, pin: u32, nr_spis: u32, source: Option<Source>, raised: bool) -> Result {
        let Some(spi) = Spi::of_pin(pin, nr_spis) else {
            if raised {
                self.lose(
                    Event::DeadNoSpi,
                    Remark::NoSpi(nr_spis),
                    fmt!("pin {pin} has no SPI, the VM has {nr_spis}"),
                );
            }
            return Err(EINVAL);
        };

        self.stats.count(Event::SpiChange);
        // With parity, the line is as the last one of its sources says.
        if self.parity == Parity::On {
            return self.host.inject_spi(spi, raised);
        }

        if let Some(source) = source {
            self.lines.set(spi, source, raised);
        }
        self.tell(spi, raised).inspect_err(|_| {
            if let Some(source) = source {
                self.lines.set(spi, source, false);
            }
        })
    }

    /// Tells the interrupt controller that a line was raised or lowered. Any context.
    fn tell(&self, spi: Spi, raised: bool) -> Result {
        let is_held = || self.lines.is_held(spi);

        set_line(raised, is_held, |high| self.host.inject_spi(spi, high))
    }

    /// Forgets who raises the line of a pin, which userspace has restored. Any context.
    pub(crate) fn forget_spi(&self, pin: u32) {
        if let Some(spi) = Spi::of_pin(pin, NR_PINS as u32) {
            self.lines.forget(spi);
        }
    }

    /// Counts an MSI that KVM did not deliver, if it can reach no ITS. Any context.
    pub(crate) fn lose_msi(&self, view: &bindings::kvm_irqroute_msi_view) {
        let msi = view.msi();

        if let Err(dead) = msi::decide(&msi, view.its()) {
            self.lose(
                event_of(dead),
                Remark::Dead(dead),
                fmt!("an MSI reaches no ITS: {dead:?}, {msi:x?}"),
            );
        }
    }

    /// Counts a difference, and logs it within a rate limit.
    fn differs(&self, what: fmt::Arguments<'_>) {
        self.stats.count(Event::Difference);
        if host::may_log() {
            pr_warn!("{what}\n");
        }
    }

    /// Checks what KVM's C did with the line of a pin. Any context.
    pub(crate) fn verify_spi(&self, pin: u32, nr_spis: u32, c: Outcome) {
        self.stats.count(Event::SpiChange);
        let result = match c {
            Outcome::UpToTheGuest => Ok(()),
            Outcome::Invalid => Err(EINVAL),
            Outcome::NoDevice => Err(ENODEV),
        };
        trace::spi(self.number(), pin, None, None, &result);
        if !spi_agrees(c, Spi::of_pin(pin, nr_spis).is_some()) {
            self.differs(fmt!("pin {pin} of {nr_spis} differs: C {c:?}"));
        }
    }

    /// Checks what KVM's C did with an MSI. Any context.
    pub(crate) fn verify_msi(&self, view: &bindings::kvm_irqroute_msi_view, c: Outcome) {
        let decision = msi::decide(&view.msi(), view.its());

        if !msi_agrees(c, decision) {
            self.differs(fmt!("an MSI differs: C {c:?}, Rust {decision:?}"));
        }
    }

    /// Checks whom KVM's C told of the end of the SPI of a pin. Any context.
    pub(crate) fn verify_ack(&self, index: Option<&Index>, pin: u32, c: Option<u32>) {
        if c.is_some() {
            self.stats.count(Event::SpiAck);
            trace::spi_ack(self.number(), pin, 1);
        }
        if !ack_agrees(c, gsis(pin_routes(index), pin)) {
            self.differs(fmt!("the end of pin {pin} differs: C {c:?}"));
        }
    }

    /// Reports the end of the SPI of a pin to the GSIs that are routed to it, and to the one that has
    /// raised its line, wherever that is routed by now. Any context.
    ///
    /// The line goes down once, before anyone hears of it: whoever has heard may raise it again.
    pub(crate) fn ack_pin(&self, srcu: &IrqSrcu<'_>, index: Option<&Index>, pin: u32) {
        let Some(spi) = Spi::of_pin(pin, NR_PINS as u32) else {
            return;
        };
        let routes = pin_routes(index);
        let raised_by = self.lines.end_resample(spi);
        let left = raised_by.filter(|gsi| !is_routed(routes, pin, *gsi));
        let hears = |gsi| is_routed(routes, pin, gsi) || left == Some(gsi);

        // A line that is not known to be raised may have been restored.
        if raised_by.is_some() || srcu.has_resampler(&hears) {
            // The interrupt controller has the SPI, whose end it has just told.
            let _ = self.tell(spi, false);
        }
        let hearers = Iterator::chain(gsis(routes, pin), left);
        // Not by `count()`, which brings a path to a panic along.
        let nr = hearers.fold(0u64, |nr, _| nr.wrapping_add(1));
        self.stats.add(Event::SpiAck, nr);
        trace::spi_ack(self.number(), pin, nr);
        srcu.resample(&hears);
    }
}
