"""What tests of the package and of plugins use: a scripted model, and test suites for channels and tools. Nothing else imports it."""
