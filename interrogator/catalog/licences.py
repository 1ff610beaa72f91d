"""Licences that several rows name."""

BSD = "BSD-3-Clause"
MIT = "MIT"
APACHE = "Apache-2.0"
