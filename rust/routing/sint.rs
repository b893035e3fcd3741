// SPDX-License-Identifier: GPL-2.0

//! Delivery of Hyper-V SINT routes, and who hears of the end of an interrupt.

use core::cell::Cell;

/// Number of synthetic interrupt sources of a virtual processor (Hyper-V TLFS, "Virtual Interrupt
/// Controller", HV_SYNIC_SINT_COUNT).
pub(crate) const NR_SINTS: u32 = 16;

/// The number of a synthetic interrupt source, 0 to 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sint(u32);

impl Sint {
    /// Returns the SINT with the given number, if there is one.
    pub(crate) fn new(number: u32) -> Option<Self> {
        (number < NR_SINTS).then_some(Self(number))
    }

    /// Returns the number, 0 to 15.
    pub(crate) fn number(&self) -> u32 {
        self.0
    }
}

/// The value of a SINT register, HV_X64_MSR_SINT0 to HV_X64_MSR_SINT15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SintRegister(pub(crate) u64);

impl SintRegister {
    const MASKED: u64 = 1 << 16;

    /// Returns the vector of the SINT, or nothing if it is masked.
    pub(crate) fn vector(&self) -> Option<u8> {
        (self.0 & Self::MASKED == 0).then_some(self.0 as u8)
    }
}

/// A KVM_IRQ_ROUTING_HV_SINT route.
///
/// The order is that of the fields, so that those of a SINT are together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SintRoute {
    /// The VP index of the virtual processor.
    pub(crate) vp_index: u32,
    /// The number of the SINT as userspace gave it. A table with a number that no SINT has is
    /// valid, only delivery fails.
    pub(crate) sint: u32,
    /// The GSI that is routed, and that hears of the EOI or EOM.
    pub(crate) gsi: u32,
}

/// Lets the route with the given number sink in a heap, the children of which are heaps.
fn sift_down(heap: &[Cell<SintRoute>], mut number: usize) {
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

/// Puts routes into order, by a heapsort: userspace chooses them, and may not make it slow. What
/// `core` has for this brings a path to a panic along.
pub(crate) fn sort(routes: &mut [SintRoute]) {
    let routes = Cell::from_mut(routes).as_slice_of_cells();

    for number in (0..routes.len() / 2).rev() {
        sift_down(routes, number);
    }

    let mut heap = routes;
    while let [greatest, .., last] = heap {
        last.set(greatest.replace(last.get()));
        heap = heap.get(..heap.len().wrapping_sub(1)).unwrap_or_default();
        sift_down(heap, 0);
    }
}

/// Why an interrupt for a SINT is not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SintError {
    /// The line goes down; a SINT is delivered when it goes up.
    Lowered,
    /// There is no such SINT, no such virtual processor, or its SynIC is not active.
    NoSynic,
    /// The SINT is masked.
    Masked,
}

/// What is known of the SynIC that a route points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Synic {
    /// No virtual processor has the VP index, or its SynIC is not active.
    Absent,
    /// An active SynIC, with the register of the SINT in question.
    Active(SintRegister),
}

/// Decides about a change of a line that is routed to a SINT: returns which SINT to deliver, or
/// why there is nothing to do.
pub(crate) fn target(sint: u32, raised: bool) -> Result<Sint, SintError> {
    if !raised {
        return Err(SintError::Lowered);
    }

    Sint::new(sint).ok_or(SintError::NoSynic)
}

/// Returns the vector to deliver for a SINT with the given SynIC.
pub(crate) fn vector(synic: Synic) -> Result<u8, SintError> {
    match synic {
        Synic::Absent => Err(SintError::NoSynic),
        Synic::Active(register) => register.vector().ok_or(SintError::Masked),
    }
}

/// Returns the part of `routes` that starts with the first route of which `before` is false, given
/// that it is true of those that come first. `partition_point()` of `core` would do as well, but
/// with some compilers it brings a path to a panic along.
pub(crate) fn from_first(
    routes: &[SintRoute],
    before: impl Fn(&SintRoute) -> bool,
) -> &[SintRoute] {
    let (mut low, mut high) = (0usize, routes.len());

    while low < high {
        let middle = low.midpoint(high);

        match routes.get(middle) {
            Some(route) if before(route) => low = middle.wrapping_add(1),
            _ => high = middle,
        }
    }
    routes.get(low..).unwrap_or_default()
}

/// Returns the GSIs that are routed to `sint` of the virtual processor `vp_index`, in a table with
/// SINT routes in order.
pub(crate) fn gsis(
    routes: &[SintRoute],
    vp_index: u32,
    sint: Sint,
) -> impl Iterator<Item = u32> + '_ {
    let wanted = (vp_index, sint.number());
    let key = |route: &SintRoute| (route.vp_index, route.sint);

    from_first(routes, move |route| key(route) < wanted)
        .iter()
        .take_while(move |route| key(route) == wanted)
        .map(|route| route.gsi)
}
