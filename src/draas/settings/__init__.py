"""Settings from files, environment and command line, by .NET's rules."""
