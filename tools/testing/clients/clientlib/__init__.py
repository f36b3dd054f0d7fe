# SPDX-License-Identifier: GPL-2.0
"""Programs of others, run on both drivers.

suites    the clients: files in the folders of suites
programs  what they run that no package has
cli       the command line
host      their roots and boots
table     Documentation/clients.md
guest     what runs in the VM
"""
