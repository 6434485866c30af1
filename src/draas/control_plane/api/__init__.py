"""The control plane's HTTP API (docs/api.md): one router a file, every error a problem."""
