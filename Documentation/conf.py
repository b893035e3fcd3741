# SPDX-License-Identifier: GPL-2.0
#
# What "make docs" builds the HTML from.

project = "kvm_irqroute"
author = "The kvm_irqroute authors"

html_theme = "alabaster"
html_show_copyright = False

# A reference without a target is a warning. The kernel's own types have none here.
nitpicky = True
nitpick_ignore = [
    ("c:identifier", name)
    for name in (
        "kvm",
        "kvm_irq_routing_entry",
        "kvm_vcpu",
        "s32",
        "u8",
        "u32",
        "u64",
    )
]
