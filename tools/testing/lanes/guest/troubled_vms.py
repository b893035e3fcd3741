# SPDX-License-Identifier: GPL-2.0
"""Inside the VM: VMs in trouble, as x86/irqroute_trouble has them."""

import re
import subprocess


class TroubledVms:
    def __init__(self, program):
        """Returns when all of them run. pids has their processes, by name."""
        self.pids = {}
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for line in self._process.stdout:
            if line.strip() == "ready":
                break
            # The test library may have something to say first.
            if found := re.fullmatch(r"(\w+) (\d+)\n", line):
                self.pids[found[1]] = int(found[2])

    def end(self):
        """Ends them. Tells whether they ran until then."""
        self._process.stdin.close()
        return self._process.wait() == 0
