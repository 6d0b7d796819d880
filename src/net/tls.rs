//! Makes, keeps and offers the certificate of this device.
