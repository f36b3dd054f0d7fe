# SPDX-License-Identifier: GPL-2.0
"""Unit tests of benchlib: cd tools/bench && python3 -m unittest discover -t . -s tests"""
