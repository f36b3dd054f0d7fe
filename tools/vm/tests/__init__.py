# SPDX-License-Identifier: GPL-2.0
"""Run by: cd tools/vm && python3 -m unittest discover -t . -s tests"""
