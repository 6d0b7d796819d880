//! Lists, in order, what must stand in configfs for a gadget to exist.
