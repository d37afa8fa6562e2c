pytest_plugins = ("tests.e2e.plugin",)
