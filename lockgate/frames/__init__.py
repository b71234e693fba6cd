"""The frames of streamed replies, as the log keeps them where `log.frames` says so."""
