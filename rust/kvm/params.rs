// SPDX-License-Identifier: GPL-2.0

//! The module parameters.

use super::bindings;
use crate::routing::Parity;

/// Who handles the interrupt routes of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// KVM's C, this module does not even hear of it.
    C,
    /// This module.
    Rust,
    /// KVM's C, and this module checks its scans.
    Verify,
}

impl Mode {
    /// Returns the value of parameter `mode`, which is what the next VM gets.
    pub(crate) fn current() -> Self {
        // SAFETY: FFI call without preconditions, it reads an integer once.
        match unsafe { bindings::irqroute_param_mode() } {
            bindings::kvm_irqroute_mode_KVM_IRQROUTE_RUST => Self::Rust,
            bindings::kvm_irqroute_mode_KVM_IRQROUTE_VERIFY => Self::Verify,
            _ => Self::C,
        }
    }

    /// Returns the parity of a VM in this mode, given the value of parameter `parity`. In mode
    /// `verify` it is on, as KVM's C is compared with what has the same defects.
    pub(crate) fn parity(&self, parameter: bool) -> Parity {
        if parameter || *self == Self::Verify {
            Parity::On
        } else {
            Parity::Off
        }
    }

    /// Returns the mode as KVM knows it, with what it leaves to a VM with `parity`.
    pub(crate) fn as_raw(&self, parity: Parity) -> i32 {
        let mode = match (self, parity) {
            (Self::C, _) => bindings::kvm_irqroute_mode_KVM_IRQROUTE_C,
            (Self::Verify, _) => bindings::kvm_irqroute_mode_KVM_IRQROUTE_VERIFY,
            (Self::Rust, Parity::Off) => bindings::kvm_irqroute_mode_KVM_IRQROUTE_RUST,
            (Self::Rust, Parity::On) => bindings::kvm_irqroute_mode_KVM_IRQROUTE_PARITY,
        };

        mode as i32
    }
}

/// Returns the value of parameter `parity`: whether the next VM keeps the defects of KVM's C.
pub(crate) fn parity() -> bool {
    // SAFETY: FFI call without preconditions, it reads a boolean once.
    unsafe { bindings::irqroute_param_parity() }
}
