# SPDX-License-Identifier: GPL-2.0
"""Programs of others, run on both drivers.

suites    the clients: files in the folders of suites
programs  their helper programs
cli       the command line
host      their roots and boots
table     Documentation/clients.md
guest     the part in the VM
"""
