"""DRaaS keeps a fleet of Drasi servers at its desired configuration."""
