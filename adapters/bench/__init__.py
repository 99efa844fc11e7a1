"""Speed, measured: what Qist does in a second, beside the same libraries put together plainly, in one run."""
