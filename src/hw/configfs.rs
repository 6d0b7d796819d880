//! Writes a gadget plan into configfs, and clears away what an earlier life left there.
