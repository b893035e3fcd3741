// SPDX-License-Identifier: GPL-2.0

//! A VM that is bound to the module.

use super::{
    bindings,
    counters::Event,
    grace_period::{
        GracePeriod,
        Phase, //
    },
    host::{
        self,
        Host, //
    },
    index::{
        Index,
        LevelRoutes,
        Slots,
        Successor, //
    },
    posting::Apics,
    srcu::IrqSrcu,
    stats::Stats,
    trace,
    vcpu::{
        AskedVcpu,
        Found,
        ThisVcpu,
        Urgency,
        Vp, //
    },
    vp_index_cache::VpIndexCache, //
};
use crate::routing::{
    publication::{
        is_awaited,
        is_skipped,
        Succession, //
    },
    x86::{
        apic::{
            Apic,
            ApicId,
            X2ApicApi, //
        },
        msi::Msi,
        posting::{
            Reason,
            Target, //
        },
        remark,
        route::ReservedPins,
        scan::{
            owed,
            scan,
            Scan, //
        },
        seen::SeenRoute,
        sint::{
            self,
            Sint,
            SintError,
            SintRoute, //
        },
        update::{
            Changes,
            ScanRequest, //
        },
        vector::VectorSet,
        verify::{
            scan_agrees,
            sint_agrees, //
        }, //
    },
    Origin,
    Parity, //
};
use core::ptr;
use kernel::{
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

/// What indexes that have been replaced may occupy, about, until readers are waited for.
const MAX_RETIRED_BYTES: usize = 1 << 20;

/// A bound VM, from KVM_CREATE_VM until it is destroyed.
#[pin_data]
pub(crate) struct Vm {
    host: Host,
    parity: Parity,
    stats: Stats,
    vp_index_cache: VpIndexCache,
    /// The format of the VM's MSIs when the current table was set. Written by updates, of which there is
    /// one at a time.
    x2apic_format: Atomic<u32>,
    /// What the indexes occupy that have been replaced since readers were waited for. Written as above.
    retired_bytes: Atomic<usize>,
    /// Which losing remarks were logged, a bit for each. Written as above.
    logged: Atomic<u32>,
    #[pin]
    grace_period: GracePeriod,
}

fn level_routes(index: Option<&Index>) -> Option<&LevelRoutes> {
    index.map(Index::level_routes)
}

/// Tells whether two tables share an index.
fn is_same(old: Option<&LevelRoutes>, new: Option<&LevelRoutes>) -> bool {
    old.map(ptr::from_ref) == new.map(ptr::from_ref)
}

fn scan_of(index: Option<&Index>, api: X2ApicApi, apic: &Apic) -> Scan {
    index.map_or(Scan::default(), |index| {
        scan(index.level_routes(), api, apic)
    })
}

fn sints(index: Option<&Index>) -> &[SintRoute] {
    index.map_or(&[], Index::sints)
}

impl Vm {
    /// Makes the module's side of a VM.
    pub(crate) fn new(host: Host, parity: Parity, stats: Stats) -> impl PinInit<Self> {
        pin_init!(Self {
            host,
            parity,
            stats,
            vp_index_cache: VpIndexCache::new(),
            x2apic_format: Atomic::new(0),
            retired_bytes: Atomic::new(0),
            logged: Atomic::new(0),
            grace_period <- GracePeriod::new(),
        })
    }

    /// Returns what the module may ask of KVM.
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// Returns what the VM is called in trace events.
    fn number(&self) -> u64 {
        self.stats.number()
    }

    /// Returns the counters.
    #[cfg(CONFIG_KUNIT = "y")]
    pub(crate) fn counters(&self) -> &Stats {
        &self.stats
    }

    fn find(&self, vp_index: u32, sint: Sint) -> Found<'_> {
        // Where several vCPUs have one VP index, KVM's C takes the one that a search finds first.
        if self.parity == Parity::On {
            return self.host.read_synic(vp_index, sint, vp_index);
        }

        let cached = self.vp_index_cache.get(vp_index);
        let found = self.host.read_synic(vp_index, sint, cached);
        if found.vcpu_index != cached {
            self.vp_index_cache.set(vp_index, found.vcpu_index);
        }
        found
    }

    /// Makes the vCPUs scan that `request` concerns, after `prepare` has seen them. Returns how many these
    /// are.
    fn request<F>(&self, urgency: Urgency, request: &ScanRequest<'_, Slots>, prepare: F) -> u32
    where
        F: Fn(&AskedVcpu<'_>, &ApicId),
    {
        if matches!(request, ScanRequest::None) {
            return 0;
        }
        let asked = self.host.request_scan(urgency, |apic, vcpu| {
            let id = apic.id();
            let concerns = request.concerns(&id);

            if concerns {
                prepare(vcpu, &id);
            }
            concerns
        });

        self.stats.add(Event::ScanRequest, u64::from(asked));
        asked
    }

    /// Tells whether a table with the routes of the current one need not be published. Process context.
    pub(crate) fn skip_update(
        &self,
        view: &bindings::kvm_irqroute_vm_view,
        nr: usize,
        _origin: Origin,
    ) -> bool {
        // In another format the routes may not be valid, or lead elsewhere.
        let skipped = is_skipped(self.parity)
            && self.x2apic_format.load(Relaxed) == view.x2apic_format.into();

        if skipped {
            self.stats.count(Event::UpdateSkipped);
            trace::update_skipped(self.number(), nr);
        }
        skipped
    }

    /// Makes the index of a routing table that is about to be published in place of that with the
    /// index `old`, and lets scans cover both of them. Process context. Tells whether readers of older
    /// tables are to be waited for. KVM's default routes come with the irqchip, without which userspace
    /// can set none.
    pub(crate) fn begin_update(
        &self,
        view: &bindings::kvm_irqroute_vm_view,
        old: Option<ArcBorrow<'_, Index>>,
        routes: &[bindings::kvm_irq_routing_entry],
        _origin: Origin,
        succession: Succession,
    ) -> Result<(bool, Option<Arc<Index>>)> {
        let (pins, api) = (view.reserved_pins(), view.x2apic_api());
        let Successor {
            index: new,
            same_first,
        } = Index::make(old, routes, pins, self.parity, api.format)?;

        let mut is_awaited = is_awaited(succession, self.parity);
        let retired = self.retired_with(old.as_deref(), new.as_deref());
        is_awaited |= retired > MAX_RETIRED_BYTES;

        // With parity, KVM acts on the update.
        let mut asked = None;
        if self.parity == Parity::Off {
            if !sints(new.as_deref()).is_empty() {
                self.vp_index_cache.prepare()?;
            }
            asked = Some(self.begin_grace_period(api, is_awaited, old, &new, same_first));
        }
        if let Some(new) = new.as_deref().filter(|new| new.may_lose()) {
            self.log_losing(new);
        }
        if trace::remark_is_wanted() {
            self.tell_losing(routes, pins);
        }
        self.retired_bytes.store(retired, Relaxed);
        self.x2apic_format.store(view.x2apic_format.into(), Relaxed);
        self.stats.count_update(is_awaited);
        trace::update(
            self.number(),
            succession.into(),
            routes.len(),
            || match self.number() {
                // A VM of unit tests, of which KVM knows no routes.
                0 => Err(ENODEV),
                // SAFETY: KVM holds the lock of updates since before this.
                _ => unsafe { self.host.count_changed_gsis(routes) },
            },
            asked,
            is_awaited,
        );
        Ok((is_awaited, new))
    }

    /// Emits an event for each route that loses interrupts, whatever the vCPUs are like.
    #[cold]
    #[inline(never)]
    fn tell_losing(&self, routes: &[bindings::kvm_irq_routing_entry], pins: ReservedPins) {
        // Without pins, it is not known here whether the irqchip is split.
        let pins = (pins != ReservedPins(0)).then_some(pins);

        for route in routes.iter().map(SeenRoute::from) {
            for remark in remark::lasting(&route, pins).iter().flatten() {
                if remark.loses() {
                    trace::remark(self.number(), Some(route.gsi), remark.name(), remark);
                }
            }
        }
    }

    /// Says in the log why interrupts by a table are lost, as far as its index shows it: each reason once for
    /// each VM, within a rate limit.
    #[cold]
    #[inline(never)]
    fn log_losing(&self, new: &Index) {
        let remarks = remark::losing(new.level_routes().msis(), new.sints());

        for (bit, remark) in [1, 2].into_iter().zip(remarks) {
            let logged = self.logged.load(Relaxed);

            if let Some(remark) = remark.filter(|_| logged & bit == 0 && host::may_log()) {
                self.logged.store(logged | bit, Relaxed);
                pr_warn!(
                    "process {} set a route that loses interrupts: {}: {}\n",
                    kernel::current!().group_leader().pid(),
                    remark.name(),
                    format_args!("{remark}")
                );
            }
        }
    }

    /// Returns what the indexes occupy that have been replaced, once `new` replaces `old`.
    fn retired_with(&self, old: Option<&Index>, new: Option<&Index>) -> usize {
        let so_far = self.retired_bytes.load(Relaxed);

        if old.map(ptr::from_ref) == new.map(ptr::from_ref) {
            return so_far;
        }
        so_far.saturating_add(old.map_or(0, Index::bytes))
    }

    /// Returns how many vCPUs were asked to scan.
    fn begin_grace_period(
        &self,
        api: X2ApicApi,
        is_awaited: bool,
        old: Option<ArcBorrow<'_, Index>>,
        new: &Option<Arc<Index>>,
        same_first: usize,
    ) -> u32 {
        let old_routes = level_routes(old.as_deref());
        let new_routes = level_routes(new.as_deref());

        if is_same(old_routes, new_routes) {
            return 0;
        }

        let changes = Changes::between(old_routes, new_routes, same_first, api);
        if changes.is_none() && !self.grace_period.has_begun() {
            return 0;
        }

        // Who is not waited for may begin to scan an older table after the update, and has to know
        // this one. It has all that the older ones have.
        let old = old.filter(|_| is_awaited).map(Arc::from);
        self.grace_period.begin(old, new.clone(), &changes);
        let gained = changes.before_publication(old_routes, new_routes);
        self.request(Urgency::Now, &gained, |_, _| ())
    }

    /// Ends the grace period of all tables before the current one: no interrupt is in flight by them
    /// any more. Process context.
    pub(crate) fn end_update(&self) {
        self.retired_bytes.store(0, Relaxed);
        let asked = (self.parity == Parity::Off).then(|| self.end_grace_period());

        trace::update_end(self.number(), asked);
    }

    /// Returns how many vCPUs were asked to scan.
    fn end_grace_period(&self) -> u32 {
        let Some(tables) = self.grace_period.close() else {
            return 0;
        };
        let (old, new) = (
            level_routes(tables.old.as_deref()),
            level_routes(tables.new.as_deref()),
        );

        // What a vCPU does not forget at once costs it an exit, and then it scans anyway. What came by
        // the old table is pending by now. Who has not run since, and not found it in a scan, has to
        // report it like anything else.
        let lost = tables.changes.after_grace_period(old, new);
        let vectors = lost.vectors();
        let asked = self.request(Urgency::BeforeNextEntry, &lost, |vcpu, id| {
            vcpu.report_pending(&vectors, || lost.vectors_of(id));
        });

        self.grace_period.end();
        asked
    }

    /// Scans the routes for a vCPU that had to report the EOIs of the vectors in `reported` so far.
    pub(crate) fn scan(
        &self,
        index: Option<&Index>,
        vcpu: &ThisVcpu<'_>,
        reported: &VectorSet,
    ) -> Scan {
        if trace::scan_is_wanted() {
            return self.scan_and_tell(index, vcpu, reported);
        }
        self.scan_with(index, vcpu, reported, |_, _| {})
    }

    #[cold]
    #[inline(never)]
    fn scan_and_tell(
        &self,
        index: Option<&Index>,
        vcpu: &ThisVcpu<'_>,
        reported: &VectorSet,
    ) -> Scan {
        self.scan_with(index, vcpu, reported, |apic, found| {
            trace::scan(self.number(), apic, Some(reported), found);
        })
    }

    /// Scans the routes, and passes the local APIC and the result on. There are two copies of this: what
    /// an event takes is not kept where nobody wants to know.
    #[inline(always)]
    fn scan_with(
        &self,
        index: Option<&Index>,
        vcpu: &ThisVcpu<'_>,
        reported: &VectorSet,
        tell: impl FnOnce(&bindings::kvm_irqroute_apic_view, &Scan),
    ) -> Scan {
        self.stats.count(Event::Scan);

        // Which tables count comes before what is pending: an interrupt that is sent by an old table
        // after this look at the APIC is sent before the end of the grace period.
        let tables = self.grace_period.indexes();
        let view = self.host.view_vcpu(vcpu);
        let (api, apic) = (view.vm.x2apic_api(), view.apic());
        let found = match &tables {
            Some((phase, [old, new])) => {
                let old = scan_of(old.as_deref(), api, &apic);
                let new = scan_of(new.as_deref(), api, &apic);

                match phase {
                    Phase::Open => old.union(&new),
                    Phase::Closing => new.with_rest_of(&old, &apic.pending_eoi),
                }
            }
            None => scan_of(index, api, &apic),
        };

        let found = found.with_owed(&owed(
            self.parity,
            view.vm.reserved_pins(),
            &apic.pending_eoi,
            reported,
            &view.level_triggered(),
        ));

        tell(&view.apic, &found);
        found
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
        trace::scan(self.number(), &after.apic, None, c);
        // A result for routes that were decoded in two ways is neither right nor wrong.
        if before.vm.x2apic_api() != after.vm.x2apic_api() {
            return;
        }

        self.stats.count(Event::Scan);
        // With parity, there is no grace period, and nothing is owed.
        let rust = scan_of(index, before.vm.x2apic_api(), &before.apic());
        let latest = scan_of(index, after.vm.x2apic_api(), &after.apic());
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
    #[inline]
    pub(crate) fn deliver_sint(
        &self,
        vp_index: u32,
        number: u32,
        raised: bool,
    ) -> Result<i32, SintError> {
        if trace::sint_is_wanted() {
            return self.deliver_sint_and_tell(vp_index, number, raised);
        }
        self.deliver_sint_with(vp_index, number, raised, |_| {})
    }

    #[cold]
    #[inline(never)]
    fn deliver_sint_and_tell(
        &self,
        vp_index: u32,
        number: u32,
        raised: bool,
    ) -> Result<i32, SintError> {
        let mut sent = None;
        let result = self.deliver_sint_with(vp_index, number, raised, |vector| sent = Some(vector));

        trace::sint(self.number(), vp_index, number, sent, result);
        result
    }

    /// Raises or lowers a line, and passes the vector on that is sent. See [`Self::scan_with`].
    #[inline(always)]
    fn deliver_sint_with(
        &self,
        vp_index: u32,
        number: u32,
        raised: bool,
        sends: impl FnOnce(u8),
    ) -> Result<i32, SintError> {
        let (vp, sint, vector) = self.decide_sint(vp_index, number, raised)?;

        self.stats.count(Event::SintDelivery);
        sends(vector);
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
        c: Result<i32, SintError>,
    ) {
        if c.is_ok() {
            self.stats.count(Event::SintDelivery);
        }

        let latest = self
            .decide_sint(vp_index, number, raised)
            .map(|(_, _, vector)| vector);

        trace::sint(
            self.number(),
            vp_index,
            number,
            latest.ok().filter(|_| c.is_ok()),
            c,
        );
        if sint_agrees(c.map(|_| ()), before, latest.map(|_| ())) {
            return;
        }

        self.stats.count(Event::Difference);
        if host::may_log() {
            pr_warn!("SINT {number} of VP {vp_index} differs: C {c:?}, Rust {before:?}\n");
        }
    }

    /// Reports the EOI or EOM of a SINT of the virtual processor `vp_index` to the GSIs that are
    /// routed to it. Process context.
    pub(crate) fn ack_sint(
        &self,
        srcu: &IrqSrcu<'_>,
        index: Option<&Index>,
        vp_index: u32,
        number: u32,
    ) {
        let Some(sint) = Sint::new(number) else {
            return;
        };

        for gsi in sint::gsis(sints(index), vp_index, sint) {
            if let Ok(gsi) = i32::try_from(gsi) {
                self.stats.count(Event::SintAck);
                trace::sint_ack(self.number(), vp_index, number, gsi as u32);
                srcu.notify_acked_gsi(gsi);
            }
        }
    }

    /// Takes note of an EOI of a vCPU that is reported to userspace, unless the guest suppresses that. Any
    /// context.
    pub(crate) fn note_eoi(&self, vcpu: &ThisVcpu<'_>, vector: u8, is_reported: bool) {
        trace::eoi(self.number(), vector, is_reported, || vcpu.view_eoi(vector));
    }

    /// Decides where the interrupt of a device with this GSI is posted, or why it goes to the host. Any
    /// context.
    pub(crate) fn post(&self, apics: &Apics, gsi: u32, msi: &Msi) -> Result<Target, Reason> {
        let decision = apics.decide(msi, self.parity);

        trace::post(self.number(), gsi, msi.vector(), &decision);
        self.stats.count(match decision {
            Ok(_) => Event::Posted,
            Err(Reason::DeliveryMode) => Event::RemappedDeliveryMode,
            Err(Reason::Level) => Event::RemappedLevel,
            Err(Reason::NoTarget) => Event::RemappedNoTarget,
            Err(Reason::Several) => Event::RemappedSeveral,
        });
        decision
    }
}
