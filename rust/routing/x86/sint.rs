// SPDX-License-Identifier: GPL-2.0

//! Delivery of Hyper-V SINT routes, and who hears of the end of an interrupt.

use super::super::list::from_first;

/// Number of synthetic interrupt sources of a virtual processor (Hyper-V TLFS, "Virtual Interrupt
/// Controller", HV_SYNIC_SINT_COUNT).
pub(crate) const NR_SINTS: u32 = 16;

/// The number of a synthetic interrupt source, 0 to 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sint(u32);

impl Sint {
    /// All of them.
    pub(crate) const ALL: [Self; NR_SINTS as usize] = {
        let mut all = [Self(0); NR_SINTS as usize];
        let mut number = 0;

        while number < NR_SINTS {
            all[number as usize] = Self(number);
            number += 1;
        }
        all
    };

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

    /// A SINT after a reset (Hyper-V TLFS, "SINTx Registers").
    pub(crate) const RESET: Self = Self(Self::MASKED);

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
