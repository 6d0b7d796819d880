//! Offers reports through the HID gadget nodes, and reads the lamps that the target sets.
