# SPDX-License-Identifier: GPL-2.0
"""Programs of others, run on both drivers.

suites   the clients: files in trixie/ and forky/
host     their roots and boots
table    Documentation/clients.md
guest    what runs in the VM
"""
