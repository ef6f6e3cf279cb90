//! The file-backed queue.
