# SPDX-License-Identifier: BSD-3-Clause
"""Delegations are followed to port 53, whatever server is there."""

import socket

import pytest


def skip_without_port_53(*servers):
    for address in servers:
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((address, 53))
        except OSError as error:
            pytest.skip(f"port 53 of {address}: {error.strerror}; delegations can't be tried")
