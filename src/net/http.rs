//! Accepts connections, applies the limits that hold before anyone is known, and speaks HTTP/1.1.
