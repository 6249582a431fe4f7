# SPDX-License-Identifier: BSD-3-Clause
"""icpgated for the store of a resolver."""

import yaml

from gate_daemon import Daemon


class SiteDaemon(Daemon):
    """A daemon that feeds the store of a site, whose configuration it shares."""

    def __init__(self, site, **settings):
        self.site = site
        super().__init__(site.commands, **settings)
        self.store.path = site.store

    def configure(self, **changes):
        """The resolver's configuration, with a section for the daemon."""
        self.settings.update(changes)
        settings = yaml.safe_load(self.site.conf.read_text(encoding="utf-8"))
        self.conf.write_text(yaml.safe_dump({**settings, "daemon": self.settings}),
                             encoding="utf-8")
