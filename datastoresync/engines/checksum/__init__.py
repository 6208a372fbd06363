"""Tables on two servers, compared by checksums of key ranges."""
