"""What several tests share: template databases, a TLS terminator. Nothing here is a test."""
