# SPDX-License-Identifier: GPL-2.0
"""Unit tests of checklib: cd tools/testing && python3 -m unittest discover -t . -s tests"""
